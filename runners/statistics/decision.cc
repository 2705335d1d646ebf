#include "runners/statistics/decision.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "runners/statistics/quantiles.h"

namespace kev {
namespace {

constexpr double kConfidence = 0.95;
constexpr size_t kLeastComparisons = 3;  // for a spread between them

// How far from zero the median of `launches` null log ratios lies.
struct NullMedian {
  double band = 0;  // within with kConfidence
  double variance = 0;
};

// P(Binomial(m, p) > m / 2) for odd m.
double MostOf(size_t m, double p) {
  if (p <= 0 || p >= 1) return p <= 0 ? 0 : 1;
  const double count = static_cast<double>(m);
  double log_choose = 0, sum = 0;
  for (size_t k = m; 2 * k > m; --k) {
    const double heads = static_cast<double>(k);
    sum += std::exp(log_choose + heads * std::log(p) + (count - heads) * std::log1p(-p));
    log_choose += std::log(heads) - std::log(count - heads + 1);
  }
  return std::min(1.0, sum);
}

// Over all draws from the pool with random signs, for of a kernel and its copy neither is the
// first: a null log ratio is as often x as -x. Counted exactly; an even number of launches as one
// less.
NullMedian NullMedianOf(std::vector<double> distances, size_t launches) {
  const size_t odd = launches % 2 == 1 ? launches : launches - 1;
  for (double& distance : distances) distance = std::fabs(distance);
  std::sort(distances.begin(), distances.end());
  const double n = static_cast<double>(distances.size());
  NullMedian result;
  result.band = distances.back();
  double before = 0;
  for (size_t i = 0; i < distances.size(); ++i) {
    // Half of the signed values lie below zero. A further distance is within the i-th of n with
    // chance i / (n + 1), and beyond all of them with the rest.
    const double chance = static_cast<double>(i + 1) / (n + 1);
    const bool last = i + 1 == distances.size();
    const double within = last ? 1 : 2 * MostOf(odd, 0.5 + 0.5 * chance) - 1;
    result.variance += (within - before) * distances[i] * distances[i];
    if (before < kConfidence && within >= kConfidence) result.band = distances[i];
    before = within;
  }
  return result;
}

// Variance of whole comparisons beyond what their launches explain, given that of a median of
// `launches`.
double BetweenComparisons(const std::vector<std::vector<double>>& controls, double variance,
                          size_t launches) {
  double excess = 0;
  for (const std::vector<double>& control : controls) {
    const double median = Median(control);
    excess += median * median -
              variance * static_cast<double>(launches) / static_cast<double>(control.size());
  }
  return std::max(0.0, excess / static_cast<double>(controls.size()));
}

void Judge(double seen, double limit, const char* what, const char* cause, NoiseVerdict& verdict) {
  if (!(seen > limit)) return;  // also where it is not known
  char text[200];
  std::snprintf(text, sizeof(text), "%s%s %.2g %% (limit %.2g %%): %s",
                verdict.reason.empty() ? "" : "; ", what, 100 * seen, 100 * limit, cause);
  verdict.noisy = true;
  verdict.reason += text;
}

}  // namespace

double NullBand(const std::vector<std::vector<double>>& controls, size_t launches) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<double> pool;
  std::vector<std::vector<double>> measured;
  for (const std::vector<double>& control : controls) {
    pool.insert(pool.end(), control.begin(), control.end());
    if (!control.empty()) measured.push_back(control);
  }
  const bool finite =
      std::all_of(pool.begin(), pool.end(), [](double x) { return std::isfinite(x); });
  if (pool.empty() || !finite) return kInfinity;

  const NullMedian null = NullMedianOf(pool, launches);
  const double within = null.band;
  if (measured.size() < kLeastComparisons) return within;
  const double between = std::sqrt(BetweenComparisons(measured, null.variance, launches));
  return std::hypot(within, StudentTwoSided(kConfidence, measured.size()) * between);
}

bool Faster(const Interval& log_ratio, double band) { return log_ratio.low > band; }

NoiseVerdict JudgeNoise(const Disturbance& seen, const DisturbanceLimits& limits) {
  NoiseVerdict verdict;
  Judge(seen.windows, limits.windows, "disturbed windows",
        "other work ran on the measuring core; keep it free or measure again", verdict);
  Judge(seen.steal, limits.steal, "stolen time",
        "the host gave this machine's processor to others; measure again or elsewhere", verdict);
  Judge(seen.run_delay, limits.run_delay, "time waiting for the core",
        "another process shares the measuring core; keep it free", verdict);
  Judge(std::expm1(seen.aa_band), std::expm1(limits.aa_band), "A/A band",
        "a kernel and its own copy differ as much; take more launches", verdict);
  return verdict;
}

}  // namespace kev
