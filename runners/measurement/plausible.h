// What a kernel's windows say of its time.
//
// A window is timed from letting the process go on, with its order there, to the answer; all of it
// is the kernel's but what the harness itself costs. Threads: pure functions. Errors: none.
#ifndef KEV_RUNNERS_MEASUREMENT_PLAUSIBLE_H_
#define KEV_RUNNERS_MEASUREMENT_PLAUSIBLE_H_

#include <cstdint>
#include <vector>

namespace kev {

// What the harness costs, by processes that nobody else's code is in.
struct HarnessCost {
  double order_ns = 0;  // a window without calls: from letting go on to seeing the answer
  double call_ns = 0;   // a call of an empty function
};

struct TimedWindow {
  uint32_t calls = 0;
  double ns = 0;
  // The judge itself was not looking for a while: not used where others are.
  bool disturbed = false;
  double ticks = 0;  // `ns` by the second clock
};

// Time of one call: the median over windows of (window - order) / calls, less an empty call.
// Nothing else is taken off, so that time spent in a window is time spent in its calls. Windows
// that were disturbed count only where there are no three others. 0 when no window has a call.
double CallTimeOf(const std::vector<TimedWindow>& windows, const HarnessCost& cost);

// How far the second clock says that these windows are from what the first one says, as a share of
// their time: of the median window of 20 us and longer. `ticks_per_ns`: over the whole measurement.
// NaN with fewer than three such windows, or when the rate is not known.
double ClocksApart(const std::vector<TimedWindow>& windows, double ticks_per_ns);

}  // namespace kev

#endif  // KEV_RUNNERS_MEASUREMENT_PLAUSIBLE_H_
