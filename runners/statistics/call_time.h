// Time of one call from windows that held several: a window with N calls takes overhead + N times
// the call, so the slope over N is the call and the intercept what starting and stopping cost. Only
// windows are believed; N is drawn by the judge, also as 0, and unknown to the kernel before.
//
// The line is the rank-based one (Jaeckel 1972: the median of the slopes between all pairs of
// windows, weighted by their distance in N); a pre-empted window moves it as little as any other
// window does. From 30 windows on, a sixth of them without calls, honest kernels are flagged less
// than twice in a thousand estimates (simulated). Threads: functions on values, quadratic in the
// number of windows. Errors: none; what cannot be known is NaN or infinite.
#ifndef KEV_RUNNERS_STATISTICS_CALL_TIME_H_
#define KEV_RUNNERS_STATISTICS_CALL_TIME_H_

#include <string_view>
#include <vector>

#include "runners/statistics/statistics.h"

namespace kev {

struct Window {
  double calls = 0;
  double ns = 0;
};

// How windows grow with their calls. All but kLine and kUntested are reasons not to believe ns.
enum class Growth {
  kLine,
  kUntested,  // no two numbers of calls above 0: nothing to compare
  kUnknown,   // not enough windows for a time
  kFlat,      // not at all, or not so that it could be told from noise: work is skipped
  kConcave,   // less and less: only the first calls of a window do their work
  kConvex,    // more and more: state piles up, or the machine slows down
  kDeferred,  // a window with calls lacks a constant amount: work is left for after the stop mark
  kFrontLoaded,  // the first call costs more than two others: cold start, or later calls reuse it
};

struct CallTime {
  Interval ns;  // of one call, 95 %
  double standard_error = 0;
  double overhead_ns = 0;  // of a window without calls
  double excess_ns = 0;    // of a window with calls over overhead and calls; NaN when not measured
  double bend = 0;  // fall of the slope from the lower to the upper half of N, over the slope
  Growth growth = Growth::kUnknown;
};

CallTime EstimateCallTime(const std::vector<Window>& windows);

// One phrase for a report, e.g. "windows do not grow with their calls".
std::string_view Describe(Growth growth);

}  // namespace kev

#endif  // KEV_RUNNERS_STATISTICS_CALL_TIME_H_
