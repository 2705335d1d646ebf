// The store of a run or a service, as its user may spoil it: emptied, silent, gone, less durable
// than was asked for, or somebody else's.
#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>

#include "tests/tools/support/contains.h"
#include "tests/tools/support/foreign_redis.h"
#include "tools/live/exit_code.h"

using namespace kev;
using namespace kev::test;
namespace fs = std::filesystem;

TEST_CASE("a store that may throw keys away is refused") {
  Sandbox sandbox;
  ForeignRedis redis(sandbox, "always");
  redis.Cli({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
  const CommandResult result = sandbox.Run({"kevolve", "engine", "--store", redis.Url()});
  CHECK(result.exit_code != kExitDone);
  Contains(result.err, {"maxmemory-policy allkeys-lru", "noeviction"});
}

TEST_CASE("a store that was emptied is refused with what was expected and what is there") {
  Sandbox sandbox;
  RunningCommand* engine = StartService(&sandbox);
  const std::string run = Submit(sandbox, "5");
  REQUIRE(WaitUntil([&] { return HasCandidateResult(sandbox, run, "c1"); }, kServiceLimit));
  KillEverything(sandbox);
  engine->Wait(kServiceLimit);
  SUBCASE("its files are gone") {
    fs::remove_all(sandbox.Path("engine/default/redis/appendonlydir"));
    const CommandResult refused = sandbox.Run({"kevolve", "engine"});
    CHECK(refused.exit_code == kExitStoreLost);
    Contains(refused.err, {"appendonlydir", "are gone", "Nothing was started", "Put them back"});
  }
  SUBCASE("another one stands in its place") {
    fs::rename(sandbox.Path("engine/default/redis"), sandbox.Path("kept"));
    fs::rename(sandbox.Path("engine/default/store"), sandbox.Path("kept-name"));
    RunningCommand* other = StartService(&sandbox);  // of its own; has nothing of the run
    REQUIRE(other->WaitForOutput("is ready", std::chrono::seconds(0)) == false);
    Contains(other->OutSoFar(), {"is not taken up", "is not the one that run", "engine(s)"});
    other->Signal(SIGTERM);
    other->Wait(kServiceLimit);
    fs::remove(sandbox.Path("engine/default/store"));
    fs::rename(sandbox.Path("kept-name"), sandbox.Path("engine/default/store"));
    const CommandResult refused = sandbox.Run({"kevolve", "engine"});
    CHECK(refused.exit_code == kExitStoreLost);
    Contains(refused.err, {"is not ours", "names the data set", "Nothing was changed"});
    fs::remove_all(sandbox.Path("engine/default/redis"));
    fs::rename(sandbox.Path("kept"), sandbox.Path("engine/default/redis"));
    StartService(&sandbox);  // the right one: it goes on
    CheckEndedWhole(sandbox, run, 5);
  }
}

TEST_CASE("a run in an external store survives that store's death, and leaves nothing in it") {
  Sandbox sandbox;
  ForeignRedis redis(sandbox, "always");
  RunningCommand* command = sandbox.Start({"kevolve", "run", Fixture("tiny.yaml"), "--candidates",
                                           "4", "--json", "--store", redis.Url()});
  const std::string run = RunIdOf(command);
  REQUIRE(WaitForEvent(command, "candidate"));
  redis.Kill();
  REQUIRE(command->WaitForOutput("nothing is given out until it is back", kServiceLimit));
  SUBCASE("it comes back with its data: the run goes on") {
    redis.Start();
    const CommandResult result = command->Wait(kServiceLimit);
    CHECK_MESSAGE(result.exit_code == kExitDone, result.err);
    CHECK(DoneLine(result)["candidates"] == 4);
    CHECK(sandbox.Run({"kevolve", "replay", run}).exit_code == kExitDone);
    CHECK(redis.Cli({"--scan", "--pattern", "kev:{*"}).empty());
  }
  SUBCASE("it comes back empty: the run is not begun anew in it") {
    fs::remove_all(redis.Folder() + "/appendonlydir");
    redis.Start();
    const CommandResult result = command->Wait(kServiceLimit);
    CHECK(result.exit_code == kExitStoreLost);
    Contains(result.err, {"is not ours", "it is empty", "Nothing was changed"});
    const CommandResult again = sandbox.Run({"kevolve", "resume", run});
    CHECK(again.exit_code == kExitStoreLost);
    Contains(again.err, {"it is empty"});
  }
}

TEST_CASE("a store that does not answer is told of, and nobody waits for it for ever") {
  Sandbox sandbox;
  RunningCommand* command =
      sandbox.Start({"kevolve", "run", Fixture("tiny.yaml"), "--candidates", "6", "--json"});
  const std::string run = RunIdOf(command);
  REQUIRE(WaitForEvent(command, "candidate"));
  const std::vector<pid_t> servers = ProcessesNamed(sandbox, "redis-server");
  REQUIRE(servers.size() == 1);
  kill(servers[0], SIGSTOP);
  RunningCommand* show = sandbox.Start({"kevolve", "show", run});
  RunningCommand* list = sandbox.Start({"kevolve", "list"});
  REQUIRE(command->WaitForOutput("has not answered for", kServiceLimit));
  Contains(sandbox.Run({"kevolve", "explain", run}).out, {"it waits for the store"});
  const CommandResult shown = show->Wait(kServiceLimit);
  CHECK(shown.exit_code == kExitEnvironment);
  Contains(shown.err, {"has not answered for 15 s"});
  const CommandResult listed = list->Wait(kServiceLimit);
  CHECK(listed.exit_code == kExitDone);
  Contains(listed.out, {run.c_str(), "unreadable"});
  kill(servers[0], SIGCONT);
  const CommandResult result = command->Wait(kServiceLimit);
  CHECK_MESSAGE(result.exit_code == kExitDone, result.err);
  CHECK(result.out.find("answers again") != std::string::npos);
  CHECK(DoneLine(result)["candidates"] == 6);
}

TEST_CASE("a server whose files have vanished is not started again on nothing") {
  Sandbox sandbox;
  RunningCommand* command =
      sandbox.Start({"kevolve", "run", Fixture("tiny.yaml"), "--candidates", "6", "--json"});
  const std::string run = RunIdOf(command);
  REQUIRE(WaitForEvent(command, "candidate"));
  const std::string files = sandbox.Path("runs/" + run + "/redis/appendonlydir");
  fs::rename(files, files + ".away");
  for (const pid_t server : ProcessesNamed(sandbox, "redis-server")) kill(server, SIGKILL);
  const CommandResult result = command->Wait(kServiceLimit);
  CHECK(result.exit_code == kExitStoreLost);
  Contains(result.err, {"appendonlydir", "are gone", "Nothing was started", "Put them back"});
  CHECK_FALSE(fs::exists(files));
  for (const char* what : {"show", "resume", "fsck"}) {
    const CommandResult later = sandbox.Run({"kevolve", what, run});
    CHECK(later.exit_code == kExitStoreLost);
    Contains(later.err, {"appendonlydir", "Put them back"});
    CHECK_FALSE(fs::exists(files));
  }
  fs::rename(files + ".away", files);
  const CommandResult resumed = sandbox.Run({"kevolve", "resume", run, "--json"}, kServiceLimit);
  CHECK_MESSAGE(resumed.exit_code == kExitDone, resumed.err);
  CHECK(DoneLine(resumed)["candidates"] == 6);
}

TEST_CASE("an external store that is less durable than was asked for is refused") {
  Sandbox sandbox;
  ForeignRedis redis(sandbox, "everysec");
  const CommandResult refused =
      sandbox.Run({"kevolve", "run", Fixture("tiny.yaml"), "--store", redis.Url()});
  CHECK(refused.exit_code == kExitBadInput);
  Contains(refused.err, {"appendfsync everysec", "less than was asked for", "--durability"});
  CHECK(sandbox.RunIds().empty());
  const CommandResult normal = sandbox.Run({"kevolve", "run", Fixture("tiny.yaml"), "--candidates",
                                            "1", "--store", redis.Url(), "--durability", "normal"},
                                           kServiceLimit);
  CHECK_MESSAGE(normal.exit_code == kExitDone, normal.err);
}
