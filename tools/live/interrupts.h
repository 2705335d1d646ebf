// InterruptCounter: counts SIGINT, SIGTERM and SIGHUP while it lives, and puts the old handlers
// back. SIGPIPE is ignored from then on. Threads: one object at a time. Errors: none.
#ifndef KEV_TOOLS_LIVE_INTERRUPTS_H_
#define KEV_TOOLS_LIVE_INTERRUPTS_H_

#include <csignal>

namespace kev {

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

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_INTERRUPTS_H_
