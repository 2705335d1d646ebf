// Statistics of measurements, as pure functions. The unit of inference is the process launch: an
// interval is made from one number per launch, never from the samples within one. Threads:
// functions on values. Errors: none; what cannot be known is NaN or infinite.
#ifndef KEV_RUNNERS_STATISTICS_STATISTICS_H_
#define KEV_RUNNERS_STATISTICS_STATISTICS_H_

#include <cstddef>
#include <functional>
#include <vector>

namespace kev {

// NaN when empty or a value is NaN; the mean of the middle two when the number is even.
double Median(std::vector<double> values);

struct Interval {
  double point = 0;
  double low = 0;
  double high = 0;
};

// Least number of launches for which an interval holds whatever the distribution; what fewer give
// assumes one mode and is no ground for a claim.
constexpr size_t kLeastLaunches = 5;

// Median over launches with an interval, by default of 95 %. From kLeastLaunches on it is made from
// order statistics, interpolated to come close to the nominal level, at 7 and 8 values from the
// ranks of pairwise means; its coverage was >= 93 % for every distribution tried (README.md has
// the table). For 2 to 4 values, and for more where `confidence` asks for too much of them,
// Student's t about the mean, widened where needed to hold the median; for 1 an infinite interval.
// NaN when a value is NaN or there is none. REQUIRES: 0.5 <= confidence < 1.
Interval MedianInterval(const std::vector<double>& values, double confidence = 0.95);

// Rank r (1-based) of the outer order statistics [x(r), x(n+1-r)] that hold the median with this
// probability or next to it (5 values: 93.75 %); 0 when there is none.
size_t MedianIntervalRank(size_t n, double confidence = 0.95);

// Weighted mean; on logarithms, the logarithm of the weighted geometric mean. NaN when the weights'
// sum is not > 0.
double WeightedMean(const std::vector<double>& values, const std::vector<double>& weights);

// For each launch the weighted mean over workloads; rows are workloads, all with the same launches.
std::vector<double> CombineWorkloads(const std::vector<std::vector<double>>& log_ratios,
                                     const std::vector<double>& weights);

// Interval over workloads that were measured in the same launches, for a number of launches that
// was fixed before; see CombinedSequential for another. The point is the weighted mean of the
// workloads' medians, as the tables show them; the ends are as far from it as those of the
// per-launch means are from their median, so what a launch does to all workloads at once counts in
// full. NaN when rows differ in length or a value is NaN.
Interval CombinedInterval(const std::vector<std::vector<double>>& log_ratios,
                          const std::vector<double>& weights, double confidence = 0.95);
// The same with another interval for the median of the per-launch means.
Interval CombinedInterval(const std::vector<std::vector<double>>& log_ratios,
                          const std::vector<double>& weights,
                          const std::function<Interval(const std::vector<double>&)>& of_launches);

// exp of an interval of log ratios.
Interval Exponential(const Interval& log_ratio);

}  // namespace kev

#endif  // KEV_RUNNERS_STATISTICS_STATISTICS_H_
