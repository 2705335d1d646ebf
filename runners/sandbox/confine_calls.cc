// ConfineCalls alone, so that who loads a filter needs nothing of what builds it.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "runners/sandbox/own_process_mark.h"
#include "runners/sandbox/syscall_filter.h"

namespace kev {

Result<int> ConfineCalls(std::string_view filter) {
  std::vector<sock_filter> steps(filter.size() / sizeof(sock_filter));
  if (steps.empty() || filter.size() % sizeof(sock_filter) != 0 || steps.size() > BPF_MAXINSNS)
    return Error{Code::kInvalid, "a system call filter of " + std::to_string(filter.size()) +
                                     " bytes is not one; use what KernelFilter gave"};
  std::memcpy(steps.data(), filter.data(), filter.size());
  for (sock_filter& step : steps)
    if (step.k == kOwnProcessMark) step.k = static_cast<uint32_t>(getpid());
  const sock_fprog program{static_cast<unsigned short>(steps.size()), steps.data()};
  // Without SPEC_ALLOW kernels before 5.16 switch a CPU's store forwarding off with the filter,
  // and what is measured would be slower than it is elsewhere.
  constexpr unsigned kFlags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
    const long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, kFlags, &program);
    if (listener >= 0) return static_cast<int>(listener);
  }
  return Error{Code::kUnavailable,
               std::string("the kernel refuses a system call filter: ") + std::strerror(errno)};
}

}  // namespace kev
