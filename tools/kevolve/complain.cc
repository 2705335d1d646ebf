#include <iostream>

#include "tools/kevolve/commands.h"
#include "tools/live/exit_code.h"
#include "tools/live/stored_run.h"

namespace kev {

int ExitCodeOf(const Error& error) {
  switch (error.code) {
    case Code::kInvalid:
    case Code::kNotFound:
    case Code::kCorrupt:
      return kExitBadInput;
    case Code::kDiskFull:
    case Code::kPermission:
    case Code::kExists:
    case Code::kUnavailable:
      return kExitEnvironment;
    case Code::kConflict:
      return kExitStoreLost;
    case Code::kInternal:
      break;
  }
  return kExitInternal;
}

int Complain(const Error& error) {
  std::cerr << "kevolve: " << error.message << std::endl;
  return ExitCodeOf(error);
}

int ComplainInJson(const Error& error, int exit_code) {
  Value object;
  object.Set("error", error.message);
  object.Set("exit_code", exit_code);
  std::cout << ToJson(object) << std::endl;
  return exit_code;
}

int Complain(const Error& error, int exit_code, bool json) {
  Complain(error);
  return json ? ComplainInJson(error, exit_code) : exit_code;
}

int JudgeExitCode(const Error& error) {
  switch (error.code) {
    case Code::kInvalid:
      return kExitTaskBroken;
    case Code::kInternal:
      return kExitInternal;
    default:
      return kExitEnvironment;
  }
}

void Warn(const StoredRun& run) {
  if (!run.warning.empty()) std::cerr << "kevolve: warning: " << run.warning << std::endl;
}

}  // namespace kev
