// Statistics of measurements, as pure functions. The unit of inference is the process launch: an
// interval is made from one number per launch, never from the samples within one. Threads:
// functions on values. Errors: none; what cannot be known is NaN or infinite.
#ifndef KEV_RUNNERS_STATISTICS_STATISTICS_H_
#define KEV_RUNNERS_STATISTICS_STATISTICS_H_

#include <cstddef>
#include <vector>

namespace kev {

// NaN when empty; the mean of the middle two when the number is even.
double Median(std::vector<double> values);

struct Interval {
  double point = 0;
  double low = 0;
  double high = 0;
};

// Median over launches with a 95 % interval. From 6 values on the exact binomial interval between
// order statistics (Hahn and Meeker 1991, §5.2: distribution-free; 6 is the least number for which
// it reaches 95 %); for 2 to 5 Student's t about the mean, widened where needed to hold the median;
// for 1 an infinite interval.
Interval MedianInterval(const std::vector<double>& values);

// Rank r (1-based) such that [x(r), x(n+1-r)] holds the median with probability >= 0.95; 0 when
// there is none.
size_t MedianIntervalRank(size_t n);

// 97.5 % quantile of Student's t. REQUIRES: 1 <= degrees <= 4.
double StudentT975(size_t degrees);

// Weighted mean; on logarithms, the logarithm of the weighted geometric mean. NaN when the weights'
// sum is not > 0.
double WeightedMean(const std::vector<double>& values, const std::vector<double>& weights);

// For each launch the weighted mean over workloads; rows are workloads, all with the same launches.
std::vector<double> CombineWorkloads(const std::vector<std::vector<double>>& log_ratios,
                                     const std::vector<double>& weights);

// exp of an interval of log ratios.
Interval Exponential(const Interval& log_ratio);

// A/A band: how far from 0 the control's interval reaches, in log ratio.
double ControlBand(const Interval& control_log_ratio);

}  // namespace kev

#endif  // KEV_RUNNERS_STATISTICS_STATISTICS_H_
