// LoadRun with the places of task and target already known, as a bundle has them.
// Threads: functions on values. Errors: diagnostics.
#ifndef KEV_CONFIGS_RUN_LOADER_H_
#define KEV_CONFIGS_RUN_LOADER_H_

#include <string>

#include "configs/load.h"

namespace kev {

// The names of files in LoadedRun::files: stable ones, which say nothing of the machine they came
// from.
inline constexpr const char* kTaskFolder = "task";       // task/task.yaml, task/reference.c, …
inline constexpr const char* kTargetFolder = "targets";  // targets/cpu.yaml
// The workflow is there under its file name alone.
std::string BundledName(const std::string& workflow_path);

struct Places {
  std::string task_folder;
  std::string target_file;
};
// `places`: nullptr to look for task and target by the workflow's words.
LoadOutcome LoadRunAt(const FileSource& files, const std::string& path, const std::string& shipped,
                      const Overrides& overrides, const Places* places);

}  // namespace kev

#endif  // KEV_CONFIGS_RUN_LOADER_H_
