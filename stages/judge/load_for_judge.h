// Loads a task and a target for judging kernels outside of any run.
//
// Its workflow is in memory: compile, verify and profile steps as a search has them, and a propose
// step that is never run, so a task needs no `variants`. Threads: functions on values. Errors:
// kInvalid, with every diagnostic of task and target.
#ifndef KEV_STAGES_JUDGE_LOAD_FOR_JUDGE_H_
#define KEV_STAGES_JUDGE_LOAD_FOR_JUDGE_H_

#include <string>

#include "configs/load.h"
#include "engine/core/result.h"

namespace kev {

// `task`: name of a shipped task or a task folder. `target`: name of a shipped target or a file.
// `shipped`: folder with tasks/ and targets/.
Result<LoadedRun> LoadForJudge(const std::string& task, const std::string& target,
                               const std::string& shipped);

// That the task declares these libraries; kInvalid says which it does.
Status CheckLibraries(const LoadedRun& run, const std::vector<std::string>& libraries);
// Whether `run`'s target compiles a file of this name; kInvalid says which suffixes it does.
Status CheckLanguage(const LoadedRun& run, const std::string& source_name);

}  // namespace kev

#endif  // KEV_STAGES_JUDGE_LOAD_FOR_JUDGE_H_
