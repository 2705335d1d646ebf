// Which system calls confined code may make: a deny list for compilers, an allow list for kernels.
//
// Filters are built in the judge (libseccomp) as bytes that the kernel takes; what loads them needs
// no library, so that the program that runs kernels stays small. Threads: functions on values;
// built filters are kept for the life of the process. Errors: kUnavailable when the kernel has no
// such filters.
#ifndef KEV_RUNNERS_SANDBOX_SYSCALL_FILTER_H_
#define KEV_RUNNERS_SANDBOX_SYSCALL_FILTER_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/result.h"

namespace kev {

// For compilers, as SandboxPlan::syscalls. No sockets, no looking into or signalling through other
// processes' memory, no keys, mounts, namespaces, kernel modules; nothing leaves its process group.
// Refused calls fail with EPERM.
Result<std::string> CompilerFilter();
// The same, and no new processes (EPERM); threads may be started.
Result<std::string> CountedFilter();

// For kernels, to be given to ConfineCalls in the process that will load foreign code.
// `channels`: descriptors on which that process may still send and receive (beside 1 and 2).
// Calls that libraries make without need (pinning, memory policies) fail with an error; calls that
// no kernel has a reason for stop the thread until the holder of the listener answers.
Result<std::string> KernelFilter(const std::vector<int>& channels);

// Loads `filter` for this thread and those that it will start; call it before there are others.
// Returns the listener, to be handed to the judge (SCM_RIGHTS on one of the channels) and closed.
// In the file confine_calls.cc, which uses only the kernel.
Result<int> ConfineCalls(std::string_view filter);

// A call that a kernel has no reason to make.
struct CaughtCall {
  uint64_t id = 0;
  pid_t thread = 0;  // as we see it
  int number = 0;
  std::array<uint64_t, 6> arguments{};
};
// The call that waits at `listener` (readable when there is one); nullopt when it is gone already.
std::optional<CaughtCall> NextCall(int listener);
// Lets `call` fail with `error` (an errno value). The caller is stopped until then.
void RefuseCall(int listener, const CaughtCall& call, int error);

// "ptrace"; "call 1234" when it has no name.
std::string CallName(int number);

}  // namespace kev

#endif  // KEV_RUNNERS_SANDBOX_SYSCALL_FILTER_H_
