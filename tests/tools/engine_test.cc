// kevolve engine: many runs as a service, that its death, its store's death and a second engine do
// not harm.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>

#include "tests/tools/support/contains.h"
#include "tests/tools/support/foreign_redis.h"
#include "tests/tools/support/service.h"
#include "tools/live/exit_code.h"

using namespace kev;
using namespace kev::test;
namespace fs = std::filesystem;

TEST_CASE("a service drives what is submitted, to the same end as `kevolve run`") {
  Sandbox sandbox;
  RunningCommand* engine = StartService(&sandbox);
  const CommandResult result =
      sandbox.Run({"kevolve", "run", Fixture("tiny.yaml"), "--candidates", "3", "--engine",
                   "default", "--json", "-o", sandbox.Path("best.c")});
  INFO(result.err);
  CHECK(result.exit_code == kExitDone);
  const Json done = DoneLine(result);
  CHECK(done["candidates"] == 3);
  CHECK(done["best"]["source"] == sandbox.Path("best.c"));
  CHECK(ReadFile(sandbox.Path("best.c")).find("scale") != std::string::npos);
  CheckEndedWhole(sandbox, done["run"], 3);
  engine->Signal(SIGTERM);
  CHECK(engine->Wait(kServiceLimit).exit_code == kExitDone);
  CHECK(sandbox.Processes().empty());
}

TEST_CASE("one key gives one run, however often it is submitted; for other work it is refused") {
  Sandbox sandbox;
  StartService(&sandbox);
  const std::string first = Submit(sandbox, "2", {"--key", "nightly"});
  REQUIRE(!first.empty());
  CHECK(Submit(sandbox, "2", {"--key", "nightly"}) == first);
  CheckEndedWhole(sandbox, first, 2);
  CHECK(Submit(sandbox, "2", {"--key", "nightly"}) == first);  // after its end, too
  const CommandResult other =
      sandbox.Run({"kevolve", "run", Fixture("tiny.yaml"), "--candidates", "9", "--engine",
                   "default", "--detach", "--key", "nightly"});
  CHECK(other.exit_code == kExitBadInput);
  Contains(other.err, {"nightly", "another submission", first.c_str()});
  CHECK(sandbox.RunIds().size() == 1);
  // A run that was removed takes its key along.
  REQUIRE(sandbox.Run({"kevolve", "rm", first}).exit_code == kExitDone);
  const std::string second = Submit(sandbox, "2", {"--key", "nightly"});
  CHECK(!second.empty());
  CHECK(second != first);
  CheckEndedWhole(sandbox, second, 2);
  CHECK(Submit(sandbox, "2", {"--key", ""}).empty());
}

TEST_CASE("a run is paused, given a larger budget and resumed; and extended the moment it ends") {
  Sandbox sandbox;
  StartService(&sandbox);
  const std::string run = Submit(sandbox, "3");
  REQUIRE(sandbox.Run({"kevolve", "pause", run}).exit_code == kExitDone);
  const CommandResult wrong =
      sandbox.Run({"kevolve", "resume", run, "--engine", "default", "--candidates", "-5"});
  CHECK(wrong.exit_code == kExitBadInput);
  Contains(wrong.err, {"candidates=-5"});
  const CommandResult resumed =
      sandbox.Run({"kevolve", "resume", run, "--engine", "default", "--candidates", "4"});
  CHECK_MESSAGE(resumed.exit_code == kExitDone, resumed.err);
  Contains(resumed.out, {"has a new budget", "goes on"});
  const CommandResult attached = sandbox.Run({"kevolve", "attach", run, "--json"}, kServiceLimit);
  CHECK_MESSAGE(attached.exit_code == kExitDone, attached.err);
  CHECK(DoneLine(attached)["candidates"] == 4);
  // Its engine may not have let it go yet.
  const CommandResult more =
      sandbox.Run({"kevolve", "resume", run, "--candidates", "5", "--json"}, kServiceLimit);
  CHECK_MESSAGE(more.exit_code == kExitDone, more.err);
  CHECK(DoneLine(more)["candidates"] == 5);
}

TEST_CASE("two runs share one engine fairly, each with its own budget") {
  Sandbox sandbox;
  StartService(&sandbox);
  const std::string a = Submit(sandbox, "5");
  const std::string b = Submit(sandbox, "3");
  REQUIRE(!a.empty());
  REQUIRE(!b.empty());
  // The later one does not wait for the earlier one's end.
  REQUIRE(WaitUntil([&] { return HasCandidateResult(sandbox, b, "c1"); }, kServiceLimit));
  CHECK_FALSE(Archived(sandbox, a));
  CheckEndedWhole(sandbox, a, 5);
  CheckEndedWhole(sandbox, b, 3);
}

TEST_CASE("an engine that was killed takes its unfinished runs up again") {
  Sandbox sandbox;
  RunningCommand* engine = StartService(&sandbox);
  const std::string run = Submit(sandbox, "3", {"--key", "k"});
  REQUIRE(WaitUntil([&] { return HasCandidateResult(sandbox, run, "c1"); }, kServiceLimit));
  engine->Signal(SIGKILL);
  engine->Wait(kServiceLimit);
  const std::vector<Json> before = LogOf(sandbox, run);  // with a server started for it
  CHECK(!before.empty());
  StartService(&sandbox);
  CHECK(Submit(sandbox, "3", {"--key", "k"}) == run);
  CheckEndedWhole(sandbox, run, 3);
  const std::vector<Json> after = LogOf(sandbox, run);
  REQUIRE(after.size() > before.size());
  CHECK(std::equal(before.begin(), before.end(), after.begin()));
}

TEST_CASE("the death of a service's store is mended, and attach hears nothing of it but a note") {
  Sandbox sandbox;
  RunningCommand* engine = StartService(&sandbox);
  const std::string run = Submit(sandbox, "3");
  RunningCommand* attached = sandbox.Start({"kevolve", "attach", run, "--json"});
  REQUIRE(WaitForEvent(attached, "candidate"));
  const std::vector<pid_t> servers = ProcessesNamed(sandbox, "redis-server");
  REQUIRE(servers.size() == 1);
  kill(servers[0], SIGKILL);
  const CommandResult result = attached->Wait(kServiceLimit);
  CHECK_MESSAGE(result.exit_code == kExitDone, result.err);
  CHECK(DoneLine(result)["candidates"] == 3);
  CheckEndedWhole(sandbox, run, 3);
  Contains(engine->OutSoFar(), {"the store was lost", "the store is back"});
}

TEST_CASE("a store that dies while a service has no run is mended, too") {
  Sandbox sandbox;
  RunningCommand* engine = StartService(&sandbox);
  const std::vector<pid_t> servers = ProcessesNamed(sandbox, "redis-server");
  REQUIRE(servers.size() == 1);
  kill(servers[0], SIGKILL);
  std::string run;
  REQUIRE(WaitUntil([&] { return !(run = Submit(sandbox, "1")).empty(); }, kServiceLimit));
  CheckEndedWhole(sandbox, run, 1);
  Contains(engine->OutSoFar(), {"the store was lost", "the store is back"});
}

TEST_CASE("what a service could not take up stays whole, and is taken up when it can be") {
  Sandbox sandbox;
  const std::vector<std::string> options{"--snapshot-every", "20"};
  RunningCommand* engine = StartService(&sandbox, options);
  const std::string run = Submit(sandbox, "12");
  REQUIRE(WaitUntil(
      [&] {
        return fs::exists(sandbox.Path("runs/" + run + "/log.kevrun")) &&
               fs::file_size(sandbox.Path("engine/default/blobs.index")) > 0;
      },
      kServiceLimit));
  engine->Signal(SIGKILL);
  engine->Wait(kServiceLimit);
  // It seems that the store has lost what it had confirmed.
  const std::string mark = sandbox.Path("runs/" + run + "/confirmed"), before = ReadFile(mark);
  std::ofstream(mark) << "999999 strict\n";
  engine = StartService(&sandbox, options);
  Contains(engine->OutSoFar(), {run.c_str(), "is not taken up", "had been confirmed"});
  // When another one has ended, the service looks whether any run is left.
  CheckEndedWhole(sandbox, Submit(sandbox, "1"), 1);
  engine->Signal(SIGTERM);
  const CommandResult stopped = engine->Wait(kServiceLimit);
  CHECK(stopped.out.find("stopped; 0 unfinished") == std::string::npos);
  std::ofstream(mark) << before;
  const Json fsck = DoneLine(sandbox.Run({"kevolve", "fsck", run, "--json"}));
  CHECK(fsck["missing_blobs"] == 0);
  CHECK(fsck["good"] == true);
  // Somebody who reads it has its lock for a moment.
  const std::string held = sandbox.Path("held");
  RunningCommand reader(
      {"flock", sandbox.Path("runs/" + run + "/lock"), "sh", "-c", "touch '" + held + "'; sleep 3"},
      {}, sandbox.home());
  REQUIRE(WaitUntil([&] { return fs::exists(held); }));
  engine = StartService(&sandbox, options);
  Contains(engine->OutSoFar(), {run.c_str(), "is not taken up"});
  CheckEndedWhole(sandbox, run, 12);
  Contains(engine->OutSoFar(), {run.c_str(), "is taken up"});
}

TEST_CASE("a second engine on the same folder is refused and told who has it") {
  Sandbox sandbox;
  RunningCommand* engine = StartService(&sandbox);
  const CommandResult second = sandbox.Run({"kevolve", "engine"});
  CHECK(second.exit_code == kExitEnvironment);
  Contains(second.err, {"another engine", ("pid " + std::to_string(engine->pid())).c_str(),
                        "on host", "since"});
  const std::string run = Submit(sandbox, "2");
  CheckEndedWhole(sandbox, run, 2);
}

void CheckStandbyTakesOver(Sandbox& sandbox, const std::vector<std::string>& more) {
  RunningCommand* first = StartService(&sandbox, more);
  std::vector<std::string> words{"kevolve", "engine", "--standby", "--json"};
  words.insert(words.end(), more.begin(), more.end());
  RunningCommand* second = sandbox.Start(words);
  REQUIRE(second->WaitForOutput("standing by", kServiceLimit));
  const std::string run = Submit(sandbox, "4");
  RunningCommand* attached = sandbox.Start({"kevolve", "attach", run, "--json"});
  REQUIRE(WaitForEvent(attached, "candidate"));
  CHECK(second->OutSoFar().find("taking over") == std::string::npos);
  first->Signal(SIGKILL);
  RunningCommand* between = sandbox.Start({"kevolve", "attach", run, "--json"});
  REQUIRE(second->WaitForOutput("taking over", kServiceLimit));
  CHECK(between->Wait(kServiceLimit).exit_code == kExitDone);  // no engine lived when it began
  const CommandResult result = attached->Wait(kServiceLimit);
  CHECK_MESSAGE(result.exit_code == kExitDone, result.err);
  CheckEndedWhole(sandbox, run, 4);
  std::set<int> epochs;
  for (const Json& event : LogOf(sandbox, run)) {
    if (event["event"] == "epoch") epochs.insert(event["epoch"].get<int>());
  }
  CHECK(epochs == std::set<int>{2});
}

TEST_CASE("a standby takes over when the first engine dies, and the work ends") {
  Sandbox sandbox;
  CheckStandbyTakesOver(sandbox, {});
}

TEST_CASE("of two that stand by one takes over, and the other stands by for it") {
  Sandbox sandbox;
  RunningCommand* first = StartService(&sandbox);
  std::vector<RunningCommand*> standbys;
  for (int i = 0; i < 2; ++i) {
    standbys.push_back(sandbox.Start({"kevolve", "engine", "--standby", "--json"}));
    REQUIRE(standbys.back()->WaitForOutput("standing by", kServiceLimit));
  }
  first->Signal(SIGKILL);
  const auto took = [](RunningCommand* c) {
    return c->OutSoFar().find("taking over") != std::string::npos;
  };
  REQUIRE(WaitUntil([&] { return took(standbys[0]) || took(standbys[1]); }, kServiceLimit));
  RunningCommand* second = standbys[took(standbys[0]) ? 0 : 1];
  RunningCommand* third = standbys[took(standbys[0]) ? 1 : 0];
  REQUIRE(third->WaitForOutput("pid " + std::to_string(second->pid()), kServiceLimit));
  CHECK_FALSE(took(third));
  second->Signal(SIGKILL);
  REQUIRE(third->WaitForOutput("taking over", kServiceLimit));
}

TEST_CASE("a standby takes over an external store") {
  Sandbox sandbox;
  ForeignRedis redis(sandbox, "always");
  CheckStandbyTakesOver(sandbox, {"--store", redis.Url()});
}

// Compaction, made frequent: what was trimmed is read from the run's file by everything.
// A service that compacts its run early, its store, and what redis-cli says of that.
void CheckCompacted(Sandbox& sandbox, const std::vector<std::string>& options,
                    const std::function<std::string(std::vector<std::string>)>& cli,
                    const std::function<void(const std::string& run)>& while_live) {
  RunningCommand* engine = StartService(&sandbox, options);
  const std::string run = Submit(sandbox, "12");
  const std::string key = "kev:{" + run + "}:";
  REQUIRE(cli({"EXISTS", key + "run"}) == "1\n");
  // The first request's record is taken away with the snapshot after the one that has its end.
  REQUIRE(WaitUntil(
      [&] {
        return cli({"EXISTS", key + "snap"}) == "1\n" && cli({"EXISTS", key + "req:1"}) == "0\n";
      },
      kServiceLimit));
  // The store has not all of it any more.
  CHECK(cli({"XRANGE", key + "log", "-", "+", "COUNT", "1"}).find("1-0") != 0);
  while_live(run);
  engine->Signal(SIGKILL);
  engine->Wait(kServiceLimit);
  const CommandResult checked = sandbox.Run({"kevolve", "fsck", run, "--json"});
  CHECK_MESSAGE(checked.exit_code == kExitDone, checked.err);
  CHECK(DoneLine(checked)["missing_blobs"] == 0);
  const std::vector<Json> before = LogOf(sandbox, run);
  REQUIRE(!before.empty());
  CHECK(before[0]["seq"] == 1);
  const std::string file = sandbox.Path("half.kevrun");
  CHECK(sandbox.Run({"kevolve", "export", run, "-o", file}).exit_code == kExitDone);
  CHECK(LogOf(sandbox, file).size() == before.size());
  CHECK(sandbox.Run({"kevolve", "fsck", file}).exit_code == kExitDone);
  Contains(sandbox.Run({"kevolve", "show", run, "c1", "--source"}).out, {"c1", "scale"});
  StartService(&sandbox, options);
  CheckEndedWhole(sandbox, run, 12);
  CHECK(sandbox.Run({"kevolve", "fsck", run}).exit_code == kExitDone);
  Contains(sandbox.Run({"kevolve", "best", run}).out, {"scale"});
  const std::vector<Json> after = LogOf(sandbox, run);
  REQUIRE(after.size() > before.size());
  CHECK(std::equal(before.begin(), before.end(), after.begin()));
}

TEST_CASE("a compacted run is whole to all who look at it, and goes on after a restart") {
  Sandbox sandbox;
  SUBCASE("in an external store, where its blobs stay: others may name them") {
    ForeignRedis redis(sandbox, "always");
    CheckCompacted(
        sandbox, {"--snapshot-every", "20", "--store", redis.Url()},
        [&](const std::vector<std::string>& words) { return redis.Cli(words); },
        [&](const std::string&) { CHECK_FALSE(fs::exists(sandbox.Path("engine/default/blobs"))); });
  }
  SUBCASE("in the engine's own, which its blobs leave for a file") {
    const auto cli = [&](std::vector<std::string> words) {
      words.insert(words.begin(),
                   {"redis-cli", "-s", sandbox.Path("engine/default/redis/redis.sock")});
      return RunningCommand(words, {}, sandbox.home()).Wait(kServiceLimit).out;
    };
    const auto blobs = [&] {
      const std::string names = cli({"--scan", "--pattern", "kev:blob:*"});
      return std::count(names.begin(), names.end(), '\n');
    };
    CheckCompacted(sandbox, {"--snapshot-every", "20"}, cli, [&](const std::string& run) {
      const Json fsck = DoneLine(sandbox.Run({"kevolve", "fsck", run, "--json"}));
      CHECK(fsck["missing_blobs"] == 0);
      const std::string index = sandbox.Path("engine/default/blobs.index");
      const auto moved = static_cast<int64_t>(fs::file_size(index) / 52);
      CHECK(moved >= 10);
      const std::string c1 =
          Json::parse(sandbox.Run({"kevolve", "show", run, "c1", "--json"}).out)["source"];
      CHECK(cli({"EXISTS", "kev:blob:" + c1}) == "0\n");
    });
    // No run is left that could name one.
    CHECK(WaitUntil(
        [&] { return blobs() == 0 && fs::file_size(sandbox.Path("engine/default/blobs")) == 0; }));
  }
}

TEST_CASE("a standby that is told to stop leaves the first engine alone") {
  Sandbox sandbox;
  StartService(&sandbox);
  RunningCommand* second = sandbox.Start({"kevolve", "engine", "--standby"});
  REQUIRE(second->WaitForOutput("standing by", kServiceLimit));
  second->Signal(SIGTERM);
  CHECK(second->Wait(kServiceLimit).exit_code == 130);
  CheckEndedWhole(sandbox, Submit(sandbox, "2"), 2);
}

// Workers outlive the engine; what they hold when it dies counts when it is back.
TEST_CASE("workers from outside keep their work over the death of the engine") {
  Sandbox sandbox;
  RunningCommand* engine =
      StartService(&sandbox, {"--workers", "none", "--listen", "tcp://127.0.0.1:0"});
  const std::string endpoint = TcpEndpoint(engine);
  REQUIRE(!endpoint.empty());
  const std::string access = sandbox.Path("for-workers");
  CHECK(sandbox.Run({"kevolve", "access", "--role", "worker", "-o", access}).exit_code ==
        kExitDone);
  // A worker's key lets nobody give orders.
  const CommandResult orders = sandbox.Run({"kevolve", "workers", "--access", access});
  CHECK(orders.exit_code == kExitEnvironment);
  Contains(orders.err, {"no keys for a client"});
  const std::string client = sandbox.Path("for-clients");
  CHECK(sandbox.Run({"kevolve", "access", "--role", "client", "-o", client}).exit_code ==
        kExitDone);
  CHECK(sandbox.Run({"kevolve", "workers", "--access", client}).exit_code == kExitDone);
  const CommandResult drain = sandbox.Run({"kevolve", "drain", "x:1", "--access", client});
  CHECK(drain.exit_code == kExitEnvironment);
  std::vector<RunningCommand*> workers;
  for (const char* stage : {"propose", "compile", "verify", "profile", "select"}) {
    workers.push_back(sandbox.Start({"kevolve", "worker", "--stage", stage, "--connect", endpoint,
                                     "--access", access, "--engine-lost-grace", "60s"}));
  }
  // One job at a time: whatever is open is with a worker.
  const std::string run = Submit(sandbox, "4", {}, "sequential.yaml");
  REQUIRE(!run.empty());
  REQUIRE(WaitUntil([&] { return HasCandidateResult(sandbox, run, "c1"); }, kServiceLimit));
  CHECK(fs::exists(sandbox.Path("runs/" + run + "/outside-workers")));
  // The engine dies while a worker is in the midst of a job, and is held there.
  const pid_t profiler = workers[3]->pid();
  const auto taken = [&] {
    const Json why = DoneLine(sandbox.Run({"kevolve", "explain", run, "screen", "--json"}));
    return why.is_object() && why.value("taken", 0) == 1;
  };
  REQUIRE(WaitUntil([&] {
    if (!taken()) return false;
    kill(profiler, SIGSTOP);
    if (taken()) return true;
    kill(profiler, SIGCONT);
    return false;
  }));
  engine->Signal(SIGKILL);
  engine->Wait(kServiceLimit);
  kill(profiler, SIGCONT);
  RunningCommand* again = StartService(&sandbox, {"--workers", "none", "--listen", endpoint});
  CheckEndedWhole(sandbox, run, 4);
  INFO(sandbox.Run({"kevolve", "log", run}).out << again->OutSoFar());
  // Nothing was done twice: every attempt is a first one.
  for (const Json& event : LogOf(sandbox, run)) {
    if (event["event"] == "result") CHECK_MESSAGE(event["attempt"] == 1, event.dump());
  }
  for (RunningCommand* worker : workers) CHECK(!ProgramOf(worker->pid()).empty());
  again->Signal(SIGTERM);
  again->Wait(kServiceLimit);
}

TEST_CASE("what a service cannot use is refused in words") {
  Sandbox sandbox;
  const CommandResult durable = sandbox.Run(
      {"kevolve", "run", Fixture("tiny.yaml"), "--engine", "default", "--durability", "fast"});
  CHECK(durable.exit_code == kExitBadInput);
  Contains(durable.err, {"--durability", "was told its own"});
  const CommandResult name = sandbox.Run({"kevolve", "engine", "--name", "../x"});
  CHECK(name.exit_code == kExitBadInput);
  Contains(name.err, {"'../x'", "cannot be an engine's name"});
  const CommandResult store = sandbox.Run({"kevolve", "engine", "--store", "http://x"});
  CHECK(store.exit_code == kExitBadInput);
  Contains(store.err, {"http://x", "redis://host:port"});
  const CommandResult away = sandbox.Run({"kevolve", "engine", "--store", "redis://127.0.0.1:1"});
  CHECK(away.exit_code == kExitEnvironment);
  Contains(away.err, {"tcp://127.0.0.1:1", "--store"});
  const CommandResult size = sandbox.Run({"kevolve", "engine", "--keep-free", "much"});
  CHECK(size.exit_code == kExitBadInput);
  Contains(size.err, {"--keep-free much", "64M"});
  const CommandResult nobody =
      sandbox.Run({"kevolve", "run", Fixture("tiny.yaml"), "--engine", "nosuch", "--detach"});
  CHECK(nobody.exit_code == kExitBadInput);
  Contains(nobody.err, {"there is no engine 'nosuch'", "kevolve engine"});
  const CommandResult gone =
      sandbox.Run({"kevolve", "run", Fixture("tiny.yaml"), "--engine", "default", "--detach"});
  CHECK(gone.exit_code == kExitEnvironment);
  Contains(gone.err, {"no engine answers at", "engine.sock"});
  const CommandResult alone = sandbox.Run({"kevolve", "run", Fixture("tiny.yaml"), "--detach"});
  CHECK(alone.exit_code == kExitBadInput);
  Contains(alone.err, {"--engine"});
}
