#include "tools/truth/truth.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>

#include "engine/core/random.h"
#include "stages/judge/kernel_judge.h"
#include "stages/judge/load_for_judge.h"
#include "tools/live/exit_code.h"
#include "tools/live/home.h"
#include "tools/live/interrupts.h"
#include "tools/live/judge_folders.h"

namespace kev {
namespace {

constexpr int kBaselineWork = 714;
constexpr int kWorks[] = {714, 700, 680, 595, 357};
constexpr const char* kTasks[] = {"chain", "stream"};

struct Cell {
  std::string name;
  int work = 0;
  KernelJudge* judge = nullptr;
  const SourceSpec* source = nullptr;
};

int Complain(const Error& error, int exit_code) {
  std::cerr << "kevolve-truth: " << error.message << std::endl;
  return exit_code;
}

double TrueRatio(int work) { return static_cast<double>(kBaselineWork) / work; }

// The source with this much work, its code and its constants moved by some bytes.
std::string Relinked(const SourceSpec& source, int work, CounterRandom* random) {
  const auto bytes = [&] { return std::to_string(16 * random->Below(256)); };
  return "#define WORK " + std::to_string(work) + "\n__asm__(\".text\\n\\t.skip " + bytes() +
         "\\n\\t.section .rodata\\n\\t.skip " + bytes() + "\\n\\t.text\\n\");\n" + source.text;
}

Value LineOf(const Cell& cell, const Value& facts) {
  Value line;
  line.Set("cell", cell.name);
  line.Set("true_ratio", TrueRatio(cell.work));
  line.Set("ratio", facts["speedup"]);
  line.Set("low", facts["speedup_low"]);
  line.Set("high", facts["speedup_high"]);
  line.Set("faster", facts["faster"].AsBool());
  line.Set("noisy", facts["noisy"].AsBool());
  line.Set("launches", facts["launches"]);
  return line;
}

std::string NameOf(const char* task, int work) {
  char name[32];
  std::snprintf(name, sizeof(name), "%s %.3g", task, TrueRatio(work));
  return name;
}

// Error: one that is no cell, and what there is.
Status CheckCells(const std::vector<std::string>& asked) {
  std::vector<std::string> known;
  std::string all;
  for (const char* task : kTasks) {
    for (const int work : kWorks) {
      known.push_back(NameOf(task, work));
      all += (all.empty() ? "" : ", ") + known.back();
    }
  }
  for (const std::string& cell : asked) {
    if (std::find(known.begin(), known.end(), cell) == known.end())
      return Error{Code::kInvalid, "--cells: there is no cell '" + cell + "'; there are " + all};
  }
  return {};
}

}  // namespace

int MeasureTruth(const TruthOptions& options) {
  if (const Status s = CheckCells(options.cells); !s.ok())
    return Complain(s.error(), kExitBadInput);
  const InterruptFlag interrupts;  // until the folders are gone
  const Result<JudgeFolders> folders = JudgeFolders::Make();
  if (!folders.ok()) return Complain(folders.error(), kExitEnvironment);
  const Result<int64_t> secret = folders->Secret();
  if (!secret.ok()) return Complain(secret.error(), kExitEnvironment);
  JudgeOptions judge;
  judge.scratch = folders->scratch();
  judge.cache_folder = folders->scratch() + "/cache";  // of libraries that nobody asks for again
  judge.secret = *secret;
  judge.launches = options.launches;
  judge.cancelled = &interrupts.flag();
  std::vector<std::unique_ptr<LoadedRun>> runs;
  std::vector<std::unique_ptr<KernelJudge>> judges;
  std::vector<Cell> cells;
  for (const char* task : kTasks) {
    std::vector<Cell> of_task;
    for (const int work : kWorks) {
      const std::string name = NameOf(task, work);
      const bool asked =
          options.cells.empty() ||
          std::find(options.cells.begin(), options.cells.end(), name) != options.cells.end();
      if (asked) of_task.push_back({name, work});
    }
    if (of_task.empty()) continue;
    Result<LoadedRun> run = LoadForJudge(options.tasks + "/task-" + task, "cpu", ShippedConfigs());
    if (!run.ok()) return Complain(run.error(), kExitBadInput);
    if (!options.core.empty()) run->targets.front().cores = options.core;
    runs.push_back(std::make_unique<LoadedRun>(std::move(*run)));
    judge.seed = options.seed;
    auto made = KernelJudge::Make(*runs.back(), judge);
    if (!made.ok()) return Complain(made.error(), kExitEnvironment);
    judges.push_back(std::move(*made));
    for (Cell& cell : of_task) {
      cell.judge = judges.back().get();
      cell.source = &runs.back()->task.baselines.front();
      cells.push_back(std::move(cell));
    }
  }
  CounterRandom random(options.seed, "relink");
  for (uint32_t repetition = 0; repetition < options.repetitions; ++repetition) {
    for (const Cell& cell : cells) {  // in turn, so that all see the same weather
      const std::string baseline = Relinked(*cell.source, kBaselineWork, &random);
      const std::string candidate = Relinked(*cell.source, cell.work, &random);
      const Result<JobResult> result =
          cell.judge->Compare(baseline, candidate, "repetition " + std::to_string(repetition));
      if (interrupts.flag())
        return Complain(Error{Code::kUnavailable, "interrupted"}, kExitInterrupted);
      if (!result.ok()) return Complain(result.error(), kExitEnvironment);
      if (result->verdict != Verdict::kOk) {
        return Complain({Code::kInternal, cell.name + ": an honest kernel was refused as " +
                                              Name(result->verdict) + ": " + result->message},
                        kExitInternal);
      }
      std::cout << ToJson(LineOf(cell, result->facts)) << std::endl;
    }
  }
  return kExitDone;
}

}  // namespace kev
