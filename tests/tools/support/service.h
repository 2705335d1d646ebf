// An engine service and runs in it, for the tests of `kevolve engine` and of the commands that talk
// to it. Threads: one.
#ifndef KEV_TESTS_TOOLS_SUPPORT_SERVICE_H_
#define KEV_TESTS_TOOLS_SUPPORT_SERVICE_H_

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/tools/support/run_facts.h"

namespace kev::test {

inline constexpr std::chrono::seconds kServiceLimit(90);

// Starts `kevolve engine --json …` and waits until it is ready.
inline RunningCommand* StartService(Sandbox* sandbox, std::vector<std::string> more = {}) {
  std::vector<std::string> words{"kevolve", "engine", "--json"};
  words.insert(words.end(), more.begin(), more.end());
  RunningCommand* engine = sandbox->Start(words);
  engine->WaitForOutput("\"event\":\"engine\"", kServiceLimit);
  return engine;
}

// Submits the tiny workflow and gives the run's name.
inline std::string Submit(const Sandbox& sandbox, const std::string& candidates,
                          std::vector<std::string> more = {},
                          const std::string& workflow = "tiny.yaml") {
  std::vector<std::string> words{"kevolve",      "run",      Fixture(workflow),
                                 "--candidates", candidates, "--engine",
                                 "default",      "--detach", "--json"};
  words.insert(words.end(), more.begin(), more.end());
  const CommandResult result = sandbox.Run(words);
  const Json line = DoneLine(result);
  return line.is_object() ? line.value("run", "") : "";
}

inline bool HasCandidateResult(const Sandbox& sandbox, const std::string& run,
                               const std::string& subject) {
  for (const Json& event : LogOf(sandbox, run)) {
    if (event["event"] == "result" && event["job"] == subject) return true;
  }
  return false;
}

inline bool Archived(const Sandbox& sandbox, const std::string& run) {
  return !ReadFile(sandbox.Path("runs/" + run + "/run.kevrun")).empty();
}

// The run has ended and been archived, with so many candidates, and replays the same.
inline void CheckEndedWhole(const Sandbox& sandbox, const std::string& run, size_t candidates) {
  REQUIRE(WaitUntil([&] { return Archived(sandbox, run); }, kServiceLimit));
  const CommandResult replay = sandbox.Run({"kevolve", "replay", run});
  CHECK_MESSAGE(replay.exit_code == 0, replay.err);
  const Json shown = Json::parse(sandbox.Run({"kevolve", "show", run, "--json"}).out);
  CHECK(shown["status"] == "done");
  CHECK(shown["candidates"] == candidates);
  CHECK(shown["evaluated"] == candidates);
}

// The endpoint of a service that listens on tcp.
inline std::string TcpEndpoint(RunningCommand* engine) {
  for (const Json& line : JsonLines(engine->OutSoFar())) {
    if (line.value("event", "") != "engine") continue;
    for (const Json& endpoint : line["endpoints"]) {
      if (endpoint.get<std::string>().starts_with("tcp://")) return endpoint;
    }
  }
  return "";
}

}  // namespace kev::test

#endif  // KEV_TESTS_TOOLS_SUPPORT_SERVICE_H_
