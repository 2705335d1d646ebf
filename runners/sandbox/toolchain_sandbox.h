// What of this machine a compiler may see: the system's programs, headers and libraries, what its
// own words name, and the scratch folder, which alone it may write to (toolchain_folder.h).
//
// Threads: functions on values. Errors: a machine on which no filter of system calls can be built.
#ifndef KEV_RUNNERS_SANDBOX_TOOLCHAIN_SANDBOX_H_
#define KEV_RUNNERS_SANDBOX_TOOLCHAIN_SANDBOX_H_

#include <string>
#include <vector>

#include "runners/sandbox/sandbox.h"
#include "runners/sandbox/toolchain_process.h"

namespace kev {

// Plan for argv (argv[0] is a path) in `folder`. Words come from target and task, never from a
// candidate: an installation outside /usr that they name (/opt/rocm/bin/hipcc, -I/opt/include) is
// visible. Descriptors and the folder itself (ToolchainFolder) are left to the caller.
Result<SandboxPlan> ToolchainPlan(const std::vector<std::string>& argv, const std::string& folder,
                                  const ProcessLimits& limits);

}  // namespace kev

#endif  // KEV_RUNNERS_SANDBOX_TOOLCHAIN_SANDBOX_H_
