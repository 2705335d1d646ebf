#include "runners/statistics/statistics.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/core/random.h"

namespace kev {
namespace {

TEST_CASE("median of odd, even and no values") {
  CHECK(Median({3, 1, 2}) == 2);
  CHECK(Median({4, 1, 2, 3}) == 2.5);
  CHECK(std::isnan(Median({})));
}

TEST_CASE("workloads are combined launch by launch with their weights") {
  const std::vector<double> combined =
      CombineWorkloads({{std::log(2.0), std::log(4.0)}, {0, 0}}, {3, 1});
  REQUIRE(combined.size() == 2);
  CHECK(std::exp(combined[0]) == doctest::Approx(std::pow(2.0, 0.75)));
  CHECK(std::exp(combined[1]) == doctest::Approx(std::pow(4.0, 0.75)));
  CHECK(std::isnan(WeightedMean({1}, {0})));
}

// Log ratios of workloads in the same launches, whose true medians are 0, 0.1 and -0.05: each
// launch moves all of them, and each of them on its own, the third by a skewed error.
std::vector<std::vector<double>> SharedLaunches(size_t launches, CounterRandom& random) {
  std::vector<std::vector<double>> rows(3);
  for (size_t i = 0; i < launches; ++i) {
    const double shared = 0.02 * random.Normal();
    rows[0].push_back(shared + 0.01 * random.Normal());
    rows[1].push_back(0.1 + shared + 0.01 * random.Normal());
    rows[2].push_back(-0.05 + shared + 0.01 * std::expm1(0.5 * random.Normal()));
  }
  return rows;
}

TEST_CASE("an interval over workloads counts what launches do to all of them") {
  const std::vector<double> weights = {1, 2, 1};
  const double truth = (0 + 2 * 0.1 - 0.05) / 4;
  for (const size_t launches : {5, 7, 10, 20}) {
    CounterRandom random(13, "workloads");
    constexpr size_t kRepetitions = 4000;
    size_t held = 0, held_apart = 0;
    for (size_t i = 0; i < kRepetitions; ++i) {
      const auto rows = SharedLaunches(launches, random);
      const Interval together = CombinedInterval(rows, weights);
      held += together.low <= truth && truth <= together.high ? 1 : 0;
      // As if each workload had had launches of its own.
      double squares = 0;
      for (size_t w = 0; w < rows.size(); ++w) {
        const Interval alone = MedianInterval(rows[w]);
        squares += std::pow(weights[w] / 4 * 0.5 * (alone.high - alone.low), 2);
      }
      held_apart += std::fabs(together.point - truth) <= std::sqrt(squares) ? 1 : 0;
    }
    INFO(launches << " launches: " << held << ", " << held_apart << " of " << kRepetitions);
    CHECK(static_cast<double>(held) >= 0.924 * kRepetitions);
    CHECK(held_apart < held);
  }
}

TEST_CASE("the point over workloads is the mean of what their table shows") {
  const Interval found = CombinedInterval({{1, 2, 9, 1, 1}, {4, 4, 4, 0, 5}}, {1, 3});
  CHECK(found.point == (1 + 3 * 4) / 4.0);
  CHECK(std::isnan(CombinedInterval({{1, 2}, {1}}, {1, 1}).low));
}

}  // namespace
}  // namespace kev
