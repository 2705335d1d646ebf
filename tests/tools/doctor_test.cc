// kevolve doctor, as a user meets it.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "runners/sandbox/sandbox.h"
#include "tests/tools/support/cli.h"
#include "tools/live/exit_code.h"

using namespace kev;
using namespace kev::test;
using nlohmann::json;

namespace {

json CheckOf(const json& report, const std::string& name) {
  for (const json& check : report["checks"]) {
    if (check["name"] == name) return check;
  }
  return {};
}

}  // namespace

TEST_CASE("doctor says what is there and how to get what is not; peaks are measured when asked") {
  Sandbox sandbox;
  const CommandResult text = sandbox.Run({"kevolve", "doctor"});
  CHECK(text.exit_code == kExitDone);
  CHECK(text.out.find("ok     Redis: ") != std::string::npos);
  CHECK(text.out.find("run `kevolve doctor --measure`") != std::string::npos);

  const CommandResult before = sandbox.Run({"kevolve", "doctor", "--json"});
  const json unmeasured = json::parse(before.LastLine());
  CHECK(unmeasured["complete"] == true);
  CHECK(unmeasured["peaks"].is_null());
  CHECK(CheckOf(unmeasured, "C compiler")["state"] == "ok");
  for (const json& check : unmeasured["checks"]) {
    INFO(check.dump());
    CHECK(check["detail"] != "");
  }

  const CommandResult measured =
      sandbox.Run({"kevolve", "doctor", "--measure"}, std::chrono::seconds(100));
  CHECK(measured.exit_code == kExitDone);
  CHECK(measured.out.find("GB/s, latency ") != std::string::npos);
  CHECK(measured.out.find(" can be told to 1 %") != std::string::npos);
  const json after = json::parse(sandbox.Run({"kevolve", "doctor", "--json"}).LastLine());
  CHECK(after["peaks"]["clock_hz"] > 1e8);
}

// It tried bwrap under a guardian without privileges, where root makes no user namespace, and said
// that what confines every kernel does not work.
TEST_CASE("doctor says of the sandbox what a judgement finds") {
  Sandbox sandbox;
  const json report = json::parse(sandbox.Run({"kevolve", "doctor", "--json"}).LastLine());
  const json check = CheckOf(report, "sandbox (bubblewrap)");
  INFO(check.dump());
  if (!ProbeIsolation(Isolation::kBubblewrap)) {
    CHECK(check["state"] == "lacks");
    return;
  }
  CHECK(check["state"] == "ok");
  CHECK(check["detail"].get<std::string>().ends_with("bwrap works"));
}

TEST_CASE("what a run needs and is not there is marked, with the package, and gives exit code 5") {
  Sandbox sandbox;
  sandbox.environment["PATH"] = "/nowhere";
  const CommandResult result = sandbox.Run({"kevolve", "doctor"});
  CHECK(result.exit_code == kExitEnvironment);
  CHECK(result.out.find("NEED   Redis: none: no run can keep its state\n"
                        "         install package redis-server\n") != std::string::npos);
  const json report = json::parse(sandbox.Run({"kevolve", "doctor", "--json"}).LastLine());
  CHECK(report["complete"] == false);
  CHECK(CheckOf(report, "C compiler")["state"] == "need");
}

TEST_CASE("a core that is not there, and one without --measure") {
  Sandbox sandbox;
  const CommandResult missing = sandbox.Run({"kevolve", "doctor", "--measure", "--core", "60000"});
  CHECK(missing.exit_code == kExitBadInput);
  CHECK(missing.err.find("core 60000 cannot be used") != std::string::npos);
  CHECK(sandbox.Run({"kevolve", "doctor", "--core", "0"}).exit_code == kExitBadInput);
}
