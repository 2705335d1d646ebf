// What a kernel's process did around its calls, and what that says of its times.
//
// A window is timed from the order to the answer; all of it is the kernel's but what the harness
// itself costs. CPU time between the thaw and the order is compared with a trusted process of the
// same launch: values lie in memory that the process can read from the thaw on, so that work could
// be done before the clock is started. What is found in a window is charged to its calls; what is
// too much to be chance is refused. Threads: pure functions. Errors: none.
#ifndef KEV_RUNNERS_MEASUREMENT_PLAUSIBLE_H_
#define KEV_RUNNERS_MEASUREMENT_PLAUSIBLE_H_

#include <cmath>
#include <string>
#include <vector>

namespace kev {

// What the harness costs, measured in each process before foreign code is in it.
struct HarnessCost {
  double order_ns = 0;  // an order without calls, from publishing it to seeing the answer
  double call_ns = 0;   // a call of an empty function
};

struct TimedWindow {
  uint32_t calls = 0;
  double ns = 0;
  double before_ns = 0;  // CPU time of all threads from the thaw to the order
  // The judge itself was not running for a while: not used where others are.
  bool disturbed = false;
  double ticks = 0;    // `ns` by the second clock
  double late_ns = 0;  // taken off before_ns, as spent waiting for a judge that was late
};

// What a process may do between the thaw and the order, and what it did beyond that.
struct EarlyWork {
  double allowed_ns = HUGE_VAL;  // of CPU time
  // False where fewer than three windows of one of the two are undisturbed. Then nothing is
  // refused, and what cannot be excluded is charged: the judge's lateness counts as work.
  bool told = true;
  std::string refuse;  // why it cannot be honest; "" where it can

  // Of a window, beyond what is allowed; 0: none.
  double Of(const TimedWindow& window) const;
};

// REQUIRES: both of one launch and call.
EarlyWork WorkBeforeTheClock(const std::vector<TimedWindow>& windows,
                             const std::vector<TimedWindow>& trusted);

// Time of one call: the median over windows of (window + early work - order) / calls, less an empty
// call. Nothing else is taken off, so that time spent in a window is time spent in its calls.
// Windows that were disturbed count only where there are no three others. 0 when no window has a
// call.
double CallTimeOf(const std::vector<TimedWindow>& windows, const HarnessCost& cost,
                  const EarlyWork& early = {});

// How far the second clock says that these windows are from what the first one says, as a share of
// their time: of the median window of 20 us and longer. `ticks_per_ns`: over the whole measurement.
// NaN with fewer than three such windows, or when the rate is not known.
double ClocksApart(const std::vector<TimedWindow>& windows, double ticks_per_ns);

}  // namespace kev

#endif  // KEV_RUNNERS_MEASUREMENT_PLAUSIBLE_H_
