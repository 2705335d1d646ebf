// One call's time from windows: honest kernels under noise, and kernels that cheat on windows.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "runners/statistics/call_time.h"
#include "tests/runners/statistics_simulation.h"

namespace kev {
namespace {

constexpr double kCall = 800;       // ns
constexpr double kOverhead = 5000;  // ns

struct Noise {
  double constant_ns = 60;  // of a window, whatever it holds
  double proportional = 0;  // standard deviation over the window, as of a frequency that wanders
  double preempted = 0.05;  // share of the windows of 64 calls; those then take 50 us more or less
  double gross = 0.01;      // share of windows that last a thousand times as long
};

using Work = std::function<double(double calls)>;

double Honest(double calls) { return kCall * calls; }

double Disturbed(double ns, double calls, const Noise& noise, CounterRandom& random) {
  ns += noise.constant_ns * (random.Normal() + simulation::Exponential1(random));
  ns *= 1 + noise.proportional * random.Normal();
  if (random.Unit() < noise.preempted * calls / 64) ns += 50e3 * simulation::Exponential1(random);
  if (random.Unit() < noise.gross) ns *= 1000;
  return ns;
}

// Windows of 1 to 64 calls, drawn anew each, and every sixth without calls.
std::vector<Window> Windows(size_t count, const Work& work, const Noise& noise,
                            CounterRandom& random) {
  std::vector<Window> windows;
  for (size_t i = 0; i < count; ++i) {
    const double calls = i % 6 == 0 ? 0 : static_cast<double>(1 + random.Below(64));
    windows.push_back({calls, Disturbed(kOverhead + work(calls), calls, noise, random)});
  }
  return windows;
}

struct Outcome {
  double covered = 0;  // share of the repetitions
  double bias = 0;     // of the median estimate, relative
  double spread = 0;   // of the estimates, over the median of their standard errors
  double as_expected = 0;
};

Outcome Simulate(size_t count, const Work& work, const Noise& noise, Growth expected,
                 size_t repetitions) {
  CounterRandom random(4, "windows/" + std::to_string(count));
  std::vector<double> estimates, errors;
  Outcome outcome;
  for (size_t i = 0; i < repetitions; ++i) {
    const CallTime time = EstimateCallTime(Windows(count, work, noise, random));
    estimates.push_back(time.ns.point);
    errors.push_back(time.standard_error);
    outcome.covered += simulation::Holds(time.ns, kCall) ? 1 : 0;
    outcome.as_expected += time.growth == expected ? 1 : 0;
  }
  const double n = static_cast<double>(repetitions);
  outcome.covered /= n;
  outcome.as_expected /= n;
  outcome.bias = Median(estimates) / kCall - 1;
  for (double& estimate : estimates) estimate = std::fabs(estimate - kCall);
  outcome.spread = 1.4826 * Median(estimates) / Median(errors);
  return outcome;
}

TEST_CASE("windows without noise give call and overhead exactly") {
  const CallTime time = EstimateCallTime({{0, 100},
                                          {4, 140},
                                          {9, 190},
                                          {2, 120},
                                          {7, 170},
                                          {5, 150},
                                          {1, 110},
                                          {8, 180},
                                          {0, 100},
                                          {0, 100}});
  CHECK(time.ns.point == 10);
  CHECK(time.ns.low == 10);
  CHECK(time.standard_error == 0);
  CHECK(time.overhead_ns == 100);
  CHECK(time.excess_ns == 0);
  CHECK(time.growth == Growth::kLine);
}

TEST_CASE("an honest kernel's time is covered, unbiased, and its windows a line") {
  struct Case {
    std::string name;
    Noise noise;
    double most_bias;
  };
  const Case cases[] = {
      {"quiet", {60, 0, 0, 0}, 0.0005},
      {"pre-empted, with gross outliers", {60, 0, 0.05, 0.01}, 0.001},
      {"frequency wanders by 1 %", {60, 0.01, 0, 0}, 0.001},
      {"all of it", {60, 0.01, 0.1, 0.02}, 0.003},
  };
  for (const Case& c : cases) {
    for (const size_t count : {18, 30, 60}) {
      const Outcome found = Simulate(count, Honest, c.noise, Growth::kLine, 2000);
      INFO(c.name << ", " << count << " windows: covered " << found.covered << ", bias "
                  << found.bias << ", spread/error " << found.spread << ", lines "
                  << found.as_expected);
      CHECK(found.covered >= 0.92);
      CHECK(std::fabs(found.bias) <= c.most_bias);
      CHECK(found.spread == doctest::Approx(1).epsilon(0.2));
      // In 18 windows a few disturbed ones can hide whether they grow at all.
      CHECK(found.as_expected >= (count < 30 ? 0.97 : 0.998));
    }
  }
}

TEST_CASE("a kernel whose time does not depend on the number of calls is flat") {
  const Work once = [](double calls) { return calls > 0 ? kCall : 0; };
  const Work nothing = [](double) { return 0; };
  CHECK(Simulate(60, once, Noise(), Growth::kFlat, 500).as_expected >= 0.95);
  CHECK(Simulate(60, nothing, Noise(), Growth::kFlat, 500).as_expected >= 0.95);
}

TEST_CASE("a kernel that does only the first calls of a window is found out") {
  for (const double done : {2, 8, 16, 32, 48}) {
    const Work first = [done](double calls) { return kCall * std::min(calls, done); };
    CounterRandom random(5, "first");
    size_t believed = 0;
    for (int i = 0; i < 500; ++i) {
      const Growth growth = EstimateCallTime(Windows(60, first, Noise(), random)).growth;
      believed += growth == Growth::kLine || growth == Growth::kUntested ? 1 : 0;
    }
    INFO("first " << done << " of up to 64: believed " << believed << " times of 500");
    CHECK(believed <= (done < 48 ? 5 : 50));  // and each launch is another draw
  }
}

TEST_CASE("work left for after the stop mark is missed, and the time of a call is still right") {
  const Work deferred = [](double calls) { return kCall * calls - (calls > 0 ? 2000 : 0); };
  const Outcome found = Simulate(60, deferred, Noise(), Growth::kDeferred, 500);
  CHECK(found.as_expected >= 0.99);
  CHECK(std::fabs(found.bias) < 0.002);
}

TEST_CASE("later calls that reuse the first one's result show as a costly first call") {
  const Work reusing = [](double calls) { return calls > 0 ? 20 * kCall + kCall * calls : 0; };
  CHECK(Simulate(60, reusing, Noise(), Growth::kFrontLoaded, 500).as_expected >= 0.99);
}

TEST_CASE("windows that grow ever more are convex") {
  const Work piling = [](double calls) { return kCall * calls * (1 + calls / 64); };
  CHECK(Simulate(60, piling, Noise(), Growth::kConvex, 500).as_expected >= 0.99);
}

TEST_CASE("windows of one call and of none give the time between them") {
  CounterRandom random(6, "single");
  constexpr size_t kRepetitions = 2000;
  size_t covered = 0, untested = 0;
  for (size_t i = 0; i < kRepetitions; ++i) {
    std::vector<Window> windows;
    for (int k = 0; k < 40; ++k) {
      const double calls = k % 2;
      windows.push_back(
          {calls, Disturbed(kOverhead + 100 * kCall * calls, calls, Noise(), random)});
    }
    const CallTime time = EstimateCallTime(windows);
    covered += simulation::Holds(time.ns, 100 * kCall) ? 1 : 0;
    untested += time.growth == Growth::kUntested ? 1 : 0;
  }
  CHECK(static_cast<double>(covered) >= 0.93 * kRepetitions);
  CHECK(untested == kRepetitions);
}

TEST_CASE("what windows cannot tell is not told") {
  CHECK(std::isnan(EstimateCallTime({}).ns.point));
  CHECK(EstimateCallTime({}).growth == Growth::kUnknown);
  const CallTime same = EstimateCallTime({{4, 100}, {4, 110}, {4, 105}});
  CHECK(std::isnan(same.ns.point));
  CHECK(same.growth == Growth::kUnknown);
  CHECK(EstimateCallTime({{0, 100}, {1, 110}}).ns.high == std::numeric_limits<double>::infinity());
  CHECK(Describe(Growth::kFlat) == "windows do not grow with their calls");
}

}  // namespace
}  // namespace kev
