// Distributions that intervals are made with. Threads: functions on values. Errors: none.
#ifndef KEV_RUNNERS_STATISTICS_QUANTILES_H_
#define KEV_RUNNERS_STATISTICS_QUANTILES_H_

#include <cstddef>

namespace kev {

// Number z with P(Z <= z) = p for a standard normal Z. REQUIRES: 0 < p < 1.
double NormalQuantile(double p);

// Number t with P(|T| <= t) = confidence for Student's T. REQUIRES: degrees >= 1, 0 < confidence
// < 1.
double StudentTwoSided(double confidence, size_t degrees);

// P(lower <= median <= upper) for the order statistics of ranks r and n + 1 - r (1-based):
// 1 - 2 P(Binomial(n, 1/2) < r). REQUIRES: 2 r <= n + 1.
double MedianRankCoverage(size_t n, size_t r);

// Largest k such that [w(k), w(m+1-k)], of the m = n (n + 1) / 2 ordered Walsh averages, holds the
// centre of a symmetric distribution with at least this probability (Wilcoxon's signed-rank test
// inverted); 0 when there is none. REQUIRES: n <= 60.
size_t WalshAverageRank(size_t n, double confidence);

}  // namespace kev

#endif  // KEV_RUNNERS_STATISTICS_QUANTILES_H_
