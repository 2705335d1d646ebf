#include "runners/harness/outcome.h"

#include <signal.h>
#include <string.h>

namespace kev {
namespace {

std::string SignalName(int number) {
  switch (number) {
    case SIGSEGV:
      return "SIGSEGV, it touched memory that is not its own, or wrote to an input";
    case SIGBUS:
      return "SIGBUS, a bad memory access";
    case SIGFPE:
      return "SIGFPE, an integer division by zero";
    case SIGILL:
      return "SIGILL, an instruction that this CPU does not have";
    case SIGABRT:
      return "SIGABRT, it aborted";
    case SIGTRAP:
      return "SIGTRAP, a trap";
    default:
      return std::string("SIG") + (sigabbrev_np(number) != nullptr ? sigabbrev_np(number) : "?");
  }
}

}  // namespace

Outcome OutcomeOfEnd(const ProcessEnd& end, const std::string& during,
                     const std::string& standard_error, uint64_t cpu_seconds) {
  if (end.signal == 0) {
    return {Outcome::Kind::kCrashed,
            "ended its own process with status " + std::to_string(end.status) + " " + during};
  }
  switch (end.signal) {
    case SIGKILL:
      return {Outcome::Kind::kResources,
              "was killed from outside " + during + ", most likely for want of memory"};
    case SIGXCPU:
      return {Outcome::Kind::kResources,
              "used more than " + std::to_string(cpu_seconds) + " s of CPU time"};
    case SIGSYS:
      return {Outcome::Kind::kCheated,
              "made a system call " + during + " that no kernel needs and none may make",
              kForbiddenCall};
    case SIGABRT:
      if (standard_error.find("std::bad_alloc") == std::string::npos) break;
      return {Outcome::Kind::kResources, "found no memory " + during + " (std::bad_alloc)"};
    default:
      break;
  }
  return {Outcome::Kind::kCrashed, SignalName(end.signal) + ", " + during};
}

}  // namespace kev
