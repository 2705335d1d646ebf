#include "runners/statistics/statistics.h"

#include <doctest/doctest.h>

#include <cmath>

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

TEST_CASE("the control's band reaches as far as its interval does on either side") {
  CHECK(ControlBand({0.01, -0.02, 0.03}) == 0.03);
  CHECK(ControlBand({-0.05, -0.06, -0.04}) == 0.06);
}

}  // namespace
}  // namespace kev
