// The interval that may be looked at after every launch.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "runners/statistics/sequential.h"
#include "tests/runners/statistics_simulation.h"

namespace kev {
namespace {

// Share of the repetitions in which the interval held the truth at every n from 3 to 60.
double HeldThroughout(const simulation::Distribution& from, size_t repetitions) {
  CounterRandom random(2, from.name);
  size_t held = 0;
  for (size_t i = 0; i < repetitions; ++i) {
    std::vector<double> values;
    bool always = true;
    while (values.size() < 60 && always) {
      values.push_back(from.draw(random));
      if (values.size() >= 3) always = simulation::Holds(SequentialInterval(values), from.median);
    }
    held += always ? 1 : 0;
  }
  return static_cast<double>(held) / static_cast<double>(repetitions);
}

// Share of the repetitions in which the interval held the truth where it was tight enough, at 60
// values at the latest.
double HeldWhereStopped(const std::function<Interval(const std::vector<double>&)>& interval) {
  const simulation::Distribution from = simulation::Unimodal().front();
  CounterRandom random(3, "stop");
  size_t held = 0;
  constexpr size_t kRepetitions = 2000;
  for (size_t i = 0; i < kRepetitions; ++i) {
    std::vector<double> values = simulation::Draw(from, 5, random);
    // The temptation: measure on for as long as zero is within, and report what is not zero.
    while (values.size() < 60 && simulation::Holds(interval(values), 0)) {
      values.push_back(from.draw(random));
    }
    held += simulation::Holds(interval(values), from.median) ? 1 : 0;
  }
  return static_cast<double>(held) / kRepetitions;
}

Interval SequentialOf(const std::vector<double>& values) { return SequentialInterval(values); }

TEST_CASE("ranks are those at which the mixture's e-value first reaches 20") {
  // 2^n B(n + 1/4, 1/4) / B(1/4, 1/4): 14.5 for n = 5, 26.6 for n = 6.
  CHECK(SequentialRank(5) == 0);
  CHECK(SequentialRank(6) == 1);
  CHECK(SequentialRank(9) == 1);
  CHECK(SequentialRank(10) == 1);
  CHECK(SequentialRank(12) == 2);
  CHECK(SequentialRank(20) == 4);
  CHECK(SequentialRank(60) == 18);
}

TEST_CASE("nothing is known before six launches, and a NaN is not hidden") {
  CHECK(std::isinf(SequentialOf({1, 2, 3, 4, 5}).high));
  const Interval six = SequentialOf({6, 1, 5, 2, 4, 3});
  CHECK(six.point == 3.5);
  CHECK(six.low == 1);
  CHECK(six.high == 6);
  CHECK(std::isnan(SequentialOf({1, std::nan(""), 3}).low));
}

TEST_CASE("the median is held at all times at once, whatever the distribution") {
  for (const simulation::Distribution& from : simulation::All()) {
    const double share = HeldThroughout(from, 2000);
    INFO(from.name << ": " << share);
    CHECK(share >= 0.95 - 0.005);  // less one standard error of this count
  }
}

TEST_CASE("stopping as soon as zero is out ruins an interval for a fixed number, not this one") {
  CHECK(HeldWhereStopped([](const std::vector<double>& v) { return MedianInterval(v); }) < 0.80);
  CHECK(HeldWhereStopped(SequentialOf) >= 0.95);
}

TEST_CASE("over workloads the ends stand round the mean of what their table shows") {
  const std::vector<std::vector<double>> rows = {{1, 2, 9, 1, 1, 3}, {4, 4, 4, 0, 5, 6}};
  const Interval found = CombinedSequential(rows, {1, 3});
  CHECK(found.point == (1 * 1.5 + 3 * 4) / 4.0);
  // Per launch: 3.25 3.5 5.25 0.25 4 5.25, of which the least and the largest are the ends and
  // 3.75 the middle: 3.375 is 0.375 below.
  CHECK(found.low == doctest::Approx(0.25 - 0.375));
  CHECK(found.high == doctest::Approx(5.25));
  CHECK(std::isinf(CombinedSequential({{1, 2, 3, 4, 5}}, {1}).high));
}

}  // namespace
}  // namespace kev
