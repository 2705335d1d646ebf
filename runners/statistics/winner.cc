#include "runners/statistics/winner.h"

#include <algorithm>
#include <cmath>

#include "runners/statistics/quantiles.h"

namespace kev {
namespace {

// From so many values on their upper half has a spread of its own.
constexpr size_t kEnoughForHalf = 8;

struct Prior {
  double mean = 0;
  double variance = 0;  // of what is observed: true spread and error
};

Prior PriorOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const double n = static_cast<double>(values.size());
  if (values.size() >= kEnoughForHalf) {
    // Upper half alone: distances from the median, as of a half-normal distribution.
    const double median = Median(values);
    double squares = 0;
    for (size_t i = values.size() / 2; i < values.size(); ++i) {
      squares += (values[i] - median) * (values[i] - median);
    }
    return {median, squares / (n - static_cast<double>(values.size() / 2))};
  }
  double mean = 0, squares = 0;
  for (const double value : values) mean += value / n;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {mean, values.size() > 1 ? squares / (n - 1) : 0};
}

// Expected largest of n standard normal errors (Blom 1958).
double LargestOf(size_t n) {
  return n < 2 ? 0
               : NormalQuantile((static_cast<double>(n) - 0.375) / (static_cast<double>(n) + 0.25));
}

}  // namespace

Interval ExpectedFinal(const std::vector<Screened>& screened, size_t winner) {
  const Screened& best = screened[winner];
  std::vector<double> values, variances;
  for (const Screened& one : screened) {
    if (!std::isfinite(one.log_speedup) || !std::isfinite(one.standard_error)) continue;
    values.push_back(one.log_speedup);
    variances.push_back(one.standard_error * one.standard_error);
  }
  const double error = best.standard_error * best.standard_error;
  const double reach = 1.96 * best.standard_error;
  const Interval as_seen = {best.log_speedup, best.log_speedup - reach, best.log_speedup + reach};
  if (values.size() < 2 || !std::isfinite(error) || error == 0) return as_seen;

  const Prior prior = PriorOf(values);
  const double spread = std::max(0.0, prior.variance - Median(variances));
  const double kept = spread / (spread + error);
  const double most = LargestOf(values.size()) * best.standard_error;
  const double move = std::min((1 - kept) * std::max(0.0, best.log_speedup - prior.mean), most);
  const double expected = best.log_speedup - move;
  return {expected, expected - reach, expected + reach};
}

HeadToHead CompareInBlocks(const std::vector<std::vector<double>>& log_times, size_t reference,
                           double confidence) {
  const size_t rivals = log_times.size() - 1;
  const double each = rivals < 2 ? confidence : 1 - (1 - confidence) / static_cast<double>(rivals);
  HeadToHead result;
  result.best = reference;
  double fastest = 0;
  for (size_t kernel = 0; kernel < log_times.size(); ++kernel) {
    if (kernel == reference) {
      result.over_reference.push_back({0, 0, 0});
      continue;
    }
    std::vector<double> ratios;
    for (size_t block = 0; block < log_times[reference].size(); ++block) {
      const double ratio = log_times[reference][block] - log_times[kernel][block];
      if (!std::isnan(ratio)) ratios.push_back(ratio);
    }
    const Interval over = MedianInterval(ratios, each);
    result.over_reference.push_back(over);
    if (over.low > 0 && over.point > fastest) {
      fastest = over.point;
      result.best = kernel;
    }
    if (!(over.low > 0) && !(over.high < 0)) result.tied.push_back(kernel);
  }
  return result;
}

}  // namespace kev
