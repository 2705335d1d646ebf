// The main job as a user runs it: one run, watched while it is live, and then read from its archive
// alone.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/tools/support/run_facts.h"

using namespace kev::test;
namespace fs = std::filesystem;

namespace {

// Generous: a core on which another run is timing has to be waited for.
constexpr std::chrono::seconds kLimit(120);

// Steps of fixtures/talking.yaml, by their place in the file.
const std::map<std::string, std::set<int>> kStepsOf = {
    {"propose", {0}}, {"compile", {1}}, {"verify", {2, 4}}, {"profile", {3, 5}}, {"select", {6}}};

// The run that most tests here look at. Its task has a kernel that says which process runs it, and
// assignments that are wrong or do not compile.
struct WatchedRun {
  Sandbox sandbox;
  std::string id;
  CommandResult result;
  std::map<pid_t, std::string> programs;  // while it was live
  std::string live_log, live_run, live_candidate, live_step, live_source;
  bool server_was_alive = false;

  std::string Folder() const { return sandbox.Path("runs/" + id); }
  CommandResult Kevolve(std::vector<std::string> words) const {
    words.insert(words.begin(), "kevolve");
    return sandbox.Run(words);
  }
  std::string RedisCli(const std::vector<std::string>& words) {
    std::vector<std::string> argv = {"redis-cli", "--raw", "-s", Folder() + "/redis/redis.sock"};
    argv.insert(argv.end(), words.begin(), words.end());
    RunningCommand command(argv, {}, sandbox.home());
    return command.Wait(std::chrono::seconds(20)).out;
  }
  WatchedRun() {
    RunningCommand* run = sandbox.Start({"kevolve", "run", Fixture("talking.yaml"), "--json"});
    id = RunIdOf(run);
    WaitForEvent(run, "candidate");
    for (const pid_t pid : sandbox.Processes()) programs[pid] = ProgramOf(pid);
    const std::string key = "kev:{" + id + "}:";
    live_log = RedisCli({"XRANGE", key + "log", "-", "+", "COUNT", "1"});
    live_run = RedisCli({"HGET", key + "run", "record"});
    live_candidate = RedisCli({"HGET", key + "cand:1", "record"});
    live_step = RedisCli({"HGET", key + "cand:1", "step:build"});
    const Json candidate = Json::parse(live_candidate, nullptr, false);
    if (candidate.is_object())
      live_source = RedisCli({"GET", "kev:blob:" + candidate.value("source", "")});
    server_was_alive = !ProcessesNamed(sandbox, "redis-server").empty();
    result = run->Wait(kLimit);
  }
};

WatchedRun& Run() {
  static WatchedRun run;
  return run;
}

}  // namespace

TEST_CASE("the main job ends well, and the last line of --json is the one that scripts rely on") {
  const CommandResult& result = Run().result;
  INFO(result.out << result.err);
  CHECK(result.exit_code == 0);
  const Json done = DoneLine(result);
  REQUIRE(done.is_object());
  CHECK(done["event"] == "done");
  CHECK(done["run"] == Run().id);
  CHECK(done["status"] == "done");
  CHECK(done["stopped_by"] == "candidates");
  CHECK(done["evaluated"] == 2);
  CHECK(done["refused"] == Json{{"no_compile", 2}, {"wrong", 2}});
  const Json& best = done["best"];
  for (const char* key : {"candidate", "speedup", "speedup_low", "speedup_high", "speedup_vs",
                          "parameters", "source"}) {
    CHECK_MESSAGE(best.contains(key), key);
  }
  CHECK(best["candidate"].get<std::string>().starts_with("c"));
  CHECK(best["parameters"]["FATE"] == 0);
  CHECK(best["speedup"].get<double>() > 0);
  CHECK(best["speedup_low"].get<double>() <= best["speedup"].get<double>());
  CHECK(best["speedup"].get<double>() <= best["speedup_high"].get<double>());
  CHECK(fs::exists(best["source"].get<std::string>()));
}

TEST_CASE("five programs do the work of a run, each stage in a process of its own") {
  const std::vector<Json> log = LogOf(Run().sandbox, Run().id);
  std::set<pid_t> all;
  for (const auto& [program, steps] : kStepsOf) {
    const std::set<pid_t> pids = WorkersIn(log, steps);
    CHECK_MESSAGE(!pids.empty(), program);
    for (const pid_t pid : pids) {
      CHECK_MESSAGE(all.insert(pid).second, program << " shares process " << pid);
      CHECK(Run().programs[pid] == "kevolve-" + program);
    }
  }
}

TEST_CASE("the process that runs a candidate is no worker, and in no session of one") {
  const std::set<pid_t> workers = WorkersIn(LogOf(Run().sandbox, Run().id));
  int seen = 0;
  for (const char* candidate : {"c1", "c2", "c3", "c4", "c5", "c6"}) {
    for (const std::string& line : Run().Kevolve({"show", Run().id, candidate}).Lines()) {
      int pid = 0, session = 0;
      if (std::sscanf(line.c_str(), "process %d session %d", &pid, &session) != 2) continue;
      ++seen;
      CHECK_FALSE(workers.contains(session));
      CHECK_FALSE(workers.contains(pid));
      const auto program = Run().programs.find(pid);
      CHECK((program == Run().programs.end() || program->second == "kevolve-runner"));
    }
  }
  CHECK(seen >= 6);  // four candidates in the smoke test, two of them timed
}

TEST_CASE("a run that has ended is one archive file: no store and no process is left") {
  CHECK(Run().server_was_alive);
  CHECK(fs::exists(Run().Folder() + "/run.kevrun"));
  CHECK_FALSE(fs::exists(Run().Folder() + "/redis"));
  CHECK(Run().sandbox.Processes().empty());
  CHECK(Run().Kevolve({"show", Run().id}).exit_code == 0);
  CHECK(Run().sandbox.Processes().empty());  // reading starts nothing that stays
}

TEST_CASE("while a run is live redis-cli reads its log, its records and its blobs") {
  CHECK(Run().live_log.find("submitted") != std::string::npos);
  CHECK(Json::parse(Run().live_run, nullptr, false).is_object());
  const Json candidate = Json::parse(Run().live_candidate, nullptr, false);
  REQUIRE(candidate.is_object());
  CHECK(candidate["id"] == "c1");
  const Json step = Json::parse(Run().live_step, nullptr, false);
  REQUIRE(step.is_object());
  CHECK(step.contains("state"));
  CHECK(Run().live_source.find("void scale") != std::string::npos);
}

TEST_CASE("show names every candidate of a run with its verdict") {
  const CommandResult shown = Run().Kevolve({"show", Run().id});
  CHECK(shown.exit_code == 0);
  std::map<std::string, int> verdicts;
  for (const std::string& line : shown.Lines()) {
    char id[16], verdict[32];
    if (std::sscanf(line.c_str(), "  c%15[0-9]  %31s", id, verdict) == 2) ++verdicts[verdict];
  }
  CHECK(verdicts == std::map<std::string, int>{{"ok", 2}, {"no_compile", 2}, {"wrong", 2}});
}

TEST_CASE("show of a candidate has lineage, verdicts, compile output, what it printed, figures") {
  const std::string best = DoneLine(Run().result)["best"]["candidate"];
  const CommandResult shown = Run().Kevolve({"show", Run().id, best, "--source"});
  CHECK(shown.exit_code == 0);
  for (const char* text :
       {"origin      tune", "variant     talking", "parameters  BLOCK=", "build: passed, ok",
        "attempt 1", "a word from the compiler", "--- smoke stdout\nprocess ",
        "--- check stderr\na word on standard error", "confirm[claim 1]: passed",
        "hidden (held out)", "speedup_vs", "--- source\n", "void scale"}) {
    CHECK_MESSAGE(shown.out.find(text) != std::string::npos, text);
  }
}

TEST_CASE("every blob that a candidate's record names is in the archive") {
  // Once what the winner's last measurement printed was left out.
  for (const char* candidate : {"c1", "c2", "c3", "c4", "c5", "c6"}) {
    const CommandResult shown = Run().Kevolve({"show", Run().id, candidate});
    CHECK_MESSAGE(shown.out.find("has no blob") == std::string::npos, shown.out);
  }
}

TEST_CASE("show of a candidate that does not compile has the compiler's words") {
  const Json records = DoneLine(Run().Kevolve({"show", Run().id, "--json"}))["records"];
  REQUIRE(records.size() == 6);
  const auto broken = std::find_if(records.begin(), records.end(),
                                   [](const Json& r) { return r["verdict"] == "no_compile"; });
  REQUIRE(broken != records.end());
  const CommandResult shown = Run().Kevolve({"show", Run().id, (*broken)["id"]});
  CHECK(shown.out.find("--- build stderr") != std::string::npos);
  CHECK(shown.out.find("this assignment never compiles") != std::string::npos);
}

TEST_CASE("list names the run with its state and its speed-up") {
  const Json line = DoneLine(Run().Kevolve({"list", "--json"}));
  CHECK(line["run"] == Run().id);
  CHECK(line["state"] == "done");
  CHECK(line["task"] == "talking");
  CHECK(line["candidates"] == 6);
  CHECK(line["speedup"] == DoneLine(Run().result)["best"]["speedup"]);
}

TEST_CASE("log counts every event once, from 1") {
  const std::vector<Json> log = LogOf(Run().sandbox, Run().id);
  REQUIRE(!log.empty());
  for (size_t i = 0; i < log.size(); ++i) CHECK(log[i]["seq"] == i + 1);
  CHECK(log[0]["event"] == "submitted");
}

TEST_CASE("best writes the source that the run saved, and it compiles by itself") {
  const std::string mine = Run().sandbox.Path("mine.c");
  CHECK(Run().Kevolve({"best", Run().id, "-o", mine}).exit_code == 0);
  const std::string saved = DoneLine(Run().result)["best"]["source"];
  CHECK(ReadFile(mine) == ReadFile(saved));
  RunningCommand compiler({"cc", "-std=gnu11", "-O2", "-c", "-o", mine + ".o", saved}, {},
                          Run().sandbox.home());
  CHECK(compiler.Wait(std::chrono::seconds(60)).exit_code == 0);
}

TEST_CASE("an archive that was copied elsewhere is read by its path") {
  Sandbox other;
  const std::string copy = other.Path("mine.kevrun");
  fs::copy(Run().Folder() + "/run.kevrun", copy);
  CHECK(other.Run({"kevolve", "log", copy, "--json"}).out ==
        Run().Kevolve({"log", Run().id, "--json"}).out);
  CHECK(other.Run({"kevolve", "show", copy, "c1"}).out ==
        Run().Kevolve({"show", Run().id, "c1"}).out);
  CHECK(other.Run({"kevolve", "best", copy}).out.find("void scale") != std::string::npos);
  CHECK(other.Run({"kevolve", "replay", copy}).exit_code == 0);
}

TEST_CASE("a stage can have several workers") {
  Sandbox sandbox;
  std::string workflow = ReadFile(Fixture("tiny.yaml"));
  const std::string compile = "uses: compile, needs: tune";
  workflow.replace(workflow.find(compile), compile.size(), compile + ", workers: 3");
  workflow.replace(workflow.find("task: tiny"), 10, "task: " + Fixture("tiny"));
  sandbox.Write("several.yaml", workflow);
  RunningCommand* run = sandbox.Start(
      {"kevolve", "run", sandbox.Path("several.yaml"), "--json", "--candidates", "3"});
  WaitForEvent(run, "candidate");
  CHECK(ProcessesNamed(sandbox, "kevolve-compile").size() == 3);
  CHECK(run->Wait(kLimit).exit_code == 0);
}

// In a test of its own (e2e_shipped_tasks_test): it takes minutes.
TEST_CASE("every shipped task gives a confirmed kernel, and none of its templates is refused" *
          doctest::skip()) {
  for (const std::string task : {"softmax", "matmul", "rmsnorm", "mapid"}) {
    CAPTURE(task);
    Sandbox sandbox;
    const CommandResult result =
        sandbox.Run({"kevolve", "run", SourceDir() + "/configs/workflows/quickstart.yaml", "--task",
                     task, "--candidates", "4", "--wall", "110s", "--json"},
                    kLimit);
    INFO(result.err << result.out);
    CHECK(result.exit_code == 0);
    const Json line = DoneLine(result);
    CHECK(line["best"].is_object());
    CHECK(line["refused"].empty());
  }
}

// `best -o` renamed a new file over whatever was there, devices and links too.
TEST_CASE("best -o writes through a link instead of replacing it") {
  const std::string target = Run().sandbox.Path("kept.c");
  const std::string link = Run().sandbox.Path("link.c");
  std::ofstream(target) << "old";
  fs::create_symlink(target, link);
  CHECK(Run().sandbox.Run({"kevolve", "best", Run().id, "-o", link}).exit_code == 0);
  CHECK(fs::is_symlink(link));
  CHECK(ReadFile(target).find("scale") != std::string::npos);
}

TEST_CASE("the headline is against the strongest baseline, and speedup_vs has them all") {
  const Json best = DoneLine(Run().result)["best"];
  CHECK(best["speedup_vs"].size() == 2);
  CHECK(best["baseline"] == "plain");
  CHECK(best["speedup"] == best["speedup_vs"]["plain"]);
  CHECK(best["speedup_vs"]["slow"].get<double>() > best["speedup_vs"]["plain"].get<double>());
}

TEST_CASE("the held-out workload is reported and does not count for the speed-up") {
  const Json best = DoneLine(Run().result)["best"];
  const Json& workloads = best["workloads"];
  REQUIRE(workloads.size() == 3);
  CHECK(workloads["hidden"]["held_out"] == true);
  CHECK(workloads["hidden"]["log_ratios"].size() > 0);
  // Per workload the median over launches of the log-ratio; over the visible ones the weighted
  // geometric mean.
  double log_speedup = 0;
  double weights = 0;
  for (const char* name : {"small", "large"}) {
    CHECK(workloads[name]["held_out"] == false);
    const double weight = workloads[name]["weight"].get<double>();
    std::vector<double> launches = workloads[name]["log_ratios"].get<std::vector<double>>();
    REQUIRE(launches.size() == 3);
    std::sort(launches.begin(), launches.end());
    log_speedup += weight * launches[1];
    weights += weight;
  }
  CHECK(std::exp(log_speedup / weights) ==
        doctest::Approx(best["speedup"].get<double>()).epsilon(1e-9));
}

TEST_CASE("a second run takes its builds from the cache, and the same seed proposes the same") {
  const auto proposed = [](const std::vector<Json>& log) {
    for (const Json& event : log) {
      if (event["event"] == "result" && event["step"] == 0) return event["result"]["proposals"];
    }
    return Json();
  };
  const CommandResult again =
      Run().sandbox.Run({"kevolve", "run", Fixture("talking.yaml"), "--json"}, kLimit);
  const std::vector<Json> log = LogOf(Run().sandbox, DoneLine(again)["run"]);
  CHECK(proposed(log).size() == 6);
  CHECK(proposed(log) == proposed(LogOf(Run().sandbox, Run().id)));
  int builds = 0;
  for (const Json& event : log) {
    if (event["event"] != "result" || event["step"] != 1) continue;
    ++builds;
    CHECK_MESSAGE(event["result"].value("cached", false), event.dump());
  }
  CHECK(builds == 9);  // six candidates, two baselines, the reference
}

TEST_CASE("another seed proposes in another order") {
  const auto first_of = [](const std::vector<Json>& log) {
    std::vector<Json> parameters;
    for (const Json& event : log) {
      if (event["event"] != "result" || event["step"] != 0) continue;
      for (const Json& proposal : event["result"]["proposals"])
        parameters.push_back(proposal["parameters"]);
    }
    return parameters;
  };
  const CommandResult other = Run().sandbox.Run(
      {"kevolve", "run", Fixture("talking.yaml"), "--seed", "4", "--json"}, kLimit);
  const auto there = first_of(LogOf(Run().sandbox, DoneLine(other)["run"]));
  const auto here = first_of(LogOf(Run().sandbox, Run().id));
  CHECK(there.size() == here.size());
  CHECK(there != here);
}
