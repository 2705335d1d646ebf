// The interval of a median: known answers, and coverage counted.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "runners/statistics/quantiles.h"
#include "runners/statistics/statistics.h"
#include "tests/runners/statistics_simulation.h"

namespace kev {
namespace {

TEST_CASE("quantiles are those of the tables") {
  CHECK(NormalQuantile(0.975) == doctest::Approx(1.959963985));
  CHECK(NormalQuantile(0.025) == doctest::Approx(-1.959963985));
  CHECK(StudentTwoSided(0.95, 1) == doctest::Approx(12.706204736));
  CHECK(StudentTwoSided(0.95, 2) == doctest::Approx(4.302652730));
  CHECK(StudentTwoSided(0.95, 3) == doctest::Approx(3.182446305));
  CHECK(StudentTwoSided(0.99, 10) == doctest::Approx(3.169272667));
  CHECK(StudentTwoSided(0.95, 29) == doctest::Approx(2.045229642));
  CHECK(MedianRankCoverage(5, 1) == doctest::Approx(0.9375));
  CHECK(MedianRankCoverage(20, 6) == doctest::Approx(0.958611));
}

TEST_CASE("ranks of Walsh averages are those of Wilcoxon's table") {
  // Largest T with 2 P(T+ <= T) <= 5 %, plus one: n=5 none, 6: 0, 7: 2, 8: 3, 10: 8, 20: 52.
  CHECK(WalshAverageRank(5, 0.95) == 0);
  CHECK(WalshAverageRank(6, 0.95) == 1);
  CHECK(WalshAverageRank(7, 0.95) == 3);
  CHECK(WalshAverageRank(8, 0.95) == 4);
  CHECK(WalshAverageRank(10, 0.95) == 9);
  CHECK(WalshAverageRank(20, 0.95) == 53);
}

TEST_CASE("ranks of the exact binomial interval are those of the tables") {
  // Coverage of [x(r), x(n+1-r)]: n=5 93.75 %, n=6 96.9 %, n=9 96.1 %, n=15 96.5 %, n=20 95.9 %.
  CHECK(MedianIntervalRank(1) == 0);
  CHECK(MedianIntervalRank(4) == 0);
  CHECK(MedianIntervalRank(5) == 1);
  CHECK(MedianIntervalRank(6) == 1);
  CHECK(MedianIntervalRank(8) == 1);
  CHECK(MedianIntervalRank(9) == 2);
  CHECK(MedianIntervalRank(15) == 4);
  CHECK(MedianIntervalRank(20) == 6);
  CHECK(MedianIntervalRank(7, 0.99) == 0);
}

TEST_CASE("five launches give their range") {
  const Interval interval = MedianInterval({7, 1, 5, 3, 4});
  CHECK(interval.point == 4);
  CHECK(interval.low == 1);
  CHECK(interval.high == 7);
}

TEST_CASE("ends lie between the order statistics on either side of the nominal level") {
  // n = 9: x(2) holds with 96.09 %, x(3) with 82.03 %: share 0.0779 of the way in coverage, which
  // is 7 * 0.0779 / (2 + 5 * 0.0779) = 0.228 of the way in value.
  const Interval nine = MedianInterval({1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(nine.point == 5);
  CHECK(nine.low == doctest::Approx(2.228).epsilon(1e-3));
  CHECK(nine.high == doctest::Approx(7.772).epsilon(1e-3));
}

TEST_CASE("seven launches give the signed-rank interval") {
  // The third of the 28 Walsh averages from either end: 1, 2, 2.5, … of {1, 3, 4, 6, 8, 9, 20}.
  const Interval seven = MedianInterval({1, 3, 4, 6, 8, 9, 20});
  CHECK(seven.low == 2.5);
  CHECK(seven.high == 14);
}

TEST_CASE("two to four launches give Student's interval, one gives none") {
  // {1, 2, 3}: mean 2, s = 1, t(2) = 4.3027, so 2 ± 4.3027 / sqrt(3).
  const Interval three = MedianInterval({1, 2, 3});
  CHECK(three.point == 2);
  CHECK(three.low == doctest::Approx(2 - 2.484138).epsilon(1e-6));
  CHECK(three.high == doctest::Approx(2 + 2.484138).epsilon(1e-6));
  const Interval same = MedianInterval({0.5, 0.5});
  CHECK(same.low == 0.5);
  CHECK(same.high == 0.5);
  CHECK(MedianInterval({1}).high == std::numeric_limits<double>::infinity());
  CHECK(std::isnan(MedianInterval({}).low));
  CHECK(std::isnan(MedianInterval({1, std::nan("")}).low));
}

TEST_CASE("the interval holds the median even where the mean is far from it") {
  const Interval skewed = MedianInterval({0, 0, 0, 100});
  CHECK(skewed.point == 0);
  CHECK(skewed.low <= 0);
  CHECK(skewed.high >= 0);
}

TEST_CASE("a kernel that failed in one launch does not make the others unknown") {
  const Interval one = MedianInterval({1, 2, 3, 4, 5, std::numeric_limits<double>::infinity()});
  CHECK(one.point == 3.5);
  CHECK(one.high == std::numeric_limits<double>::infinity());
}

TEST_CASE("95 % intervals hold the median in 93 % or more, from five launches on") {
  const auto interval = [](const std::vector<double>& values) { return MedianInterval(values); };
  for (const simulation::Distribution& from : simulation::All()) {
    for (const size_t n : {5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 20, 25, 30}) {
      const double share = simulation::Cover(from, n, 4000, interval).share;
      INFO(from.name << ", n = " << n << ": " << share);
      CHECK(share >= 0.93 - 0.006);  // 93 % less two standard errors of this count
    }
  }
}

TEST_CASE("two to four launches of one mode are covered as well") {
  const auto interval = [](const std::vector<double>& values) { return MedianInterval(values); };
  for (const simulation::Distribution& from : simulation::Unimodal()) {
    for (const size_t n : {2, 3, 4}) {
      const double share = simulation::Cover(from, n, 4000, interval).share;
      INFO(from.name << ", n = " << n << ": " << share);
      CHECK(share >= 0.93);
    }
  }
}

TEST_CASE("other levels are kept too") {
  for (const double confidence : {0.90, 0.9875}) {
    const auto interval = [confidence](const std::vector<double>& values) {
      return MedianInterval(values, confidence);
    };
    for (const simulation::Distribution& from : simulation::All()) {
      for (const size_t n : {8, 9, 10, 15, 20}) {
        const double share = simulation::Cover(from, n, 4000, interval).share;
        INFO(from.name << ", n = " << n << ", " << confidence << ": " << share);
        CHECK(1 - share <= 1.5 * (1 - confidence));
      }
    }
  }
}

}  // namespace
}  // namespace kev
