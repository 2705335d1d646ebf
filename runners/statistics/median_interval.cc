// The interval of a median from few launches. Which method holds for which number of launches was
// decided by simulation: README.md has the table and its command.
#include <algorithm>
#include <cmath>
#include <limits>

#include "runners/statistics/quantiles.h"
#include "runners/statistics/statistics.h"

namespace kev {
namespace {

// What is missing from the confidence asked for may be this share of the error allowed: five values
// hold the median with 93.75 %, and no method that assumes nothing does better.
constexpr double kTolerated = 1.25;
constexpr double kRounding = 1e-12;

// An end that is interpolated between two order statistics falls into the gap between two modes as
// soon as there is one there. Where the inner rank alone would miss too often (coverage below
// 1 - kInnerTolerated * error), the end stays nearer to the outer one.
constexpr double kInnerTolerated = 1.4;
constexpr double kMostTowardsInner = 0.45;

// How far from the outer rank towards the next one the nominal coverage lies (Hettmansperger and
// Sheather 1986; Nyblom 1992 for its accuracy over distributions).
double TowardsInner(size_t n, size_t rank, double confidence) {
  const double outer = MedianRankCoverage(n, rank);
  if (2 * (rank + 1) > n + 1 || outer <= confidence) return 0;
  const double inner = MedianRankCoverage(n, rank + 1);
  const double share = (outer - confidence) / (outer - inner);
  const double count = static_cast<double>(n), r = static_cast<double>(rank);
  return (count - r) * share / (r + (count - 2 * r) * share);
}

Interval Interpolated(const std::vector<double>& sorted, double point, size_t rank, double share) {
  const size_t n = sorted.size();
  if (share == 0)
    return {point, sorted[rank - 1], sorted[n - rank]};  // also where both are infinite
  return {point, (1 - share) * sorted[rank - 1] + share * sorted[rank],
          (1 - share) * sorted[n - rank] + share * sorted[n - rank - 1]};
}

Interval Holding(double point, double low, double high) {
  return {point, std::min(low, point), std::max(high, point)};
}

Interval Student(const std::vector<double>& values, double point, double confidence) {
  const double n = static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) sum += value;
  const double mean = sum / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double half =
      StudentTwoSided(confidence, values.size() - 1) * std::sqrt(squares / (n - 1) / n);
  return Holding(point, mean - half, mean + half);
}

Interval SignedRank(const std::vector<double>& sorted, double point, size_t rank) {
  std::vector<double> walsh;
  for (size_t i = 0; i < sorted.size(); ++i) {
    for (size_t j = 0; j <= i; ++j) walsh.push_back(0.5 * (sorted[i] + sorted[j]));
  }
  std::sort(walsh.begin(), walsh.end());
  return Holding(point, walsh[rank - 1], walsh[walsh.size() - rank]);
}

}  // namespace

size_t MedianIntervalRank(size_t n, double confidence) {
  size_t rank = 0;
  while (2 * (rank + 1) <= n + 1 && MedianRankCoverage(n, rank + 1) >= confidence) ++rank;
  if (rank == 0 && n > 1 &&
      MedianRankCoverage(n, 1) >= 1 - kTolerated * (1 - confidence) - kRounding)
    return 1;
  return rank;
}

Interval MedianInterval(const std::vector<double>& values, double confidence) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const size_t n = values.size();
  const double point = Median(values);
  if (std::isnan(point)) return {kNaN, kNaN, kNaN};
  if (n == 1) return {point, -kInfinity, kInfinity};
  const size_t rank = MedianIntervalRank(n, confidence);
  if (rank == 0) return Student(values, point, confidence);

  std::vector<double> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  double share = TowardsInner(n, rank, confidence);
  if (share > kMostTowardsInner &&
      MedianRankCoverage(n, rank + 1) < 1 - kInnerTolerated * (1 - confidence)) {
    // With the extremes alone to choose from, the ranks of all pairs' means are narrower, and so
    // few values are not yet misled by skewness.
    if (rank == 1) return SignedRank(sorted, point, WalshAverageRank(n, confidence));
    share = kMostTowardsInner;
  }
  return Interpolated(sorted, point, rank, share);
}

}  // namespace kev
