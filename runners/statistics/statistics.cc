#include "runners/statistics/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kev {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

}  // namespace

double Median(std::vector<double> values) {
  for (const double value : values) {
    if (std::isnan(value)) return kNaN;
  }
  if (values.empty()) return kNaN;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

double WeightedMean(const std::vector<double>& values, const std::vector<double>& weights) {
  double sum = 0;
  double total = 0;
  for (size_t i = 0; i < values.size() && i < weights.size(); ++i) {
    sum += values[i] * weights[i];
    total += weights[i];
  }
  return total > 0 ? sum / total : kNaN;
}

std::vector<double> CombineWorkloads(const std::vector<std::vector<double>>& log_ratios,
                                     const std::vector<double>& weights) {
  std::vector<double> combined;
  const size_t launches = log_ratios.empty() ? 0 : log_ratios.front().size();
  for (size_t launch = 0; launch < launches; ++launch) {
    std::vector<double> of_launch;
    for (const std::vector<double>& workload : log_ratios) of_launch.push_back(workload[launch]);
    combined.push_back(WeightedMean(of_launch, weights));
  }
  return combined;
}

Interval CombinedInterval(const std::vector<std::vector<double>>& log_ratios,
                          const std::vector<double>& weights, double confidence) {
  return CombinedInterval(log_ratios, weights, [confidence](const std::vector<double>& values) {
    return MedianInterval(values, confidence);
  });
}

Interval CombinedInterval(const std::vector<std::vector<double>>& log_ratios,
                          const std::vector<double>& weights,
                          const std::function<Interval(const std::vector<double>&)>& of_launches) {
  std::vector<double> medians;
  for (const std::vector<double>& workload : log_ratios) {
    if (workload.size() != log_ratios.front().size()) return {kNaN, kNaN, kNaN};
    medians.push_back(Median(workload));
  }
  const double point = WeightedMean(medians, weights);
  const Interval launches = of_launches(CombineWorkloads(log_ratios, weights));
  const double off = point - launches.point;
  return {point, launches.low + std::min(off, 0.0), launches.high + std::max(off, 0.0)};
}

Interval Exponential(const Interval& log_ratio) {
  return {std::exp(log_ratio.point), std::exp(log_ratio.low), std::exp(log_ratio.high)};
}

}  // namespace kev
