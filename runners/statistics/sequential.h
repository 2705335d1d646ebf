// Interval for a median that may be looked at after every value: it holds the median at all times
// at once with the stated probability (a confidence sequence), so that measuring may stop when it
// is tight enough, which MedianInterval does not survive.
//
// For each number of values it inverts an e-process for "m is the median": signs of the values less
// m are fair coins then, and the coin's bias is mixed over a Beta(a, a) prior (Ville 1939; Robbins
// 1970). Nothing else is assumed of the distribution; values need not even be identically
// distributed, as long as they share a median given those before. Threads: functions on values.
// Errors: none; infinite until enough is known (6 values for 95 %).
#ifndef KEV_RUNNERS_STATISTICS_SEQUENTIAL_H_
#define KEV_RUNNERS_STATISTICS_SEQUENTIAL_H_

#include <cstddef>
#include <vector>

#include "runners/statistics/statistics.h"

namespace kev {

// Point and ends after these values; may be looked at after each. NaN when a value is NaN.
// REQUIRES: 0 < confidence < 1.
Interval SequentialInterval(const std::vector<double>& values, double confidence = 0.95);

// CombinedInterval (statistics.h) where the number of launches was decided by looking at them.
Interval CombinedSequential(const std::vector<std::vector<double>>& log_ratios,
                            const std::vector<double>& weights, double confidence = 0.95);

// Rank r such that [x(r), x(n+1-r)] holds the median at every n at once; 0 when there is none.
size_t SequentialRank(size_t n, double confidence = 0.95);

}  // namespace kev

#endif  // KEV_RUNNERS_STATISTICS_SEQUENTIAL_H_
