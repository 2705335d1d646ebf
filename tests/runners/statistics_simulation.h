// Distributions of per-launch log ratios as machines give them and worse, each with its true
// median, and counting how often an interval holds the truth. Seeds are fixed: a count is the same
// on every machine. Threads: functions on values.
#ifndef KEV_TESTS_RUNNERS_STATISTICS_SIMULATION_H_
#define KEV_TESTS_RUNNERS_STATISTICS_SIMULATION_H_

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "engine/core/random.h"
#include "runners/statistics/statistics.h"

namespace kev::simulation {

struct Distribution {
  std::string name;
  double median;
  std::function<double(CounterRandom&)> draw;
};

inline double Exponential1(CounterRandom& random) { return -std::log1p(-random.Unit()); }

inline double StudentT3(CounterRandom& random) {
  double squares = 0;
  const double numerator = random.Normal();
  for (int i = 0; i < 3; ++i) squares += std::pow(random.Normal(), 2);
  return numerator / std::sqrt(squares / 3);
}

inline std::vector<Distribution> Unimodal() {
  return {
      {"normal", 0, [](CounterRandom& r) { return r.Normal(); }},
      {"Laplace", 0, [](CounterRandom& r) { return Exponential1(r) * (r.Unit() < 0.5 ? -1 : 1); }},
      {"t3", 0, StudentT3},
      {"lognormal, s = 0.5", 0, [](CounterRandom& r) { return std::expm1(0.5 * r.Normal()); }},
      {"lognormal, s = 1", 0, [](CounterRandom& r) { return std::expm1(r.Normal()); }},
      // The truth is the centre of the undisturbed launches, which is not quite the mixture's
      // median.
      {"5 % one-sided outliers", 0,
       [](CounterRandom& r) {
         const double clean = r.Normal();
         return r.Unit() < 0.05 ? clean + 10 * Exponential1(r) : clean;
       }},
  };
}

// Launches that come in two sorts, e.g. by the pages they were given: in both programs (the ratio
// then has three modes), in the candidate alone, and in equal shares, where the median lies in a
// gap.
inline std::vector<Distribution> Multimodal() {
  const auto mode = [](CounterRandom& r, double share) { return r.Unit() < share ? 3.0 : 0.0; };
  return {
      {"modes 25-50-25", 0,
       [mode](CounterRandom& r) { return 0.3 * r.Normal() + mode(r, 0.5) - mode(r, 0.5); }},
      {"modes 70-30", 0.3 * 0.5659488219,  // the 5/7 quantile of the lower mode
       [mode](CounterRandom& r) { return 0.3 * r.Normal() + mode(r, 0.3); }},
      {"modes 50-50", 0,
       [mode](CounterRandom& r) { return 0.3 * r.Normal() + mode(r, 0.5) - 1.5; }},
  };
}

inline std::vector<Distribution> All() {
  std::vector<Distribution> all = Unimodal();
  for (Distribution& distribution : Multimodal()) all.push_back(std::move(distribution));
  return all;
}

inline std::vector<double> Draw(const Distribution& from, size_t n, CounterRandom& random) {
  std::vector<double> values(n);
  for (double& value : values) value = from.draw(random);
  return values;
}

inline bool Holds(const Interval& interval, double truth) {
  return interval.low <= truth && truth <= interval.high;
}

struct Coverage {
  double share = 0;  // of the repetitions whose interval held the truth
  double width = 0;  // median
};

// `interval` of n values, over repetitions.
inline Coverage Cover(const Distribution& from, size_t n, size_t repetitions,
                      const std::function<Interval(const std::vector<double>&)>& interval) {
  CounterRandom random(1, from.name + "/" + std::to_string(n));
  size_t held = 0;
  std::vector<double> widths;
  for (size_t i = 0; i < repetitions; ++i) {
    const Interval found = interval(Draw(from, n, random));
    held += Holds(found, from.median) ? 1 : 0;
    widths.push_back(found.high - found.low);
  }
  return {static_cast<double>(held) / static_cast<double>(repetitions), Median(widths)};
}

}  // namespace kev::simulation

#endif  // KEV_TESTS_RUNNERS_STATISTICS_SIMULATION_H_
