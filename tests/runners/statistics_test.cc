#include "runners/statistics/statistics.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace kev {
namespace {

TEST_CASE("median of odd, even and no values") {
  CHECK(Median({3, 1, 2}) == 2);
  CHECK(Median({4, 1, 2, 3}) == 2.5);
  CHECK(std::isnan(Median({})));
}

TEST_CASE("ranks of the exact binomial interval are those of the tables") {
  // Coverage of [x(r), x(n+1-r)]: n=6 96.9 %, n=9 96.1 %, n=15 96.5 %, n=20 95.9 %.
  CHECK(MedianIntervalRank(5) == 0);
  CHECK(MedianIntervalRank(6) == 1);
  CHECK(MedianIntervalRank(8) == 1);
  CHECK(MedianIntervalRank(9) == 2);
  CHECK(MedianIntervalRank(15) == 4);
  CHECK(MedianIntervalRank(20) == 6);
}

TEST_CASE("six and more launches give an interval of order statistics") {
  const Interval interval = MedianInterval({7, 1, 5, 3, 4, 6, 2});
  CHECK(interval.point == 4);
  CHECK(interval.low == 1);
  CHECK(interval.high == 7);
}

TEST_CASE("two to five launches give Student's interval, one gives none") {
  // {1, 2, 3}: mean 2, s = 1, t(2) = 4.3027, so 2 ± 4.3027 / sqrt(3).
  const Interval three = MedianInterval({1, 2, 3});
  CHECK(three.point == 2);
  CHECK(three.low == doctest::Approx(2 - 2.484138).epsilon(1e-6));
  CHECK(three.high == doctest::Approx(2 + 2.484138).epsilon(1e-6));
  const Interval same = MedianInterval({0.5, 0.5});
  CHECK(same.low == 0.5);
  CHECK(same.high == 0.5);
  CHECK(MedianInterval({1}).high == std::numeric_limits<double>::infinity());
}

TEST_CASE("the interval holds the median even where the mean is far from it") {
  const Interval skewed = MedianInterval({0, 0, 0, 0, 100});
  CHECK(skewed.point == 0);
  CHECK(skewed.low <= 0);
}

TEST_CASE("workloads are combined launch by launch with their weights") {
  const std::vector<double> combined =
      CombineWorkloads({{std::log(2.0), std::log(4.0)}, {0, 0}}, {3, 1});
  REQUIRE(combined.size() == 2);
  CHECK(std::exp(combined[0]) == doctest::Approx(std::pow(2.0, 0.75)));
  CHECK(std::exp(combined[1]) == doctest::Approx(std::pow(4.0, 0.75)));
  CHECK(std::isnan(WeightedMean({1}, {0})));
}

TEST_CASE("the control's band reaches as far as its interval does on either side") {
  CHECK(ControlBand({0.01, -0.02, 0.03}) == 0.03);
  CHECK(ControlBand({-0.05, -0.06, -0.04}) == 0.06);
}

}  // namespace
}  // namespace kev
