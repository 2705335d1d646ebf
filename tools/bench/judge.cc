#include "tools/bench/judge.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <vector>

#include "stages/judge/kernel_judge.h"
#include "stages/judge/load_for_judge.h"
#include "tools/live/exit_code.h"
#include "tools/live/home.h"
#include "tools/live/interrupts.h"
#include "tools/live/judge_folders.h"

namespace kev {
namespace {

using Steady = std::chrono::steady_clock;

int Complain(const Error& error, int exit_code) {
  std::cerr << "kevolve-bench: " << error.message << std::endl;
  return exit_code;
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// A kernel that is right and needs no library: one of the baselines.
const SourceSpec* PlainBaseline(const Task& task) {
  const auto plain = std::find_if(task.baselines.begin(), task.baselines.end(),
                                  [](const SourceSpec& one) { return one.libraries.empty(); });
  return plain == task.baselines.end() ? nullptr : &*plain;
}

// The same kernel, other bytes, in C and in C++. No two processes make the same.
std::string Differing(const std::string& source, uint64_t number) {
  const auto now = Steady::now().time_since_epoch().count();
  return source + "\n/* kernel " + std::to_string(number) + " of " + std::to_string(getpid()) +
         " at " + std::to_string(now) + " */\n";
}

struct Costs {
  std::vector<double> compile_ms, smoke_ms, measure_ms, screen_ms;
  double screened_s = 0;
  double final_ms = 0, kernel_ns = 0;
};

// "" or why the benchmark's own kernel does not stand.
std::string WhyNot(const Judgement& judgement) {
  if (judgement.verdict == Verdict::kOk) return "";
  return std::string("its plain baseline is ") + Name(judgement.verdict) + " (" + judgement.step +
         "): " + judgement.reason;
}

// Screens all kernels, or judges one in full.
Status Run(const LoadedRun& run, JudgeOptions options, const SourceSpec& plain, uint32_t kernels,
           bool final, Costs* costs) {
  options.screen_only = !final;
  auto judge = KernelJudge::Make(run, options);
  if (!judge.ok()) return judge.error();
  const std::string name = std::filesystem::path(plain.path).filename().string();
  const auto all = Steady::now();
  for (uint32_t k = 0; k < kernels; ++k) {
    const auto begin = Steady::now();
    const Result<Judgement> judgement = (*judge)->Judge(Differing(plain.text, k), name);
    if (!judgement.ok()) return judgement.error();
    if (const std::string why = WhyNot(*judgement); !why.empty())
      return Error{Code::kUnavailable, "task " + run.task.name + ": " + why};
    const double ms = std::chrono::duration<double, std::milli>(Steady::now() - begin).count();
    if (final) {
      costs->final_ms = ms;
      costs->kernel_ns = judgement->facts["confirm"]["latency_ns"].AsDouble();
      continue;
    }
    costs->screen_ms.push_back(ms);
    costs->compile_ms.push_back(judgement->step_ms.at("build"));
    costs->smoke_ms.push_back(judgement->step_ms.at("smoke"));
    costs->measure_ms.push_back(judgement->step_ms.at("screen"));
  }
  if (!final) costs->screened_s = std::chrono::duration<double>(Steady::now() - all).count();
  return {};
}

}  // namespace

int JudgeBenchmark(const JudgeBenchOptions& options) {
  Result<LoadedRun> run = LoadForJudge(options.task, options.target, ShippedConfigs());
  if (!run.ok()) return Complain(run.error(), kExitBadInput);
  const SourceSpec* plain = PlainBaseline(run->task);
  if (plain == nullptr) {
    return Complain(Error{Code::kInvalid, "task " + run->task.name +
                                              " has no baseline that needs no library; judge "
                                              "another task"},
                    kExitBadInput);
  }
  const InterruptFlag interrupts;  // until the folders are gone
  const Result<JudgeFolders> folders = JudgeFolders::Make();
  if (!folders.ok()) return Complain(folders.error(), kExitEnvironment);
  const Result<int64_t> secret = folders->Secret();
  if (!secret.ok()) return Complain(secret.error(), kExitEnvironment);
  JudgeOptions judge;
  judge.cache_folder = folders->cache();
  judge.scratch = folders->scratch();
  judge.secret = *secret;
  judge.launches = options.launches;
  judge.cancelled = &interrupts.flag();
  Costs costs;
  // One that is not counted: what is prepared once per task is then there.
  Costs first;
  Status done = Run(*run, judge, *plain, 1, false, &first);
  if (done.ok()) done = Run(*run, judge, *plain, options.kernels, false, &costs);
  if (done.ok()) done = Run(*run, judge, *plain, 1, true, &first);  // cases of the full check
  if (done.ok()) done = Run(*run, judge, *plain, 1, true, &costs);
  if (interrupts.flag())
    return Complain(Error{Code::kUnavailable, "interrupted"}, kExitInterrupted);
  if (!done.ok()) {
    return Complain(done.error(),
                    done.error().code == Code::kInvalid ? kExitTaskBroken : kExitEnvironment);
  }
  Value result;
  result.Set("task", run->task.name);
  result.Set("kernels", options.kernels);
  result.Set("compile_ms", Median(costs.compile_ms));
  result.Set("smoke_ms", Median(costs.smoke_ms));
  result.Set("measure_ms", Median(costs.measure_ms));
  result.Set("screen_ms", Median(costs.screen_ms));
  result.Set("screened_per_s", static_cast<double>(options.kernels) / costs.screened_s);
  result.Set("final_ms", costs.final_ms);
  result.Set("kernel_ns", costs.kernel_ns);
  if (options.json) {
    std::cout << ToJson(result) << std::endl;
    return kExitDone;
  }
  std::printf(
      "%s: a screening %.0f ms (compile %.0f, smoke check %.0f, measuring %.0f), %.2f screened "
      "kernels/s, a final judgement %.0f ms; the kernel's call %.2f us\n",
      run->task.name.c_str(), result["screen_ms"].AsDouble(), result["compile_ms"].AsDouble(),
      result["smoke_ms"].AsDouble(), result["measure_ms"].AsDouble(),
      result["screened_per_s"].AsDouble(), result["final_ms"].AsDouble(),
      result["kernel_ns"].AsDouble() / 1e3);
  return kExitDone;
}

}  // namespace kev
