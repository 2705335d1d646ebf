// kevolve rm: removes runs with all that is kept of them. A live one is refused.
#include <filesystem>
#include <iostream>

#include "tools/kevolve/commands.h"
#include "tools/live/exit_code.h"
#include "tools/live/file_system.h"
#include "tools/live/home.h"
#include "tools/live/run_removal.h"

namespace kev {

int RmCommand(const KeepOptions& options) {
  int exit_code = kExitDone;
  for (const std::string& id : options.runs) {
    const auto folder = FindRunFolder(id);
    const Result<uint64_t> freed = folder ? RemoveRun(*folder) : Result<uint64_t>(folder.error());
    if (!freed) {
      exit_code = Complain(freed.error());
      continue;
    }
    if (options.json) {
      Value v;
      v.Set("removed", id);
      v.Set("bytes", *freed);
      std::cout << ToJson(v) << "\n";
    } else {
      std::cout << "removed " << id << " (" << BytesText(*freed) << ")\n";
    }
  }
  return exit_code;
}

}  // namespace kev
