// What a measurement's samples say, and when more of them would change nothing.
#include "stages/profile/summary.h"

#include <doctest/doctest.h>

#include <cmath>

#include "runners/statistics/decision.h"
#include "runners/statistics/sequential.h"

namespace kev {
namespace {

// Launches of a baseline, a candidate and a control on one workload; times in ns.
struct Timed {
  Timed() {
    Workload square;
    square.name = "square";
    square.weight = 1;
    set.workloads = {square};
    set.visible = 1;
    contest.contestants.resize(3);
    contest.contestants[0].name = "plain";
    contest.control = 2;
    contest.final = contest.sequential = true;
  }
  void Add(double baseline, double candidate, double control) {
    const auto launch = static_cast<uint32_t>(measurement.samples.size() / 3);
    for (const double ns : {baseline, candidate, control}) {
      LaunchSamples samples;
      samples.contestant = measurement.samples.size() % 3;
      samples.launch = launch;
      samples.call_ns = ns;
      measurement.samples.push_back(samples);
    }
  }
  bool Decided() const { return IsDecided(measurement, set, contest); }
  Interval Speedup() const { return SpeedupOver(measurement, set, contest, 0, 1); }

  TimedSet set;
  Contest contest;
  Measurement measurement;
};

// A few per cent either way, with no pattern that a median would meet.
double Wobble(int i, double by) { return 1 + by * std::sin(7.3 * i); }

TEST_CASE("launches end where the kernel is surely faster or slower than the A/A band explains") {
  for (const double ratio : {0.5, 2.0}) {
    Timed timed;
    for (int i = 0; i < 10; ++i)
      timed.Add(100 * Wobble(i, 0.02), 100 / ratio * Wobble(i + 50, 0.02),
                100 * Wobble(2 * i, 0.02));
    CHECK(timed.Decided());
  }
}

TEST_CASE("launches end where the speed-up is known to one per cent") {
  Timed timed;
  for (int i = 0; i < 10; ++i)
    timed.Add(100 * Wobble(i, 0.003), 100 * Wobble(i + 50, 0.003), 100 * Wobble(2 * i, 0.003));
  CHECK(timed.Decided());
}

TEST_CASE("kernels that are nearly equal on a restless machine get more launches") {
  Timed timed;
  size_t decided = 0;
  for (int i = 0; i < 40; ++i) {
    timed.Add(100 * Wobble(i, 0.05), 99 * Wobble(i + 50, 0.05), 100 * Wobble(2 * i, 0.05));
    if (i >= 9) decided += timed.Decided() ? 1 : 0;
    if (i == 9) CHECK_FALSE(timed.Decided());
  }
  CHECK(decided < 31);
}

TEST_CASE("a claim asks more of an interval than what is shown of it") {
  constexpr size_t kLaunches = 20;
  const size_t shown = SequentialRank(kLaunches),
               claimed = SequentialRank(kLaunches, kClaimConfidence);
  REQUIRE(claimed < shown);
  for (const bool sure : {false, true}) {
    // So many launches say that it is slower that only the interval shown is above 1, or one less.
    const size_t slower = sure ? claimed - 1 : claimed;
    Timed timed;
    for (size_t i = 0; i < kLaunches; ++i) {
      const double baseline = i < slower ? 95 : 120 + static_cast<double>(i);
      timed.Add(baseline, 100, baseline);
    }
    CHECK(timed.Speedup().low > 1);
    CHECK(timed.Decided() == sure);
  }
}

TEST_CASE("an interval that was looked at after each launch is the wider for it") {
  Timed timed;
  for (int i = 0; i < 20; ++i)
    timed.Add(100 * Wobble(i, 0.05), 100 * Wobble(i + 50, 0.05), 100 * Wobble(2 * i, 0.05));
  const Interval looked_at = timed.Speedup();
  timed.contest.sequential = false;
  const Interval fixed = timed.Speedup();
  CHECK(looked_at.point == fixed.point);
  CHECK(looked_at.low < fixed.low);
  CHECK(looked_at.high > fixed.high);
}

}  // namespace
}  // namespace kev
