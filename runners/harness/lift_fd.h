// File descriptors of the judge's end lie above those that a child gets, so that dup2 never meets
// one of them. Threads: a function on values. Errors: -1, with errno.
#ifndef KEV_RUNNERS_HARNESS_LIFT_FD_H_
#define KEV_RUNNERS_HARNESS_LIFT_FD_H_

#include <fcntl.h>
#include <unistd.h>

namespace kev {

inline constexpr int kLowestFd = 32;

// The same file by a high number; `fd` is closed.
inline int LiftFd(int fd) {
  if (fd < 0) return fd;
  const int high = fcntl(fd, F_DUPFD_CLOEXEC, kLowestFd);
  close(fd);
  return high;
}

}  // namespace kev

#endif  // KEV_RUNNERS_HARNESS_LIFT_FD_H_
