// A process that is not our child, seen and steered from outside: stopped, continued, killed, and
// what the kernel charges it.
//
// Threads: one at a time. Errors: what cannot be read is 0.
#ifndef KEV_RUNNERS_HARNESS_WATCHED_PROCESS_H_
#define KEV_RUNNERS_HARNESS_WATCHED_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace kev {

class WatchedProcess {
 public:
  WatchedProcess() = default;
  ~WatchedProcess();
  WatchedProcess(const WatchedProcess&) = delete;
  WatchedProcess& operator=(const WatchedProcess&) = delete;

  void Know(pid_t pid);
  bool known() const { return pid_ > 0; }
  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_; }

  // Stops all of its threads; returns when they have stopped (or, after two seconds, have not).
  bool Freeze();
  void Thaw();
  void Kill();

  double CpuNs() const;  // of all its threads, ended ones included
  // Of its first thread: for how long it ran, as of when it last gave up the core, and for how long
  // it could have run but did not.
  struct Times {
    double running_ns = 0;
    double waiting_ns = 0;
  };
  Times LeaderTimes() const;
  uint64_t InvoluntarySwitches() const;  // of its first thread
  uint64_t ResidentBytes() const;
  std::vector<pid_t> Threads() const;
  bool HasThreads() const;  // besides the first

 private:
  bool Stopped() const;

  pid_t pid_ = -1;
  int pidfd_ = -1;
  // Of /proc/<pid>, kept open: they are read for each timed window.
  int stat_ = -1;
  int schedstat_ = -1;
  int cpu_clock_ = 0;
};

}  // namespace kev

#endif  // KEV_RUNNERS_HARNESS_WATCHED_PROCESS_H_
