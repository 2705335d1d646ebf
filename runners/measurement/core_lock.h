// The right to time on one CPU of this machine: one holder at a time, over all runs and users of
// the machine, in the order in which they came. Who waits has a ticket in a folder beside the lock,
// which dies with its process as the lock does; where tickets cannot be made (the folder is
// somebody's who does not share it) the order is chance's. Threads: a CoreLock belongs to the
// thread that took it. Errors: kUnavailable when cancelled, kPermission or kInternal when the lock
// file cannot be had.
#ifndef KEV_RUNNERS_MEASUREMENT_CORE_LOCK_H_
#define KEV_RUNNERS_MEASUREMENT_CORE_LOCK_H_

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "engine/core/result.h"

namespace kev {

// CPU that a target's `cores` names: "last" is the last CPU that is online, a list ("1", "2-3") its
// first.
Result<int> TimingCore(std::string_view cores);
// The last number of a kernel CPU list such as "0-3,6"; -1 when it has none.
int LastCpu(std::string_view list);

class CoreLock {
 public:
  // Waits until the core is free and it is this one's turn, or `cancelled` is set. `waits`, when
  // given, is told after a second, and each half minute from then on, who is waited for.
  static Result<CoreLock> Take(int core, const std::atomic<bool>& cancelled,
                               const std::function<void(const std::string&)>& waits = nullptr);
  CoreLock(CoreLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  CoreLock& operator=(CoreLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~CoreLock();

 private:
  explicit CoreLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace kev

#endif  // KEV_RUNNERS_MEASUREMENT_CORE_LOCK_H_
