// kevolve validate: every error and warning of workflow files, in one go; nothing runs.
#include <algorithm>
#include <iostream>

#include "tools/kevolve/commands.h"
#include "tools/live/exit_code.h"
#include "tools/live/home.h"

namespace kev {

int ValidateCommand(const ValidateOptions& options) {
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
