// What is kept of runs: rm, gc, export, import, fsck; with files and projections that were damaged.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/tools/support/contains.h"
#include "tests/tools/support/service.h"
#include "tools/live/stored_run.h"

using namespace kev::test;
namespace fs = std::filesystem;

namespace {

constexpr int kExitDone = 0, kExitBadInput = 2, kExitEnvironment = 5, kExitStoreLost = 6,
              kExitDiffers = 7;

std::string Ended(Sandbox* sandbox, const std::string& candidates = "2") {
  RunningCommand* command = sandbox->Start(
      {"kevolve", "run", Fixture("tiny.yaml"), "--candidates", candidates, "--json"});
  const std::string run = RunIdOf(command);
  REQUIRE(command->Wait(kServiceLimit).exit_code == kExitDone);
  return run;
}

std::string Interrupted(Sandbox* sandbox) {
  RunningCommand* command =
      sandbox->Start({"kevolve", "run", Fixture("tiny.yaml"), "--candidates", "6", "--json"});
  const std::string run = RunIdOf(command);
  REQUIRE(WaitForEvent(command, "candidate"));
  KillEverything(*sandbox);
  return run;
}

// Whether it has candidates; a moment earlier it is told to try again.
bool HasBegun(const Sandbox& sandbox, const std::string& run) {
  const CommandResult shown = sandbox.Run({"kevolve", "show", run, "--json"});
  if (shown.exit_code == kExitEnvironment) Contains(shown.err, {"try again in a moment"});
  return shown.exit_code == kExitDone && DoneLine(shown)["candidates"] > 0;
}

std::string Archive(const Sandbox& sandbox, const std::string& run) {
  return sandbox.Path("runs/" + run + "/run.kevrun");
}

// One command to a redis-server on the run's files, started for it; what it printed.
std::string Redis(const Sandbox& sandbox, const std::string& run, std::vector<std::string> words) {
  const std::string folder = sandbox.Path("runs/" + run + "/redis");
  const std::string socket = sandbox.Path("r.sock");
  RunningCommand server({"redis-server", "--port", "0", "--unixsocket", socket, "--dir", folder,
                         "--appendonly", "yes", "--save", ""},
                        {}, sandbox.home());
  const auto cli = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"redis-cli", "-s", socket});
    return RunningCommand(more, {}, sandbox.home()).Wait(std::chrono::seconds(20));
  };
  REQUIRE(WaitUntil([&] { return cli({"PING"}).out.find("PONG") != std::string::npos; }));
  const CommandResult result = cli(std::move(words));
  CHECK_MESSAGE(result.exit_code == 0, result.out << result.err);
  cli({"SHUTDOWN"});
  server.Wait(std::chrono::seconds(20));
  return result.out;
}

// Starts a command that drives the sandbox's run, and kills it all when the run's log file has
// grown by so much.
void DriveAndKill(Sandbox* sandbox, std::vector<std::string> words, uint64_t grown) {
  words.insert(words.end(), {"--durability", "normal", "--quiet"});
  const auto size = [&]() -> uint64_t {
    const std::vector<std::string> runs = sandbox->RunIds();
    std::error_code none;
    const uint64_t bytes =
        runs.empty() ? 0 : fs::file_size(sandbox->Path("runs/" + runs[0] + "/log.kevrun"), none);
    return bytes == static_cast<uint64_t>(-1) ? 0 : bytes;
  };
  const uint64_t before = size();
  RunningCommand* command = sandbox->Start(words);
  REQUIRE(WaitUntil([&] { return size() > before + grown; }, kServiceLimit));
  KillEverything(*sandbox);
  command->Wait(kServiceLimit);
}

// A run of null stages that was killed when it had taken snapshots and let records go.
std::string Compacted(Sandbox* sandbox) {
  DriveAndKill(sandbox,
               {"kevolve", "run", Fixture("../../chaos/null.yaml"), "--candidates", "200000",
                "--snapshot-every", "1000"},
               1 << 20);
  return sandbox->RunIds().at(0);
}

}  // namespace

TEST_CASE("rm removes runs that nobody drives, and refuses a live one") {
  Sandbox sandbox;
  const std::string ended = Ended(&sandbox);
  const std::string interrupted = Interrupted(&sandbox);
  RunningCommand* command =
      sandbox.Start({"kevolve", "run", Fixture("tiny.yaml"), "--candidates", "9", "--json"});
  const std::string live = RunIdOf(command);
  REQUIRE(WaitForEvent(command, "candidate"));
  const CommandResult result =
      sandbox.Run({"kevolve", "rm", ended, live, "nosuch", interrupted, "--json"});
  CHECK(result.exit_code != kExitDone);
  Contains(result.err, {("run " + live).c_str(), "being driven", "kevolve cancel", "'nosuch'"});
  CHECK(JsonLines(result.out).size() == 2);
  CHECK(sandbox.RunIds() == std::vector<std::string>{live});
}

TEST_CASE("gc removes the oldest ended runs first, and only what it is allowed to") {
  Sandbox sandbox;
  std::vector<std::string> runs;
  for (int i = 0; i < 3; ++i) runs.push_back(Ended(&sandbox, "1"));
  const std::string interrupted = Interrupted(&sandbox);
  const auto now = fs::file_time_type::clock::now();
  for (int i = 0; i < 3; ++i)
    fs::last_write_time(Archive(sandbox, runs[i]), now - std::chrono::hours(24 * (3 - i)));
  const auto left = [&] {
    std::set<std::string> ids;
    for (const std::string& id : sandbox.RunIds()) ids.insert(id);
    return ids;
  };
  CHECK(sandbox.Run({"kevolve", "gc"}).exit_code == kExitBadInput);
  CHECK(sandbox.Run({"kevolve", "gc", "--older-than", "soon"}).exit_code == kExitBadInput);
  CHECK(sandbox.Run({"kevolve", "gc", "--quota", "half"}).exit_code == kExitBadInput);
  // A dry run only says what would go.
  const CommandResult dry = sandbox.Run({"kevolve", "gc", "--keep", "1", "--dry-run"});
  CHECK(dry.exit_code == kExitDone);
  Contains(dry.out, {("would remove " + runs[0]).c_str(), "2 run(s)"});
  CHECK(left().size() == 4);
  // --older-than leaves what is younger.
  CHECK(sandbox.Run({"kevolve", "gc", "--older-than", "60h"}).exit_code == kExitDone);
  CHECK(left() == std::set<std::string>{runs[1], runs[2], interrupted});
  // --keep N leaves the newest.
  CHECK(sandbox.Run({"kevolve", "gc", "--keep", "1"}).exit_code == kExitDone);
  CHECK(left() == std::set<std::string>{runs[2], interrupted});
  // --quota takes cached files, too, and never an unfinished run.
  const Json line = DoneLine(sandbox.Run({"kevolve", "gc", "--quota", "0", "--json"}));
  CHECK(line["runs"] == 1);
  CHECK(line["cached_files"].get<int>() > 0);
  CHECK(line["bytes"].get<int64_t>() > 0);
  CHECK(left() == std::set<std::string>{interrupted});
}

TEST_CASE("a run is exported, read from the file, imported elsewhere, and replays the same") {
  Sandbox here, there;
  const std::string run = Ended(&here);
  const std::string file = here.Path("out.kevrun");
  CHECK(here.Run({"kevolve", "export", run, "-o", file}).exit_code == kExitDone);
  const CommandResult twice = here.Run({"kevolve", "export", run, "-o", file});
  CHECK(twice.exit_code == kExitEnvironment);
  Contains(twice.err, {"exists already"});
  for (const char* what : {"show", "log", "best", "replay", "explain", "fsck"}) {
    const CommandResult read = there.Run({"kevolve", what, file});
    CHECK_MESSAGE(read.exit_code == kExitDone, what << ": " << read.err);
    CHECK(!read.out.empty());
  }
  CHECK(there.Run({"kevolve", "import", file}).exit_code == kExitDone);
  CHECK(LogOf(there, run) == LogOf(here, run));
  CHECK(there.Run({"kevolve", "replay", run}).exit_code == kExitDone);
  const CommandResult again = there.Run({"kevolve", "import", file});
  CHECK(again.exit_code == kExitEnvironment);
  Contains(again.err, {"there is a run", "already", "kevolve rm"});
  CHECK(there.Run({"kevolve", "import", "x.txt"}).exit_code == kExitBadInput);
  // And it goes on there.
  const CommandResult more =
      there.Run({"kevolve", "resume", run, "--candidates", "4", "--json"}, kServiceLimit);
  CHECK_MESSAGE(more.exit_code == kExitDone, more.err);
  CHECK(DoneLine(more)["candidates"] == 4);
}

TEST_CASE("an unfinished run is exported and goes on where it is imported") {
  Sandbox here, there;
  const std::string run = Interrupted(&here);
  const std::string file = here.Path("out.kevrun");
  const CommandResult exported = here.Run({"kevolve", "export", run, "-o", file});
  CHECK(exported.exit_code == kExitDone);
  Contains(exported.out, {"not to its end"});
  const CommandResult imported = there.Run({"kevolve", "import", file});
  CHECK(imported.exit_code == kExitDone);
  Contains(imported.out, {"has not ended", "resume"});
  const CommandResult result = there.Run({"kevolve", "resume", run, "--json"}, kServiceLimit);
  CHECK_MESSAGE(result.exit_code == kExitDone, result.err);
  CHECK(DoneLine(result)["candidates"] == 6);
  const std::vector<Json> before = LogOf(here, run), after = LogOf(there, run);
  REQUIRE(after.size() > before.size());
  for (size_t i = 0; i < before.size(); ++i) CHECK(before[i] == after[i]);
}

TEST_CASE("an export beside a run's end has all that its log names") {
  Sandbox sandbox;
  RunningCommand* command =
      sandbox.Start({"kevolve", "run", Fixture("../../chaos/null.yaml"), "--candidates", "4000",
                     "--durability", "normal", "--snapshot-every", "1000", "--quiet"});
  REQUIRE(WaitUntil([&] { return !sandbox.RunIds().empty(); }, kServiceLimit));
  const std::string run = sandbox.RunIds()[0];
  REQUIRE(WaitUntil([&] { return HasBegun(sandbox, run); }, kServiceLimit));
  // One after another, until one began after the end: one of them read while the run ended.
  std::vector<std::string> files;
  for (bool over = false; !over;) {
    over = command->Ended();
    const std::string file = sandbox.Path("export" + std::to_string(files.size()) + ".kevrun");
    const CommandResult exported =
        sandbox.Run({"kevolve", "export", run, "-o", file}, kServiceLimit);
    REQUIRE_MESSAGE(exported.exit_code == kExitDone, exported.err);
    files.push_back(file);
  }
  CHECK(files.size() > 1);
  for (const std::string& file : files) {
    const CommandResult checked = sandbox.Run({"kevolve", "fsck", file}, kServiceLimit);
    CHECK_MESSAGE(checked.exit_code == kExitDone, checked.err);
  }
  CHECK(command->Wait(kServiceLimit).exit_code == kExitDone);
}

TEST_CASE("whoever asks or orders beside a run's end hears of the end, at once") {
  const auto begin = std::chrono::steady_clock::now();
  for (int round = 0; round < 6; ++round) {
    Sandbox sandbox;
    RunningCommand* command =
        sandbox.Start({"kevolve", "run", Fixture("../../chaos/null.yaml"), "--candidates", "1500",
                       "--durability", "normal", "--quiet"});
    REQUIRE(WaitUntil([&] { return !sandbox.RunIds().empty(); }, kServiceLimit));
    const std::string run = sandbox.RunIds()[0];
    REQUIRE(WaitUntil([&] { return HasBegun(sandbox, run); }, kServiceLimit));
    RunningCommand* attached = sandbox.Start({"kevolve", "attach", run, "--json"});
    for (bool over = false; !over;) {
      over = command->Ended();
      for (const char* what : {"explain", "dlq", "cancel"}) {
        std::vector<std::string> words{"kevolve", what};
        if (what == std::string("dlq")) words.push_back("list");
        if (what == std::string("cancel") && !over) continue;  // it would end the run itself
        words.push_back(run);
        const CommandResult asked = sandbox.Run(words, kServiceLimit);
        if (what == std::string("cancel")) {
          CHECK_MESSAGE(asked.exit_code == kExitBadInput, asked.err);
          Contains(asked.err, {"has ended (done)"});
        } else {
          CHECK_MESSAGE(asked.exit_code == kExitDone, what << ": " << asked.err);
        }
      }
    }
    const CommandResult end = attached->Wait(kServiceLimit);
    CHECK_MESSAGE(end.exit_code == kExitDone, end.err);
    CHECK(DoneLine(end)["status"] == "done");
  }
  // One that waited for an engine that is gone waited 15 s, an attach a minute.
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(60));
}

TEST_CASE("an interrupted run is read by several at once, and taken up when they have read") {
  Sandbox sandbox;
  const std::string run = Compacted(&sandbox);
  std::vector<RunningCommand*> readers;
  for (const char* what : {"show", "explain", "best", "fsck", "log"})
    readers.push_back(sandbox.Start({"kevolve", what, run}));
  readers.push_back(sandbox.Start({"kevolve", "export", run, "-o", sandbox.Path("beside.kevrun")}));
  const Json listed = DoneLine(sandbox.Run({"kevolve", "list", "--json"}, kServiceLimit));
  CHECK(listed["state"] == "interrupted");
  const std::string more = std::to_string(listed["candidates"].get<size_t>() + 20);
  const CommandResult resumed =
      sandbox.Run({"kevolve", "resume", run, "--candidates", more, "--json"}, kServiceLimit);
  CHECK_MESSAGE(resumed.exit_code == kExitDone, resumed.err);
  CHECK(DoneLine(resumed)["status"] == "done");
  for (RunningCommand* reader : readers) {
    const CommandResult read = reader->Wait(kServiceLimit);
    CHECK_MESSAGE(read.exit_code == kExitDone, read.err);
  }
}

TEST_CASE("an export says which blobs are gone") {
  Sandbox sandbox;
  const std::string run = Interrupted(&sandbox);
  const std::string source =
      Json::parse(sandbox.Run({"kevolve", "show", run, "c1", "--json"}).out)["source"];
  Redis(sandbox, run, {"DEL", "kev:blob:" + source});
  const std::string file = sandbox.Path("out.kevrun");
  const CommandResult exported = sandbox.Run({"kevolve", "export", run, "-o", file});
  CHECK(exported.exit_code == kExitDiffers);
  Contains(exported.err, {"without 1 blob(s)", source.substr(0, 12).c_str(), "Keep the run"});
  CHECK(sandbox.Run({"kevolve", "fsck", file}).exit_code == kExitDiffers);
}

TEST_CASE("a file with a cut tail is imported as far as it goes, and what is missing is said") {
  Sandbox here, there;
  const std::string run = Ended(&here, "3");
  const std::string file = here.Path("cut.kevrun");
  fs::copy_file(Archive(here, run), file);
  fs::resize_file(file, fs::file_size(file) / 2);
  const CommandResult checked = there.Run({"kevolve", "fsck", file, "--json"});
  CHECK(checked.exit_code == kExitDiffers);
  Contains(DoneLine(checked)["first_difference"], {"is cut off"});
  const CommandResult imported = there.Run({"kevolve", "import", file});
  CHECK(imported.exit_code == kExitDone);
  Contains(imported.err, {"is cut off", "is missing", "blobs that its events name"});
  const CommandResult after = there.Run({"kevolve", "fsck", run});
  CHECK(after.exit_code == kExitDiffers);
  Contains(after.err, {"blobs", "that the log names are not there"});
  // It is not promised to go on.
  CHECK(imported.out.find("`") == std::string::npos);
  const CommandResult resumed = there.Run({"kevolve", "resume", run, "--candidates", "9"});
  CHECK(resumed.exit_code != kExitDone);
  Contains(resumed.err, {"the run is not whole", "not resumed"});
}

TEST_CASE("what was written behind the end of a file is no part of it, and is said") {
  Sandbox sandbox;
  const std::string run = Ended(&sandbox);
  const std::string file = sandbox.Path("more.kevrun");
  fs::copy_file(Archive(sandbox, run), file);
  std::ofstream(file, std::ios::binary | std::ios::app) << "twelve bytes";
  const CommandResult shown = sandbox.Run({"kevolve", "show", file});
  CHECK(shown.exit_code == kExitDone);
  Contains(shown.err, {"12 bytes behind its end"});
  CHECK(sandbox.Run({"kevolve", "fsck", file}).exit_code == kExitDiffers);
  const CommandResult named =
      sandbox.Run({"kevolve", "export", run, "-o", sandbox.Path("run.archive")});
  CHECK(named.exit_code == kExitBadInput);
  Contains(named.err, {"does not end in .kevrun"});
  const CommandResult paused = sandbox.Run({"kevolve", "pause", file});
  CHECK(paused.exit_code == kExitBadInput);
  Contains(paused.err, {"is a file", "kevolve import"});
}

TEST_CASE("fsck finds a byte that was changed in a file, and says where") {
  Sandbox sandbox;
  const std::string run = Ended(&sandbox);
  CHECK(sandbox.Run({"kevolve", "fsck", run}).exit_code == kExitDone);
  std::fstream file(Archive(sandbox, run), std::ios::in | std::ios::out | std::ios::binary);
  const auto at = static_cast<std::streamoff>(fs::file_size(Archive(sandbox, run)) / 2);
  file.seekg(at);
  const char changed = static_cast<char>(file.get() ^ 0x20);
  file.seekp(at);
  file.put(changed);
  file.close();
  const CommandResult result = sandbox.Run({"kevolve", "fsck", run});
  CHECK(result.exit_code != kExitDone);
  Contains(result.err, {"run.kevrun", "checksum"});
}

TEST_CASE("fsck finds a damaged projection, names key and field, and repairs it from the log") {
  Sandbox sandbox;
  const std::string run = Interrupted(&sandbox);
  const std::string prefix = "kev:{" + run + "}:";
  const CommandResult good = sandbox.Run({"kevolve", "fsck", run, "--json"});
  CHECK_MESSAGE(good.exit_code == kExitDone, good.err);
  CHECK(DoneLine(good)["good"] == true);
  const std::vector<std::vector<std::string>> damages{
      {"HSET", prefix + "cand:1", "record", "{\"id\":\"c1\"}"},
      {"HDEL", prefix + "cand:1", "record"},
      {"DEL", prefix + "cand:1"},
      {"HSET", prefix + "cand:99", "record", "{}"}};
  for (const std::vector<std::string>& damage : damages) {
    CAPTURE(damage[0]);
    Redis(sandbox, run, damage);
    const CommandResult bad = sandbox.Run({"kevolve", "fsck", run});
    CHECK(bad.exit_code == kExitDiffers);
    Contains(bad.err, {"differs first in its projection", "cand:", "--repair"});
    const CommandResult repaired = sandbox.Run({"kevolve", "fsck", run, "--repair", "--json"});
    CHECK_MESSAGE(repaired.exit_code == kExitDone, repaired.err);
    CHECK(DoneLine(repaired)["repaired"].get<int>() > 0);
    CHECK(DoneLine(sandbox.Run({"kevolve", "fsck", run, "--json"}))["differences"] == 0);
  }
  const CommandResult result = sandbox.Run({"kevolve", "resume", run, "--json"}, kServiceLimit);
  CHECK_MESSAGE(result.exit_code == kExitDone, result.err);
  CHECK(DoneLine(result)["candidates"] == 6);
}

TEST_CASE("a compacted run is read from its newest snapshot, without what has ended") {
  Sandbox sandbox;
  const std::string run = Compacted(&sandbox);
  setenv("KEVOLVE_HOME", sandbox.home().c_str(), 1);
  size_t candidates = 0;
  {
    const auto stored = kev::StoredRun::OpenLean(run);
    REQUIRE_MESSAGE(stored.ok(), (stored.ok() ? "" : stored.error().message));
    const kev::RunCore& core = *(*stored)->core;
    candidates = core.candidates().size();
    size_t gone = 0;
    for (size_t n = 1; n <= candidates; ++n) gone += core.candidates().Find(n) == nullptr ? 1 : 0;
    CHECK(gone > candidates / 2);
    CHECK((*stored)->log.empty());
  }
  const Json listed = DoneLine(sandbox.Run({"kevolve", "list", "--json"}));
  CHECK(listed["candidates"] == candidates);
  CHECK(listed["state"] == "interrupted");
  const std::string more = std::to_string(candidates + 50);
  const CommandResult resumed =
      sandbox.Run({"kevolve", "resume", run, "--candidates", more, "--json"}, kServiceLimit);
  CHECK_MESSAGE(resumed.exit_code == kExitDone, resumed.err);
  CHECK(DoneLine(resumed)["candidates"] >= candidates);
  for (int look = 0; look < 2; ++look) {  // the second one from what the first noted
    const Json ended = DoneLine(sandbox.Run({"kevolve", "list", "--json"}));
    CHECK(ended["candidates"] == DoneLine(resumed)["candidates"]);
    CHECK(ended["state"] == "done");
    CHECK(ended["speedup"].is_number());
  }
}

TEST_CASE("what an engine had not let go when it was killed, a later one lets go") {
  Sandbox sandbox;
  const std::string run = Compacted(&sandbox);
  const std::vector<std::string> resume{"kevolve", "resume", run, "--snapshot-every", "1000"};
  DriveAndKill(&sandbox, resume, 100 << 10);
  const auto keys = [&] {
    std::istringstream lines(Redis(sandbox, run, {"--scan", "--pattern", "kev:*:*"}));
    std::set<std::string> all;
    for (std::string key; std::getline(lines, key);) all.insert(key);
    return all;
  };
  const std::set<std::string> left = keys();
  DriveAndKill(&sandbox, resume, 4 << 20);
  size_t still = 0;  // the best ones, the log, the snapshot
  for (const std::string& key : keys()) still += left.contains(key) ? 1 : 0;
  CHECK_MESSAGE(still * 10 < left.size(), still << " of " << left.size());
}

TEST_CASE("fsck finds a damaged snapshot, and takes it away") {
  Sandbox sandbox;
  const std::string run = Compacted(&sandbox);
  const auto change = [&](const char* field, const char* to) {
    Redis(sandbox, run, {"HSET", "kev:{" + run + "}:snap", field, to});
  };
  SUBCASE("rows") { change("sources:0", "garbage"); }
  SUBCASE("the state") { change("state", "garbage"); }
  SUBCASE("the event that it is of") { change("seq", "99999999"); }
  const CommandResult checked = sandbox.Run({"kevolve", "fsck", run});
  CHECK(checked.exit_code == kExitDiffers);
  Contains(checked.err, {"snapshot"});
  CHECK(sandbox.Run({"kevolve", "fsck", run, "--repair"}).exit_code == kExitDone);
  const CommandResult again = sandbox.Run({"kevolve", "fsck", run});
  CHECK_MESSAGE(again.exit_code == kExitDone, again.err);
}

TEST_CASE("a store that was emptied is refused by all who read it, and nothing is written to it") {
  Sandbox sandbox;
  const std::string run = Compacted(&sandbox);
  Redis(sandbox, run, {"FLUSHALL"});
  const std::string file = sandbox.Path("out.kevrun");
  const std::vector<std::vector<std::string>> commands = {
      {"kevolve", "show", run},   {"kevolve", "best", run},
      {"kevolve", "fsck", run},   {"kevolve", "fsck", run, "--repair"},
      {"kevolve", "resume", run}, {"kevolve", "export", run, "-o", file}};
  const auto refused = [&](const char* why) {
    for (const std::vector<std::string>& command : commands) {
      const CommandResult result = sandbox.Run(command);
      CHECK_MESSAGE(result.exit_code == kExitStoreLost, command[1] << ": " << result.err);
      Contains(result.err, {why});
    }
    Contains(sandbox.Run({"kevolve", "list"}).out, {"unreadable", why});
    CHECK_FALSE(fs::exists(file));
  };
  refused("it is empty");
  fs::remove_all(sandbox.Path("runs/" + run + "/redis"));
  refused("appendonlydir");
}

TEST_CASE("fsck finds a log entry that was changed") {
  Sandbox sandbox;
  const std::string run = Interrupted(&sandbox);
  // The last entry once more, under the next number: its events have been there.
  std::string fields, says;
  SUBCASE("which its checksum says") {
    fields = "8";
    says = "does not have the checksum";
  }
  SUBCASE("and has no checksum any more") {
    fields = "6";
    says = "must follow";
  }
  Redis(sandbox, run,
        {"EVAL",
         "local top = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1] "
         "return redis.call('XADD', KEYS[1], (tonumber(string.match(top[1], '^%d+')) + 1) .. '-0', "
         "unpack(top[2], 1, " +
             fields + "))",
         "1", "kev:{" + run + "}:log"});
  const CommandResult bad = sandbox.Run({"kevolve", "fsck", run});
  CHECK(bad.exit_code == kExitDiffers);
  Contains(bad.err, {"differs first in its log", says.c_str()});
}

TEST_CASE("fsck leaves the projections of a live run alone") {
  Sandbox sandbox;
  RunningCommand* command =
      sandbox.Start({"kevolve", "run", Fixture("tiny.yaml"), "--candidates", "9", "--json"});
  const std::string run = RunIdOf(command);
  REQUIRE(WaitForEvent(command, "candidate"));
  const CommandResult looked = sandbox.Run({"kevolve", "fsck", run});
  CHECK_MESSAGE(looked.exit_code == kExitDone, looked.err);
  Contains(looked.out, {"the run is live"});
  const CommandResult refused = sandbox.Run({"kevolve", "fsck", run, "--repair"});
  CHECK(refused.exit_code == kExitEnvironment);
  Contains(refused.err, {"is live"});
}
