#include "runners/statistics/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kev {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

double Median(std::vector<double> values) {
  if (values.empty()) return kNaN;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

size_t MedianIntervalRank(size_t n) {
  // P(median outside [x(r), x(n+1-r)]) = 2 * sum over k < r of C(n, k) / 2^n.
  const double count = static_cast<double>(n);
  double log_choose = 0;
  double tail = 0;
  size_t rank = 0;
  for (size_t k = 0; 2 * k < n; ++k) {
    tail += std::exp(log_choose - count * std::log(2.0));
    if (2 * tail > 0.05) break;
    rank = k + 1;
    log_choose += std::log(count - static_cast<double>(k)) - std::log(static_cast<double>(k) + 1);
  }
  return rank;
}

double StudentT975(size_t degrees) {
  static constexpr double kTable[] = {12.706204736, 4.302652730, 3.182446305, 2.776445105};
  return kTable[degrees - 1];
}

Interval MedianInterval(const std::vector<double>& values) {
  if (values.empty()) return {kNaN, kNaN, kNaN};
  const double point = Median(values);
  if (values.size() == 1) return {point, -kInfinity, kInfinity};
  if (const size_t rank = MedianIntervalRank(values.size()); rank > 0) {
    std::vector<double> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    return {point, sorted[rank - 1], sorted[sorted.size() - rank]};
  }
  const double n = static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) sum += value;
  const double mean = sum / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double half = StudentT975(values.size() - 1) * std::sqrt(squares / (n - 1) / n);
  return {point, std::min(mean - half, point), std::max(mean + half, point)};
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

Interval Exponential(const Interval& log_ratio) {
  return {std::exp(log_ratio.point), std::exp(log_ratio.low), std::exp(log_ratio.high)};
}

double ControlBand(const Interval& control_log_ratio) {
  return std::max(std::fabs(control_log_ratio.low), std::fabs(control_log_ratio.high));
}

}  // namespace kev
