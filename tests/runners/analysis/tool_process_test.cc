#include "runners/analysis/tool_process.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "runners/sandbox/sandbox.h"

namespace kev {
namespace {

// Runs `test` in each isolation that works here, by its name.
template <typename Test>
void ForEachIsolation(Test test) {
  for (const Isolation isolation :
       {Isolation::kBubblewrap, Isolation::kNamespaces, Isolation::kLandlock, Isolation::kNone}) {
    if (!ProbeIsolation(isolation)) continue;
    INFO(std::string(Name(isolation)));
    setenv("KEVOLVE_ISOLATION", Name(isolation), 1);
    test(isolation);
  }
  unsetenv("KEVOLVE_ISOLATION");
}

uint64_t BytesIn(const std::string& folder) {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) bytes += entry.file_size();
  return bytes;
}

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

// A kernel that was counted under valgrind wrote 900 MB to the machine's disk, as files that each
// were within their limit.
TEST_CASE("what a tool writes to its folder is bounded in all, not only file by file") {
  ForEachIsolation([](Isolation isolation) {
    const ToolFolder folder;
    REQUIRE(folder.Write("block", std::string(1 << 20, 'x')));
    ToolLimits limits;
    limits.folder = folder.path();
    limits.folder_bytes = 16 << 20;
    const auto done =
        RunTool({"sh", "-c", "for i in $(seq 600); do cat block > f$i; done"}, "", limits);
    REQUIRE(done);
    CHECK_MESSAGE(done->folder_full, done->err.substr(0, 300));
    // Without namespaces it is looked at from time to time.
    CHECK(BytesIn(folder.path()) <= (HasNamespaces(isolation) ? 20u << 20 : 400u << 20));
    if (!HasNamespaces(isolation)) CHECK(done->status == 128 + 9);
    if (HasNamespaces(isolation)) CHECK(done->err.find("No space left") != std::string::npos);
  });
}

TEST_CASE("a tool cannot leave more files than anybody needs") {
  ForEachIsolation([](Isolation) {
    const ToolFolder folder;
    ToolLimits limits;
    limits.folder = folder.path();
    const auto done =
        RunTool({"sh", "-c", "i=0; while [ $i -lt 30000 ]; do : > f$i; i=$((i+1)); done; echo all"},
                "", limits);
    REQUIRE(done);
    CHECK(done->folder_full);
    CHECK(done->out.empty());
  });
}

TEST_CASE("what a tool leaves in its folder comes back as files, and nothing else does") {
  ForEachIsolation([](Isolation isolation) {
    const ToolFolder folder;
    REQUIRE(folder.Write("kept", "old"));
    REQUIRE(folder.Write("replaced", "old"));
    ToolLimits limits;
    limits.folder = folder.path();
    const auto done = RunTool({"sh", "-c",
                               "cat kept replaced; echo new > replaced; echo made > made; chmod +x "
                               "made; ln -s /etc/passwd link; mkfifo pipe"},
                              "", limits);
    REQUIRE(done);
    CHECK_MESSAGE(done->Succeeded(), done->err);
    CHECK_FALSE(done->folder_full);
    CHECK(done->out == "oldold");
    CHECK(FileText(folder.path() + "/kept") == "old");
    CHECK(FileText(folder.path() + "/replaced") == "new\n");
    CHECK(FileText(folder.path() + "/made") == "made\n");
    if (!HasNamespaces(isolation)) return;
    CHECK_FALSE(std::filesystem::is_symlink(folder.path() + "/link"));
    CHECK_FALSE(std::filesystem::exists(folder.path() + "/pipe"));
  });
}

TEST_CASE("a tool that may not fork starts no process") {
  ForEachIsolation([](Isolation) {
    ToolLimits limits;
    const std::vector<std::string> forking = {"sh", "-c", "(echo forked); echo alone"};
    CHECK(RunTool(forking, "", limits)->out == "forked\nalone\n");
    limits.forks = false;
    CHECK(RunTool(forking, "", limits)->out.find("forked") == std::string::npos);
    // Threads are no processes.
    CHECK(RunTool({"sort", "--parallel=2"}, "b\na\n", limits)->out == "a\nb\n");
  });
}

}  // namespace
}  // namespace kev
