// A plan as the words of bubblewrap's command line, which kevolve-confine understands too.
//
// Threads: functions on values. Errors: what the plan names and is not there.
#ifndef KEV_RUNNERS_SANDBOX_SANDBOX_ARGUMENTS_H_
#define KEV_RUNNERS_SANDBOX_SANDBOX_ARGUMENTS_H_

#include <string>
#include <vector>

#include "runners/sandbox/sandbox.h"

namespace kev {

// Numbers that the starting program's own descriptors will have; -1: it gets none.
struct GuardDescriptors {
  int info = -1;      // it writes {"child-pid": N} there and closes it
  int block = -1;     // it waits for a byte there before it starts the plan's program
  int syscalls = -1;  // it reads the filter from there
};

// Words to execute, the first being the path of bubblewrap or kevolve-confine.
Result<std::vector<std::string>> SandboxArguments(const SandboxPlan& plan, Isolation isolation,
                                                  const GuardDescriptors& descriptors);

}  // namespace kev

#endif  // KEV_RUNNERS_SANDBOX_SANDBOX_ARGUMENTS_H_
