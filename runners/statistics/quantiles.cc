#include "runners/statistics/quantiles.h"

#include <cmath>
#include <numbers>
#include <vector>

namespace kev {
namespace {

// Least x >= 0 with f(x) >= goal, for f that grows.
template <typename Function>
double Invert(const Function& f, double goal) {
  double high = 1;
  while (f(high) < goal) high *= 2;
  double low = 0;
  for (int step = 0; step < 200 && low < high; ++step) {
    const double middle = 0.5 * (low + high);
    (f(middle) < goal ? low : high) = middle;
  }
  return high;
}

// P(|T| <= t): the finite series of Abramowitz and Stegun 26.7.3 and 26.7.4.
double StudentWithin(double t, size_t degrees) {
  const double angle = std::atan(t / std::sqrt(static_cast<double>(degrees)));
  const double sine = std::sin(angle), cosine = std::cos(angle);
  const bool odd = degrees % 2 == 1;
  double term = odd ? cosine : 1;
  double sum = degrees == 1 ? 0 : term;
  for (size_t k = odd ? 3 : 2; k + 2 <= degrees; k += 2) {
    term *= cosine * cosine * static_cast<double>(k - 1) / static_cast<double>(k);
    sum += term;
  }
  return odd ? 2 / std::numbers::pi * (angle + sine * sum) : sine * sum;
}

}  // namespace

double NormalQuantile(double p) {
  if (p < 0.5) return -NormalQuantile(1 - p);
  return Invert([](double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }, p);
}

double StudentTwoSided(double confidence, size_t degrees) {
  return Invert([degrees](double t) { return StudentWithin(t, degrees); }, confidence);
}

double MedianRankCoverage(size_t n, size_t r) {
  const double count = static_cast<double>(n);
  double log_choose = 0;
  double tail = 0;
  for (size_t k = 0; k < r; ++k) {
    tail += std::exp(log_choose - count * std::numbers::ln2);
    log_choose += std::log(count - static_cast<double>(k)) - std::log(static_cast<double>(k) + 1);
  }
  return 1 - 2 * tail;
}

size_t WalshAverageRank(size_t n, double confidence) {
  std::vector<double> chance = {1};  // of each sum of signed ranks
  for (size_t rank = 1; rank <= n; ++rank) {
    std::vector<double> next(chance.size() + rank, 0);
    for (size_t sum = 0; sum < chance.size(); ++sum) {
      next[sum] += 0.5 * chance[sum];
      next[sum + rank] += 0.5 * chance[sum];
    }
    chance = std::move(next);
  }
  double tail = 0;
  for (size_t k = 0; k < chance.size(); ++k) {
    tail += chance[k];
    if (2 * tail > 1 - confidence) return k;
  }
  return 0;
}

}  // namespace kev
