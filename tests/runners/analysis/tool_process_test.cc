#include "runners/analysis/tool_process.h"

#include <doctest/doctest.h>

#include <filesystem>

namespace kev {
namespace {

TEST_CASE("a tool gets its input, and both of its streams come back apart") {
  const auto done = RunTool({"sh", "-c", "cat; echo no >&2; exit 3"}, "given\n");
  REQUIRE(done);
  CHECK(done->out == "given\n");
  CHECK(done->err == "no\n");
  CHECK(done->status == 3);
  CHECK_FALSE(done->timed_out);
  CHECK(RunTool({"no-such-tool"}, "").error().code == Code::kNotFound);
}

TEST_CASE("a tool that a hostile file took over reaches nothing") {
  const ToolFolder folder;
  const auto given = folder.Write("given", "bytes");
  const auto other = folder.Write("other", "secret");
  REQUIRE(given);
  REQUIRE(other);
  // What its words name can be read, and not written to; all else is not there.
  const auto done = RunTool({"sh", "-c",
                             "cat \"$0\"; for f in /etc/passwd " + *other +
                                 "; do cat $f && echo read; done; echo x > \"$0\" && echo written",
                             *given},
                            "");
  REQUIRE(done);
  CHECK_MESSAGE(done->out == "bytes", done->err);
  CHECK(FileText(*given) == "bytes");
}

TEST_CASE("a tool that hangs is stopped, with what it started") {
  const ToolFolder folder;
  ToolLimits limits;
  limits.deadline = std::chrono::milliseconds(300);
  limits.folder = folder.path();
  const auto done =
      RunTool({"sh", "-c", "(sleep 2; touch late) & touch begun; sleep 60"}, "", limits);
  REQUIRE(done);
  CHECK(done->timed_out);
  CHECK_FALSE(done->Succeeded());
  CHECK(std::filesystem::exists(folder.path() + "/begun"));
  std::atomic<bool> nobody{true};
  limits.deadline = std::chrono::seconds(50);
  limits.cancelled = &nobody;
  CHECK(RunTool({"sleep", "60"}, "", limits)->timed_out);
  CHECK_FALSE(std::filesystem::exists(folder.path() + "/late"));
}

}  // namespace
}  // namespace kev
