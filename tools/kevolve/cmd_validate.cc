// kevolve validate: every error and warning of workflow files, in one go; nothing runs. With
// --qualify: whether a task accepts outputs that nobody computed; its reference runs.
#include <iostream>

#include "stages/judge/kernel_judge.h"
#include "stages/judge/load_for_judge.h"
#include "tools/kevolve/commands.h"
#include "tools/live/exit_code.h"
#include "tools/live/home.h"
#include "tools/live/interrupts.h"
#include "tools/live/judge_folders.h"

namespace kev {
namespace {

constexpr const char* kHelp =
    "narrow its tolerance (or measure it), widen the values of its inputs, or add workloads and "
    "value classes that tell right from wrong (configs/tasks/README.md)";

void Print(const std::string& task, const Qualification& qualification) {
  std::string accepted;
  for (const HackResult& result : qualification.hacks) {
    std::string name = result.hack;
    name.resize(20, ' ');
    std::cout << name << " "
              << (result.accepted ? "ACCEPTED"
                  : result.tried  ? "refused"
                                  : "not tried")
              << ": " << result.reason << "\n";
    if (result.accepted)
      accepted += (accepted.empty() ? "" : "; ") + result.hack + " (" + result.reason + ")";
  }
  if (qualification.hackable) {
    std::cout << "task " << task << ": hackable: " << accepted << std::endl;
  } else {
    std::cout << "task " << task << ": not hackable" << std::endl;
  }
}

int QualifyCommand(const ValidateOptions& options) {
  const auto refuse = [&](const Error& error, int exit_code) {
    return Complain(error, exit_code, options.json);
  };
  const std::string& target = options.overrides.target;
  Result<LoadedRun> run =
      LoadForJudge(options.qualify, target.empty() ? "cpu" : target, ShippedConfigs());
  if (!run.ok()) return refuse(run.error(), ExitCodeOf(run.error()));
  const std::string task = run->task.name;
  const InterruptFlag interrupts;  // until the folders are gone
  Result<JudgeFolders> folders = JudgeFolders::Make();
  if (!folders.ok()) return refuse(folders.error(), ExitCodeOf(folders.error()));
  JudgeOptions judge_options;  // no secret: the same answer each time
  judge_options.cache_folder = folders->cache();
  judge_options.scratch = folders->scratch();
  judge_options.cancelled = &interrupts.flag();
  const Result<Qualification> qualification =
      KernelJudge::QualifyTask(std::move(*run), judge_options);
  if (interrupts.flag())
    return refuse(Error{Code::kUnavailable, "interrupted; there is no answer"}, kExitInterrupted);
  if (!qualification.ok())
    return refuse(qualification.error(), JudgeExitCode(qualification.error()));
  if (options.json) {
    Value object;
    object.Set("task", task);
    const Value answer = ToValue(*qualification);
    for (const char* name : {"hackable", "hacks"}) object.Set(name, answer[name]);
    std::cout << ToJson(object) << std::endl;
  } else {
    Print(task, *qualification);
  }
  if (!qualification->hackable) return kExitDone;
  std::cerr << "kevolve: the task " << task << " can be hacked: " << kHelp << std::endl;
  return kExitHackable;
}

}  // namespace

int ValidateCommand(const ValidateOptions& options) {
  if (!options.qualify.empty()) return QualifyCommand(options);
  if (options.workflows.empty()) {
    return Complain(Error{Code::kInvalid,
                          "workflow is required: name workflow files to check, or --qualify TASK"},
                    kExitBadInput, options.json);
  }
  DiskFiles files;
  bool good = true;
  for (const std::string& path : options.workflows) {
    const LoadOutcome outcome = LoadRun(files, path, ShippedConfigs(), options.overrides);
    std::cerr << Format(outcome.diagnostics);
    good = good && outcome.run != nullptr;
    if (outcome.run) std::cout << path << ": ok\n";
  }
  return good ? kExitDone : kExitBadInput;
}

}  // namespace kev
