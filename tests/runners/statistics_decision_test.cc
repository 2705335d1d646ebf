// The A/A band, "faster", and when a measurement is called noisy.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "runners/statistics/decision.h"
#include "tests/runners/statistics_simulation.h"

namespace kev {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Null log ratios: a kernel's launches over its copy's, both from the distribution; `between` is
// what a whole comparison is off by.
std::vector<double> Null(const simulation::Distribution& from, size_t launches, double between,
                         CounterRandom& random) {
  const double off = between * random.Normal();
  std::vector<double> ratios;
  for (size_t i = 0; i < launches; ++i) {
    ratios.push_back(0.01 * (from.draw(random) - from.draw(random)) + off);
  }
  return ratios;
}

std::vector<std::vector<double>> Controls(const simulation::Distribution& from, size_t comparisons,
                                          size_t launches, double between, CounterRandom& random) {
  std::vector<std::vector<double>> controls(comparisons);
  for (std::vector<double>& control : controls) control = Null(from, launches, between, random);
  return controls;
}

// Share of new null comparisons that stay within the band of a run with so many controls.
double Within(const simulation::Distribution& from, size_t comparisons, size_t launches,
              double between) {
  CounterRandom random(7, from.name);
  constexpr size_t kRuns = 1000, kEach = 4;
  size_t within = 0;
  for (size_t run = 0; run < kRuns; ++run) {
    const double band = NullBand(Controls(from, comparisons, launches, between, random), launches);
    for (size_t i = 0; i < kEach; ++i) {
      within += std::fabs(Median(Null(from, launches, between, random))) <= band ? 1 : 0;
    }
  }
  return static_cast<double>(within) / (kRuns * kEach);
}

TEST_CASE("95 % of null comparisons stay within the A/A band") {
  for (const simulation::Distribution& from : simulation::All()) {
    for (const size_t comparisons : {1, 4}) {
      for (const size_t launches : {5, 10}) {
        const double share = Within(from, comparisons, launches, 0);
        INFO(from.name << ", " << comparisons << " x " << launches << ": " << share);
        CHECK(share >= 0.93);
        CHECK(share <= 0.98);
      }
    }
  }
}

TEST_CASE("comparisons that differ more than their launches widen the band") {
  const simulation::Distribution normal = simulation::Unimodal().front();
  CHECK(Within(normal, 8, 10, 0.02) >= 0.93);
  CHECK(Within(normal, 1, 10, 0.02) < 0.70);  // which a single control cannot know
}

TEST_CASE("the band narrows with launches, and knows nothing without a control") {
  CounterRandom random(8, "band");
  const auto controls = Controls(simulation::Unimodal().front(), 4, 20, 0, random);
  const double ratio = NullBand(controls, 5) / NullBand(controls, 20);
  CHECK(ratio > 1.6);
  CHECK(ratio < 2.4);
  CHECK(std::isinf(NullBand({}, 5)));
  CHECK(std::isinf(NullBand({{}}, 5)));
  CHECK(std::isinf(NullBand({{0.01, kNaN}}, 5)));
  CHECK(NullBand({{0, 0, 0}}, 3) == 0);
}

// Share of the comparisons of ten launches with a kernel of this true ratio that say "faster".
double SaidFaster(const simulation::Distribution& from, double ratio, size_t comparisons) {
  CounterRandom random(9, from.name);
  constexpr size_t kRepetitions = 1000, kLaunches = 10;
  size_t faster = 0;
  for (size_t i = 0; i < kRepetitions; ++i) {
    const double band = NullBand(Controls(from, comparisons, kLaunches, 0, random), kLaunches);
    std::vector<double> ratios = Null(from, kLaunches, 0, random);
    for (double& value : ratios) value += std::log(ratio);
    faster += Faster(MedianInterval(ratios, kClaimConfidence), band) ? 1 : 0;
  }
  return static_cast<double>(faster) / kRepetitions;
}

TEST_CASE("equal kernels are called faster in less than one of two hundred comparisons") {
  for (const simulation::Distribution& from : simulation::All()) {
    const double share = SaidFaster(from, 1, 1);
    INFO(from.name << ": " << share);
    CHECK(share <= 0.005);
  }
}

TEST_CASE("a tenth faster is called faster where launches differ by a hundredth") {
  CHECK(SaidFaster(simulation::Unimodal().front(), 1.1, 1) >= 0.95);
}

TEST_CASE("from as many launches as a claim asks for, order alone holds the median") {
  CHECK(MedianIntervalRank(kLeastClaimLaunches, kClaimConfidence) == 1);
  CHECK(MedianIntervalRank(kLeastClaimLaunches - 1, kClaimConfidence) == 0);
}

TEST_CASE("what is not known is not faster") {
  CHECK(Faster({0.2, 0.1, 0.3}, 0.05));
  CHECK_FALSE(Faster({0.2, 0.05, 0.3}, 0.05));
  CHECK_FALSE(Faster({0.2, kNaN, 0.3}, 0.05));
  CHECK_FALSE(Faster({0.2, 0.1, 0.3}, std::numeric_limits<double>::infinity()));
  CHECK_FALSE(Faster({0.2, 0.1, 0.3}, kNaN));
}

TEST_CASE("a noisy measurement says why, and what to do") {
  const NoiseVerdict quiet = JudgeNoise({0.05, 0.001, kNaN, 0.01});
  CHECK_FALSE(quiet.noisy);
  CHECK(quiet.reason == "");
  const NoiseVerdict noisy = JudgeNoise({0.05, 0.031, kNaN, 0.05});
  CHECK(noisy.noisy);
  CHECK(noisy.reason ==
        "stolen time 3.1 % (limit 1 %): the host gave this machine's processor to others; measure "
        "again or elsewhere; A/A band 5.1 % (limit 3 %): a kernel and its own copy differ as much; "
        "take more launches");
  CHECK(JudgeNoise({0.3, kNaN, kNaN, kNaN}).noisy);
  CHECK(JudgeNoise({kNaN, kNaN, 0.02, kNaN}).noisy);
  CHECK(JudgeNoise({kNaN, kNaN, kNaN, std::numeric_limits<double>::infinity()}).noisy);
}

}  // namespace
}  // namespace kev
