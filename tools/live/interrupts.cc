#include "tools/live/interrupts.h"

#include <signal.h>

namespace kev {
namespace {

volatile std::sig_atomic_t g_interrupts = 0;
std::atomic<bool> g_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);  // set by a signal handler
extern "C" void CountInterrupt(int) {
  g_interrupts = g_interrupts + 1;
  g_interrupted = true;
}

}  // namespace

InterruptCounter::InterruptCounter() {
  g_interrupts = 0;
  struct sigaction action{};
  action.sa_handler = CountInterrupt;
  sigaction(SIGINT, &action, &old_int_);
  sigaction(SIGTERM, &action, &old_term_);
  // A terminal that is closed stops the run in good order, unless nohup asked for going on.
  sigaction(SIGHUP, &action, &old_hup_);
  if (old_hup_.sa_handler == SIG_IGN) signal(SIGHUP, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
}

InterruptCounter::~InterruptCounter() {
  sigaction(SIGINT, &old_int_, nullptr);
  sigaction(SIGTERM, &old_term_, nullptr);
  sigaction(SIGHUP, &old_hup_, nullptr);
}

int InterruptCounter::count() const { return g_interrupts; }

InterruptFlag::InterruptFlag() { g_interrupted = false; }
const std::atomic<bool>& InterruptFlag::flag() const { return g_interrupted; }

}  // namespace kev
