// What a user tells a live run: pause, resume, cancel, budget, drain, explain, attach; and what a
// run says that is not live.
#include <doctest/doctest.h>
#include <signal.h>

#include "tests/tools/support/contains.h"
#include "tests/tools/support/service.h"

using namespace kev::test;

namespace {

constexpr int kExitDone = 0, kExitBadInput = 2, kExitInterrupted = 130;

struct LiveOne {
  Sandbox sandbox;
  RunningCommand* command;
  std::string run;
  explicit LiveOne(const std::string& candidates, const std::string& workflow = "tiny.yaml") {
    command =
        sandbox.Start({"kevolve", "run", Fixture(workflow), "--candidates", candidates, "--json"});
    run = RunIdOf(command);
    REQUIRE(WaitForEvent(command, "candidate"));
  }
  Json Tell(std::vector<std::string> words) {
    words.insert(words.begin(), "kevolve");
    words.emplace_back("--json");
    const CommandResult result = sandbox.Run(words);
    INFO(result.err);
    CHECK(result.exit_code == kExitDone);
    return DoneLine(result);
  }
  size_t Events() { return LogOf(sandbox, run).size(); }
};

size_t Signals(const Sandbox& sandbox, const std::string& run, const std::string& kind) {
  size_t count = 0;
  for (const Json& event : LogOf(sandbox, run)) {
    if (event["event"] == "signal" && event.value("signal", "") == kind) ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("a paused run gives nothing new out, says so, and goes on when it is resumed") {
  LiveOne live("6", "sequential.yaml");
  CHECK(live.Tell({"pause", live.run})["signal"] == "pause");
  // What was under way ends; then nothing moves.
  REQUIRE(WaitUntil([&] {
    const Json why = live.Tell({"explain", live.run});
    size_t busy = 0;
    for (const Json& step : why["steps"])
      busy += step["sent"].get<size_t>() + step["taken"].get<size_t>();
    return busy == 0;
  }));
  const size_t events = live.Events();
  const Json why = live.Tell({"explain", live.run});
  Contains(why["why"], {"paused", "kevolve resume"});
  Contains(live.sandbox.Run({"kevolve", "list"}).out, {" paused "});
  Contains(live.sandbox.Run({"kevolve", "show", live.run}).out, {"paused: `kevolve resume"});
  const CommandResult durable =
      live.sandbox.Run({"kevolve", "resume", live.run, "--durability", "fast"});
  CHECK(durable.exit_code == kExitBadInput);
  Contains(durable.err, {"--durability", "was told"});
  CHECK(live.Events() == events);
  const CommandResult resumed = live.sandbox.Run({"kevolve", "resume", live.run});
  CHECK(resumed.exit_code == kExitDone);
  Contains(resumed.out, {"goes on", "event"});
  const CommandResult result = live.command->Wait(kServiceLimit);
  CHECK_MESSAGE(result.exit_code == kExitDone, result.err);
  CHECK(DoneLine(result)["candidates"] == 6);
  CHECK(Signals(live.sandbox, live.run, "pause") == 1);
  CHECK(Signals(live.sandbox, live.run, "resume") == 1);
  CHECK(live.sandbox.Run({"kevolve", "replay", live.run}).exit_code == kExitDone);
}

TEST_CASE("a run that was paused when it was interrupted goes on with resume") {
  LiveOne live("3");
  live.Tell({"pause", live.run});
  KillEverything(live.sandbox);
  const CommandResult result =
      live.sandbox.Run({"kevolve", "resume", live.run, "--json"}, kServiceLimit);
  CHECK_MESSAGE(result.exit_code == kExitDone, result.err);
  CHECK(DoneLine(result)["candidates"] == 3);
}

TEST_CASE("a cancelled run ends at once and keeps what it has found") {
  LiveOne live("12");
  live.Tell({"cancel", live.run});
  const CommandResult result = live.command->Wait(kServiceLimit);
  CHECK(DoneLine(result)["status"] == "cancelled");
  const CommandResult late = live.sandbox.Run({"kevolve", "cancel", live.run});
  CHECK(late.exit_code == kExitBadInput);
  Contains(late.err, {"has ended (cancelled)", "kevolve show"});
  CHECK(late.err.find("--candidates") == std::string::npos);  // it cannot go on
}

TEST_CASE("a live run's budget can be changed, and what is no budget is refused") {
  LiveOne live("12");
  for (const auto& [words, said] : {std::pair<std::string, std::string>{"candidates", "KEY=LIMIT"},
                                    {"candidates=lots", "write a count"},
                                    {"wall=5", "write a duration"},
                                    {"candidate=5", "did you mean 'candidates'"}}) {
    const CommandResult bad = live.sandbox.Run({"kevolve", "budget", live.run, words});
    CHECK(bad.exit_code == kExitBadInput);
    Contains(bad.err, {said.c_str()});
  }
  live.Tell({"budget", live.run, "candidates=4", "wall=10m"});
  const CommandResult result = live.command->Wait(kServiceLimit);
  CHECK_MESSAGE(result.exit_code == kExitDone, result.err);
  CHECK(DoneLine(result)["stopped_by"] == "candidates");
  CHECK(DoneLine(result)["candidates"].get<int>() < 12);
  CHECK(live.sandbox.Run({"kevolve", "replay", live.run}).exit_code == kExitDone);
}

TEST_CASE("a run that has ended goes on with a larger budget, from where it was") {
  Sandbox sandbox;
  RunningCommand* command =
      sandbox.Start({"kevolve", "run", Fixture("tiny.yaml"), "--candidates", "2", "--json"});
  const std::string run = RunIdOf(command);
  REQUIRE(command->Wait(kServiceLimit).exit_code == kExitDone);
  const std::vector<Json> before = LogOf(sandbox, run);
  const CommandResult refused = sandbox.Run({"kevolve", "resume", run});
  CHECK(refused.exit_code == kExitBadInput);
  Contains(refused.err, {"has ended", "--candidates N"});
  const CommandResult wrong = sandbox.Run({"kevolve", "resume", run, "--candidates", "many"});
  CHECK(wrong.exit_code == kExitBadInput);
  for (const char* few : {"1", "2"}) {
    const CommandResult enough = sandbox.Run({"kevolve", "resume", run, "--candidates", few});
    CHECK(enough.exit_code == kExitBadInput);
    Contains(enough.err, {"stopped by candidates", "would end again at once", "nothing was done"});
  }
  CHECK(LogOf(sandbox, run) == before);
  RunningCommand* again = sandbox.Start({"kevolve", "resume", run, "--candidates", "5", "--json"});
  bool killed = false;
  SUBCASE("in one go") {}
  SUBCASE("and is killed on the way") {
    REQUIRE(WaitForEvent(again, "candidate"));
    KillEverything(sandbox);
    again = sandbox.Start({"kevolve", "resume", run, "--json"});
    killed = true;
  }
  const CommandResult result = again->Wait(kServiceLimit);
  INFO(result.err);
  CHECK(result.exit_code == kExitDone);
  CHECK(DoneLine(result)["candidates"] == 5);
  const std::vector<Json> after = LogOf(sandbox, run);
  REQUIRE(after.size() > before.size());
  for (size_t i = 0; i < before.size(); ++i) CHECK(before[i] == after[i]);
  CHECK(Signals(sandbox, run, "budget") == 1);
  CHECK(sandbox.Run({"kevolve", "replay", run}).exit_code == kExitDone);
  CHECK(sandbox.Run({"kevolve", "fsck", run}).exit_code == kExitDone);
  CHECK((killed || sandbox.Processes().empty()));
}

TEST_CASE("attach follows a run that another terminal drives, to the same end") {
  LiveOne live("4");
  RunningCommand* attached = live.sandbox.Start({"kevolve", "attach", live.run, "--json"});
  RunningCommand* leaves = live.sandbox.Start({"kevolve", "attach", live.run});
  REQUIRE(leaves->WaitForOutput("candidates", kServiceLimit));
  leaves->Signal(SIGINT);
  const CommandResult left = leaves->Wait(kServiceLimit);
  CHECK(left.exit_code == kExitInterrupted);
  Contains(left.err, {"which goes on", "kevolve attach"});
  const CommandResult there = live.command->Wait(kServiceLimit);
  const CommandResult here = attached->Wait(kServiceLimit);
  INFO(here.err);
  CHECK(here.exit_code == there.exit_code);
  Json a = DoneLine(there), b = DoneLine(here);
  a["best"].erase("source");
  b["best"].erase("source");
  CHECK(a == b);
  // Once more, when it is over.
  CHECK(live.sandbox.Run({"kevolve", "attach", live.run}).exit_code == there.exit_code);
}

TEST_CASE("a drained worker leaves, and an unknown one is told with the names there are") {
  LiveOne live("6");
  const CommandResult listed = live.sandbox.Run({"kevolve", "workers", live.run, "--json"});
  std::string compiler;
  for (const Json& worker : JsonLines(listed.out)) {
    if (worker["program"] == "compile") compiler = worker["worker"];
    CHECK(worker["own"] == true);
  }
  REQUIRE(!compiler.empty());
  const CommandResult unknown = live.sandbox.Run({"kevolve", "drain", "nobody:1", live.run});
  CHECK(unknown.exit_code == kExitBadInput);
  Contains(unknown.err, {"no worker 'nobody:1'", "kevolve workers"});
  CHECK(live.Tell({"drain", compiler, live.run})["drained"] == 1);
  const CommandResult result = live.command->Wait(kServiceLimit);
  CHECK_MESSAGE(result.exit_code == kExitDone, result.err);  // another has taken its place
  CHECK(DoneLine(result)["candidates"] == 6);
}

TEST_CASE("explain says why things wait, of live runs and of stored ones") {
  LiveOne live("6");
  const std::vector<pid_t> profilers = ProcessesNamed(live.sandbox, "kevolve-profile");
  REQUIRE(profilers.size() == 1);
  kill(profilers[0], SIGSTOP);
  REQUIRE(WaitUntil([&] {
    const Json why = live.Tell({"explain", live.run, "screen"});
    return why.value("ready", 0) > 0 && why.contains("first_waits");
  }));
  kill(profilers[0], SIGCONT);
  Contains(live.sandbox.Run({"kevolve", "explain", live.run, "c1"}).out, {"c1", "build: passed"});
  const CommandResult unknown = live.sandbox.Run({"kevolve", "explain", live.run, "scren"});
  CHECK(unknown.exit_code == kExitBadInput);
  Contains(unknown.err, {"has no 'scren'", "did you mean 'screen'"});
  KillEverything(live.sandbox);
  const CommandResult stored = live.sandbox.Run({"kevolve", "explain", live.run});
  CHECK(stored.exit_code == kExitDone);
  Contains(stored.out, {"interrupted", "resume"});
  Contains(live.sandbox.Run({"kevolve", "explain", live.run, "c1/build"}).out, {"has passed"});
}

TEST_CASE("the dead-letter list is empty of a good run, and unknown letters are refused") {
  LiveOne live("6");
  const CommandResult none = live.sandbox.Run({"kevolve", "dlq", "list", live.run});
  CHECK(none.exit_code == kExitDone);
  Contains(none.out, {"no dead letters"});
  for (const char* what : {"show", "retry", "drop"}) {
    const CommandResult unknown = live.sandbox.Run({"kevolve", "dlq", what, live.run, "c1/build"});
    CHECK(unknown.exit_code == kExitBadInput);
    Contains(unknown.err, {"has no dead letter 'c1/build'", "dlq list"});
  }
}

TEST_CASE("commands for live runs say what is wrong with their run") {
  Sandbox sandbox;
  for (const char* what : {"pause", "cancel", "attach", "explain"}) {
    const CommandResult none = sandbox.Run({"kevolve", what, "nosuch"});
    CHECK(none.exit_code == kExitBadInput);
    Contains(none.err, {"there is no run 'nosuch'"});
    const CommandResult path = sandbox.Run({"kevolve", what, "../x"});
    CHECK(path.exit_code == kExitBadInput);
  }
  const CommandResult scheme =
      sandbox.Run({"kevolve", "pause", "x", "--engine", "http://127.0.0.1"});
  CHECK(scheme.exit_code == kExitBadInput);
  Contains(scheme.err, {"http://127.0.0.1", "tcp://HOST:PORT"});
  const CommandResult nobody = sandbox.Run({"kevolve", "workers"});
  CHECK(nobody.exit_code == kExitBadInput);
  Contains(nobody.err, {"there is no engine 'default'"});
}

TEST_CASE("an engine of one run takes no submissions and knows no other run") {
  LiveOne live("6");
  const std::string socket = live.sandbox.Path("runs/" + live.run + "/engine.sock");
  const CommandResult submitted =
      live.sandbox.Run({"kevolve", "run", Fixture("tiny.yaml"), "--engine", socket, "--detach"});
  CHECK(submitted.exit_code == kExitBadInput);
  Contains(submitted.err, {live.run.c_str(), "only", "kevolve engine"});
  const CommandResult other = live.sandbox.Run({"kevolve", "pause", "another", "--engine", socket});
  CHECK(other.exit_code == kExitBadInput);
  Contains(other.err, {"does not drive a run 'another'"});
}
