// Loads one target file (configs/targets/*.yaml).
// Threads: functions on values. Errors: diagnostics.
#ifndef KEV_CONFIGS_TARGET_LOADER_H_
#define KEV_CONFIGS_TARGET_LOADER_H_

#include <memory>
#include <string>
#include <vector>

#include "configs/load.h"

namespace kev {

struct LoadTargetOutcome {
  std::vector<Diagnostic> diagnostics;
  std::unique_ptr<Target> target;
};
LoadTargetOutcome LoadTarget(const FileSource& files, const std::string& path);

}  // namespace kev

#endif  // KEV_CONFIGS_TARGET_LOADER_H_
