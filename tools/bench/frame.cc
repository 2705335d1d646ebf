#include "tools/bench/frame.h"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "configs/contract.h"
#include "tools/live/exit_code.h"
#include "tools/live/live_run.h"

namespace kev {
namespace {

Step NullStep(const char* id, const char* stage, StageKind kind, std::vector<uint16_t> needs) {
  Step step;
  step.id = id;
  step.stage = stage;
  step.kind = kind;
  step.needs = std::move(needs);
  step.facts = FactKinds(*FindContract(stage));
  return step;
}

}  // namespace

Plan FramePlan(uint64_t candidates, uint32_t in_flight) {
  Plan plan;
  plan.workflow = "frame";
  plan.task = "null";
  plan.target = "null";
  plan.seed = 1;
  plan.budget.candidates = candidates;
  plan.in_flight = in_flight;
  plan.steps = {NullStep("propose", "propose/null", StageKind::kPropose, {}),
                NullStep("compile", "compile/null", StageKind::kCompile, {0}),
                NullStep("verify", "verify/null", StageKind::kVerify, {1}),
                NullStep("profile", "profile/null", StageKind::kProfile, {2}),
                NullStep("select", "select/null", StageKind::kSelect, {})};
  plan.steps[0].batch = 64;
  plan.steps[4].stateful = true;  // it folds the whole log, as a policy does
  plan.steps[3].final_fidelity = true;
  plan.select = 4;
  plan.shares = {{0, Share::Kind::kFill, 0}};
  return plan;
}

namespace {

double CpuSeconds(int who) {
  rusage usage{};
  getrusage(who, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

int FrameBenchmark(const FrameOptions& options) {
  using Steady = std::chrono::steady_clock;
  auto folder = CreateRunFolder(NewRunId("frame"));
  if (!folder) {
    std::cerr << "kevolve-bench: " << folder.error().message << std::endl;
    return kExitEnvironment;
  }
  LiveOptions live;
  live.folder = *folder;
  live.durability = options.durability == "strict" ? Durability::kStrict
                    : options.durability == "fast" ? Durability::kFast
                                                   : Durability::kNormal;
  live.output = OutputMode::kSilent;
  live.archive = false;
  auto cores = SplitCores("last");
  live.cores = *cores;
  live.cores.others.insert(live.cores.others.end(), cores->kept.begin(),
                           cores->kept.end());  // nothing is timed: use all
  const Plan plan = FramePlan(options.candidates, options.in_flight);
  for (const Step& step : plan.steps)
    live.processes.push_back({"null", 1, 1, {"--only", step.stage}});
  LiveRun run(std::move(live));
  if (const Status s = run.Open(); !s.ok()) {
    std::cerr << "kevolve-bench: " << s.error().message << std::endl;
    return kExitEnvironment;
  }
  // The clock starts when all five stages have joined, and stops when the last candidate has ended.
  Steady::time_point started{};
  Steady::time_point ended{};
  uint64_t at_start = 0;
  run.on_turn = [&](const Host& host) {
    if (started == Steady::time_point{} && host.workers() == plan.steps.size()) {
      started = Steady::now();
      at_start = run.core().candidates().size() - run.core().active();
    }
    if (ended == Steady::time_point{} && run.core().candidates().size() >= options.candidates &&
        run.core().active() == 0) {
      ended = Steady::now();
    }
  };
  Beginning beginning;
  beginning.events.push_back(RunSubmitted{plan, Value()});
  const LiveOutcome outcome = run.Drive(beginning);
  if (!outcome.message.empty()) std::cerr << "kevolve-bench: " << outcome.message << std::endl;
  if (outcome.exit_code != kExitDone) return outcome.exit_code;
  const double seconds = std::chrono::duration<double>(ended - started).count();
  const double candidates_per_s = static_cast<double>(options.candidates - at_start) / seconds;
  Value result;
  result.Set("benchmark", "frame");
  result.Set("candidates", options.candidates);
  result.Set("in_flight", options.in_flight);
  result.Set("durability", options.durability);
  result.Set("seconds", seconds);
  result.Set("jobs_per_s", static_cast<double>(run.host()->jobs_done()) / seconds);
  result.Set("engine_cpu_us_per_job",
             1e6 * CpuSeconds(RUSAGE_SELF) / static_cast<double>(run.host()->jobs_done()));
  result.Set("cores", static_cast<int64_t>(sysconf(_SC_NPROCESSORS_ONLN)));
  std::error_code ignored;
  std::filesystem::remove_all(folder->path, ignored);
  if (options.json) {
    std::cout << ToJson(result) << "\n";
    Value last;
    last.Set("candidates_per_s", candidates_per_s);
    std::cout << ToJson(last) << std::endl;
  } else {
    std::printf(
        "%.0f candidates/s through five steps (%.0f jobs/s, engine %.1f us CPU per job, durability "
        "%s)\n",
        candidates_per_s, result["jobs_per_s"].AsDouble(),
        result["engine_cpu_us_per_job"].AsDouble(), options.durability.c_str());
  }
  return kExitDone;
}

}  // namespace kev
