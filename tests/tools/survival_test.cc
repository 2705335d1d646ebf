// What a run survives: its processes killed one by one or all at once, its store lost, Ctrl-C, and
// a death between its end and its archive. Nothing that was committed is lost or done again.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>

#include "tests/tools/support/contains.h"
#include "tests/tools/support/run_facts.h"

using namespace kev::test;
namespace fs = std::filesystem;

namespace {

constexpr int kExitDone = 0, kExitBadInput = 2, kExitEnvironment = 5, kExitInterrupted = 130;
constexpr std::chrono::seconds kLimit(90);

RunningCommand* StartRun(Sandbox* sandbox, const std::string& candidates) {
  return sandbox->Start(
      {"kevolve", "run", Fixture("tiny.yaml"), "--candidates", candidates, "--json"});
}

RunningCommand* Resume(Sandbox* sandbox, const std::string& run) {
  return sandbox->Start({"kevolve", "resume", run, "--json"});
}

bool HasResult(const Sandbox& sandbox, const std::string& run, const std::string& subject) {
  for (const Json& event : LogOf(sandbox, run)) {
    if (event["event"] == "result" && event["job"] == subject) return true;
  }
  return false;
}

// How often each job ended well, and each attempt reported.
struct Counts {
  std::map<std::string, int> ended_well;
  std::map<std::string, int> reports;
  explicit Counts(const std::vector<Json>& log) {
    for (const Json& event : log) {
      if (event["event"] != "result") continue;
      ++reports[JobOf(event) + "#" + std::to_string(event["attempt"].get<int>())];
      if (!event["result"].contains("failure")) ++ended_well[JobOf(event)];
    }
  }
};

// What must hold of a run that was interrupted once or more, when it has ended.
void CheckWhole(const Sandbox& sandbox, const CommandResult& result, const std::string& run,
                int candidates) {
  INFO(result.out << result.err);
  CHECK_FALSE(result.timed_out);
  CHECK(result.exit_code == kExitDone);
  const Json done = DoneLine(result);
  REQUIRE(done.is_object());
  CHECK(done["event"] == "done");
  CHECK(done["run"] == run);
  CHECK(done["status"] == "done");
  CHECK(done["stopped_by"] == "candidates");
  CHECK(done["candidates"] == candidates);
  CHECK(done["evaluated"] == candidates);
  REQUIRE(done["best"].is_object());
  CHECK(fs::exists(done["best"]["source"].get<std::string>()));
  const Counts counts(LogOf(sandbox, run));
  CHECK(!counts.reports.empty());
  for (const auto& [attempt, times] : counts.reports) CHECK_MESSAGE(times == 1, attempt);
  for (const auto& [job, times] : counts.ended_well) CHECK_MESSAGE(times == 1, job);
  const CommandResult replay = sandbox.Run({"kevolve", "replay", run});
  CHECK_MESSAGE(replay.exit_code == kExitDone, replay.err);
  CHECK(sandbox.Processes().empty());
}

// The beginning of `after` is `before`: nothing that was committed is gone or done again.
void CheckGoesOn(const std::vector<Json>& before, const std::vector<Json>& after) {
  REQUIRE(before.size() <= after.size());
  for (size_t i = 0; i < before.size(); ++i) CHECK(before[i] == after[i]);
  const Counts earlier(before), later(after);
  for (const auto& [job, times] : earlier.ended_well)
    CHECK_MESSAGE(later.ended_well.at(job) == times, job << " was done again");
}

}  // namespace

TEST_CASE("a run whose processes were all killed, three times over, ends whole") {
  Sandbox sandbox;
  std::vector<Json> before;
  // While the task is prepared.
  RunningCommand* command = StartRun(&sandbox, "5");
  const std::string run = RunIdOf(command);
  REQUIRE(WaitUntil([&] { return HasResult(sandbox, run, "p1"); }));
  KillEverything(sandbox);
  before = LogOf(sandbox, run);  // of an interrupted run: read with a server started for it
  CHECK(Counts(before).ended_well.contains("p1/1/0"));
  CHECK(sandbox.Processes().empty());
  // While it searches, and again after the first best.
  for (const char* event : {"candidate", "best"}) {
    command = Resume(&sandbox, run);
    REQUIRE(WaitForEvent(command, event));
    KillEverything(sandbox);
    const std::vector<Json> after = LogOf(sandbox, run);
    CheckGoesOn(before, after);
    before = after;
  }
  CHECK(sandbox.Run({"kevolve", "show", run}).out.find("interrupted: `kevolve resume") !=
        std::string::npos);
  const CommandResult result = Resume(&sandbox, run)->Wait(kLimit);
  CheckWhole(sandbox, result, run, 5);
  CheckGoesOn(before, LogOf(sandbox, run));
  SUBCASE("and then there is nothing to resume") {
    const CommandResult again = sandbox.Run({"kevolve", "resume", run});
    CHECK(again.exit_code == kExitBadInput);
    CHECK_MESSAGE(again.err.find("has ended") != std::string::npos, again.err);
  }
}

TEST_CASE("a run whose engine alone was killed is resumed, whatever of it still lives") {
  Sandbox sandbox;
  RunningCommand* command = StartRun(&sandbox, "3");
  const std::string run = RunIdOf(command);
  REQUIRE(WaitForEvent(command, "candidate"));
  const std::vector<Json> before = LogOf(sandbox, run);
  command->Signal(SIGKILL);
  command->Wait(kLimit);
  CheckWhole(sandbox, Resume(&sandbox, run)->Wait(kLimit), run, 3);
  CheckGoesOn(before, LogOf(sandbox, run));
}

// A store that lost a quarter of its log was gone on with, and nobody was told.
TEST_CASE("what a store had confirmed and lost while no engine lived is found out") {
  Sandbox sandbox;
  RunningCommand* command = sandbox.Start({"kevolve", "run", Fixture("tiny.yaml"), "--candidates",
                                           "9", "--durability", "strict", "--json"});
  const std::string run = RunIdOf(command);
  const std::string mark = sandbox.Path("runs/" + run + "/confirmed");
  REQUIRE(WaitUntil([&] { return std::filesystem::exists(mark); }, std::chrono::seconds(60)));
  KillEverything(sandbox);
  std::istringstream marked(ReadFile(mark));
  uint64_t seq = 0;
  std::string promise;
  REQUIRE(static_cast<bool>(marked >> seq >> promise));
  CHECK(promise == "strict");
  CHECK(seq <= LogOf(sandbox, run).size());
  sandbox.Write("runs/" + run + "/confirmed", "100000 strict\n");
  const CommandResult checked = sandbox.Run({"kevolve", "fsck", run});
  CHECK(checked.exit_code == 7);
  CHECK_MESSAGE(checked.err.find("event 100000 had been confirmed") != std::string::npos,
                checked.err);
  const CommandResult refused = sandbox.Run({"kevolve", "resume", run});
  CHECK(refused.exit_code == 6);
  CHECK_MESSAGE(refused.err.find("event 100000 had been confirmed") != std::string::npos,
                refused.err);
  sandbox.Write("runs/" + run + "/confirmed", "100000 may-lose\n");
  const CommandResult result =
      sandbox.Run({"kevolve", "resume", run, "--json"}, std::chrono::seconds(90));
  CHECK_MESSAGE(result.exit_code == 0, result.err);
  CHECK(result.out.find("event 100000 had been confirmed") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(mark));
}

TEST_CASE("a run that is being driven refuses a second engine, and goes on") {
  Sandbox sandbox;
  RunningCommand* command = StartRun(&sandbox, "3");
  const std::string run = RunIdOf(command);
  REQUIRE(WaitForEvent(command, "candidate"));
  const CommandResult second = sandbox.Run({"kevolve", "resume", run});
  CHECK(second.exit_code == kExitEnvironment);
  CHECK_MESSAGE(second.err.find("another engine") != std::string::npos, second.err);
  CheckWhole(sandbox, command->Wait(kLimit), run, 3);
}

TEST_CASE("a run whose store is killed, again and again, goes on and ends with nothing lost") {
  Sandbox sandbox;
  RunningCommand* command = StartRun(&sandbox, "5");
  const std::string run = RunIdOf(command);
  std::vector<Json> before;
  for (const char* subject : {"p1", "c1", "c3"}) {
    REQUIRE(WaitUntil([&] { return HasResult(sandbox, run, subject); }));
    before = LogOf(sandbox, run);
    const std::vector<pid_t> servers = ProcessesNamed(sandbox, "redis-server");
    REQUIRE(servers.size() == 1);
    kill(servers[0], SIGKILL);
    REQUIRE(WaitUntil([&] {
      const std::vector<pid_t> now = ProcessesNamed(sandbox, "redis-server");
      return now.size() == 1 && now[0] != servers[0] && !LogOf(sandbox, run).empty();
    }));
    CheckGoesOn(before, LogOf(sandbox, run));
  }
  const CommandResult result = command->Wait(kLimit);
  CheckWhole(sandbox, result, run, 5);
  CheckGoesOn(before, LogOf(sandbox, run));
  for (const char* text :
       {"the store was lost", "nothing is given out until it is back", "the store is back"})
    CHECK_MESSAGE(result.out.find(text) != std::string::npos, result.out);
  for (const Json& event : LogOf(sandbox, run)) CHECK(event["event"] != "lost");
}

TEST_CASE("a stage process that dies is started again, and the run ends by itself") {
  Sandbox sandbox;
  RunningCommand* command = StartRun(&sandbox, "3");
  const std::string run = RunIdOf(command);
  REQUIRE(WaitUntil([&] { return HasResult(sandbox, run, "p1"); }));
  const std::vector<pid_t> compilers = ProcessesNamed(sandbox, "kevolve-compile");
  REQUIRE(compilers.size() == 1);
  kill(compilers[0], SIGKILL);
  const CommandResult result = command->Wait(kLimit);
  CheckWhole(sandbox, result, run, 3);
  CHECK(result.out.find("starting it again") != std::string::npos);
  CHECK(WorkersIn(LogOf(sandbox, run), {1}).size() == 2);  // the dead one and its successor
}

// A worker that hung was reported lost and never replaced, so that the run waited for ever.
TEST_CASE("a stage process that hangs is replaced, and the run ends by itself") {
  Sandbox sandbox;
  RunningCommand* command = StartRun(&sandbox, "3");
  const std::string run = RunIdOf(command);
  REQUIRE(WaitUntil([&] { return HasResult(sandbox, run, "p1"); }));
  // What it has just forked, and is not yet another program, counts as well for a moment.
  std::vector<pid_t> verifiers;
  REQUIRE(WaitUntil([&] {
    verifiers = ProcessesNamed(sandbox, "kevolve-verify");
    return verifiers.size() == 1;
  }));
  kill(verifiers[0], SIGSTOP);
  const CommandResult result = command->Wait(kLimit);
  CheckWhole(sandbox, result, run, 3);
  CHECK(result.out.find("starting it again") != std::string::npos);
}

TEST_CASE("Ctrl-C lets the jobs under way end and keeps the state; resume goes on") {
  Sandbox sandbox;
  RunningCommand* command = StartRun(&sandbox, "3");
  const std::string run = RunIdOf(command);
  REQUIRE(WaitForEvent(command, "candidate"));
  command->Signal(SIGINT);
  const CommandResult stopped = command->Wait(kLimit);
  CHECK(stopped.exit_code == kExitInterrupted);
  CHECK_MESSAGE(stopped.err.find("kevolve resume " + run) != std::string::npos, stopped.err);
  CHECK(DoneLine(stopped)["status"] == "interrupted");
  CHECK(sandbox.Processes().empty());
  const std::vector<Json> before = LogOf(sandbox, run);
  for (const Json& event : before) CHECK(event["event"] != "lost");
  CheckWhole(sandbox, Resume(&sandbox, run)->Wait(kLimit), run, 3);
  CheckGoesOn(before, LogOf(sandbox, run));
}

TEST_CASE("Ctrl-C twice stops at once and keeps the state; resume goes on") {
  Sandbox sandbox;
  RunningCommand* command = StartRun(&sandbox, "3");
  const std::string run = RunIdOf(command);
  REQUIRE(WaitForEvent(command, "candidate"));
  // A profile process that does not answer would hold an orderly stop up for ten seconds.
  const std::vector<pid_t> held = ProcessesNamed(sandbox, "kevolve-profile");
  REQUIRE(held.size() == 1);
  kill(held[0], SIGSTOP);
  command->Signal(SIGINT);
  REQUIRE(command->WaitForOutput("Ctrl-C again stops at once", kLimit));
  command->Signal(SIGINT);
  const CommandResult stopped = command->Wait(kLimit);
  CHECK(stopped.exit_code == kExitInterrupted);
  CHECK_MESSAGE(stopped.err.find("kevolve resume " + run) != std::string::npos, stopped.err);
  CHECK(WaitUntil([&] { return sandbox.Processes().empty(); }));
  CheckWhole(sandbox, Resume(&sandbox, run)->Wait(kLimit), run, 3);
}

TEST_CASE("of three that resume a run at once one has it, and the others are told who") {
  Sandbox sandbox;
  RunningCommand* command =
      sandbox.Start({"kevolve", "run", Fixture("tiny.yaml"), "--candidates", "9", "--json"});
  const std::string run = RunIdOf(command);
  REQUIRE(WaitForEvent(command, "candidate"));
  KillEverything(sandbox);
  std::vector<RunningCommand*> resumed;
  for (int i = 0; i < 3; ++i)
    resumed.push_back(sandbox.Start({"kevolve", "resume", run, "--json"}));
  int done = 0;
  for (RunningCommand* each : resumed) {
    const CommandResult result = each->Wait(kLimit);
    if (result.exit_code == kExitDone) {
      ++done;
      continue;
    }
    CHECK(result.exit_code == kExitEnvironment);
    Contains(result.err, {"(pid "});
  }
  CHECK(done == 1);
}

TEST_CASE("a run whose log has begun to leave the store goes on that way, asked for or not") {
  Sandbox sandbox;
  RunningCommand* command = sandbox.Start({"kevolve", "run", Fixture("tiny.yaml"), "--candidates",
                                           "9", "--snapshot-every", "20", "--json"});
  const std::string run = RunIdOf(command);
  const std::string folder = sandbox.Path("runs/" + run);
  REQUIRE(WaitUntil([&] { return !ReadFile(folder + "/blobs.index").empty(); }, kLimit));
  KillEverything(sandbox);
  const CommandResult result = Resume(&sandbox, run)->Wait(kLimit);
  CHECK_MESSAGE(result.exit_code == 0, result.err);
  CHECK(DoneLine(result)["candidates"] == 9);
  for (const char* what : {"fsck", "replay"}) {
    const CommandResult checked = sandbox.Run({"kevolve", what, run});
    CHECK_MESSAGE(checked.exit_code == 0, checked.err);
  }
  CHECK_FALSE(std::filesystem::exists(folder + "/blobs"));
  CHECK_FALSE(std::filesystem::exists(folder + "/log.kevrun"));
  // With a larger budget after its end, from the archive.
  const CommandResult more =
      sandbox.Run({"kevolve", "resume", run, "--candidates", "10", "--json"}, kLimit);
  CHECK_MESSAGE(more.exit_code == 0, more.err);
  CHECK(DoneLine(more)["candidates"] == 10);
}

TEST_CASE("a run that was killed between its end and its archive is archived by resume") {
  Sandbox sandbox;
  RunningCommand* command = StartRun(&sandbox, "2");
  const std::string run = RunIdOf(command);
  // A pipe that nobody reads, where the archive is about to be written: the engine waits there.
  const std::string folder = sandbox.Path("runs/" + run);
  const std::string part = folder + "/run.kevrun.part";
  REQUIRE(mkfifo(part.c_str(), 0600) == 0);
  REQUIRE(WaitUntil([&] { return fs::exists(folder + "/best/tiny.c"); }));
  CHECK_FALSE(fs::exists(folder + "/run.kevrun"));
  KillEverything(sandbox);
  fs::remove(part);
  const std::vector<Json> before = LogOf(sandbox, run);
  CheckWhole(sandbox, Resume(&sandbox, run)->Wait(kLimit), run, 2);
  CHECK(LogOf(sandbox, run) == before);  // nothing was left to do
}
