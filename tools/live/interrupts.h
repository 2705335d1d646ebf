// SIGINT, SIGTERM and SIGHUP, counted or as a flag that other threads may look at, while an object
// lives; then the old handlers are back. Threads: one object at a time; the flag may be read by
// any. Errors: none.
#ifndef KEV_TOOLS_LIVE_INTERRUPTS_H_
#define KEV_TOOLS_LIVE_INTERRUPTS_H_

#include <atomic>
#include <csignal>

namespace kev {

// SIGPIPE is ignored from then on.
class InterruptCounter {
 public:
  InterruptCounter();
  ~InterruptCounter();
  InterruptCounter(const InterruptCounter&) = delete;
  InterruptCounter& operator=(const InterruptCounter&) = delete;
  int count() const;

 private:
  struct sigaction old_int_{};
  struct sigaction old_term_{};
  struct sigaction old_hup_{};
};

// Set by the first of them.
class InterruptFlag {
 public:
  InterruptFlag();
  const std::atomic<bool>& flag() const;

 private:
  InterruptCounter handlers_;  // puts the old ones back
};

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_INTERRUPTS_H_
