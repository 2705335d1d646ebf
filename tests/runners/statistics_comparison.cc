// Prints coverage and width of the methods that were compared for runners/statistics, as the tables
// of its README. Not a test: the methods that were not chosen live here only.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "runners/statistics/quantiles.h"
#include "runners/statistics/sequential.h"
#include "runners/statistics/statistics.h"
#include "tests/runners/statistics_simulation.h"

namespace kev {
namespace {

using Values = std::vector<double>;

struct Method {
  std::string name;
  std::function<Interval(const Values&)> interval;
};

Values Sorted(Values values) {
  std::sort(values.begin(), values.end());
  return values;
}

struct Moments {
  double mean = 0;
  double sd = 0;
};

Moments MomentsOf(const Values& values) {
  Moments moments;
  const double n = static_cast<double>(values.size());
  for (const double value : values) moments.mean += value / n;
  for (const double value : values) moments.sd += std::pow(value - moments.mean, 2) / (n - 1);
  moments.sd = std::sqrt(moments.sd);
  return moments;
}

Interval Student(const Values& values) {
  const Moments moments = MomentsOf(values);
  const double n = static_cast<double>(values.size());
  const double half = StudentTwoSided(0.95, values.size() - 1) * moments.sd / std::sqrt(n);
  return {moments.mean, moments.mean - half, moments.mean + half};
}

Interval OrderStatistics(const Values& values) {
  const Values sorted = Sorted(values);
  const size_t rank = std::max<size_t>(1, MedianIntervalRank(values.size()));
  return {Median(values), sorted[rank - 1], sorted[sorted.size() - rank]};
}

Interval HodgesLehmann(const Values& values) {
  Values walsh;
  for (size_t i = 0; i < values.size(); ++i) {
    for (size_t j = 0; j <= i; ++j) walsh.push_back(0.5 * (values[i] + values[j]));
  }
  walsh = Sorted(walsh);
  const size_t rank = std::max<size_t>(1, WalshAverageRank(values.size(), 0.95));
  return {Median(walsh), walsh[rank - 1], walsh[walsh.size() - rank]};
}

// Yuen's: 20 % trimmed at either end, with the winsorised standard deviation.
Interval Trimmed(const Values& values) {
  Values sorted = Sorted(values);
  const size_t n = sorted.size(), cut = n / 5, kept = n - 2 * cut;
  double mean = 0;
  for (size_t i = cut; i < n - cut; ++i) mean += sorted[i] / static_cast<double>(kept);
  for (size_t i = 0; i < cut; ++i) {
    sorted[i] = sorted[cut];
    sorted[n - 1 - i] = sorted[n - 1 - cut];
  }
  const double h = static_cast<double>(kept), count = static_cast<double>(n);
  const double error = MomentsOf(sorted).sd * std::sqrt((count - 1) / (h * (h - 1)));
  const double half = StudentTwoSided(0.95, kept - 1) * error;
  return {mean, mean - half, mean + half};
}

// Coverage at the distribution where it is least, and how wide it is beside the chosen method
// (geometric mean over distributions).
void FixedNumber() {
  const std::vector<Method> methods = {
      {"Student t", Student},
      {"order statistics", OrderStatistics},
      {"Hodges-Lehmann", HodgesLehmann},
      {"trimmed t", Trimmed},
      {"chosen", [](const Values& values) { return MedianInterval(values); }}};
  const std::vector<size_t> numbers = {3, 5, 7, 8, 10, 15, 20, 30};
  std::printf("| method |");
  for (const size_t n : numbers) std::printf(" n = %zu |", n);
  std::printf("\n|---|");
  for (size_t i = 0; i < numbers.size(); ++i) std::printf("---|");
  for (const Method& method : methods) {
    std::printf("\n| %s |", method.name.c_str());
    for (const size_t n : numbers) {
      double least = 1, log_width = 0;
      std::string where;
      for (const simulation::Distribution& from : simulation::All()) {
        const simulation::Coverage found = simulation::Cover(from, n, 4000, method.interval);
        const simulation::Coverage chosen =
            simulation::Cover(from, n, 4000, methods.back().interval);
        log_width += std::log(found.width / chosen.width) / 9;
        if (found.share < least) where = from.name;
        least = std::min(least, found.share);
      }
      std::printf(" %.1f, %s; %.2f |", 100 * least, where.c_str(), std::exp(log_width));
    }
  }
  std::printf("\n");
}

// |t| at which the group-invariant Bayes factor with a normal prior of variance g on the effect
// size reaches 20: (1 + n g)^(-1/2) ((1 + t^2 / v) / (1 + t^2 / (v (1 + n g))))^((v + 1) / 2).
double CriticalT(double n, double g) {
  const double v = n - 1;
  const auto log_factor = [&](double t) {
    return -0.5 * std::log1p(n * g) +
           0.5 * (v + 1) * (std::log1p(t * t / v) - std::log1p(t * t / (v * (1 + n * g))));
  };
  double low = 0, high = 1e9;
  if (log_factor(high) < std::log(20.0)) return std::numeric_limits<double>::infinity();
  for (int step = 0; step < 200; ++step) {
    const double middle = 0.5 * (low + high);
    (log_factor(middle) < std::log(20.0) ? low : high) = middle;
  }
  return high;
}

Method StudentProcess(double g) {
  std::vector<double> critical(61, std::numeric_limits<double>::infinity());
  for (size_t n = 2; n <= 60; ++n) critical[n] = CriticalT(static_cast<double>(n), g);
  char name[40];
  std::snprintf(name, sizeof(name), "t, g = %g", g);
  return {name, [critical](const Values& values) {
            const Moments moments = MomentsOf(values);
            const double half = critical[values.size()] * moments.sd /
                                std::sqrt(static_cast<double>(values.size()));
            return Interval{moments.mean, moments.mean - half, moments.mean + half};
          }};
}

Method Chosen() {
  return {"signs (chosen)", [](const Values& values) { return SequentialInterval(values); }};
}

double HeldThroughout(const simulation::Distribution& from, const Method& method) {
  CounterRandom random(2, from.name);
  constexpr size_t kRepetitions = 2000;
  size_t held = 0;
  for (size_t i = 0; i < kRepetitions; ++i) {
    const Values all = simulation::Draw(from, 60, random);
    bool always = true;
    for (size_t n = 3; n <= 60 && always; ++n) {
      const Values seen(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n));
      always = simulation::Holds(method.interval(seen), from.median);
    }
    held += always ? 1 : 0;
  }
  return 100 * static_cast<double>(held) / kRepetitions;
}

void AtAllTimes() {
  std::printf("\n| method |");
  for (const simulation::Distribution& from : simulation::All())
    std::printf(" %s |", from.name.c_str());
  std::printf(" width, normal, n = 5, 10, 20, 60 |\n|---|");
  for (size_t i = 0; i < simulation::All().size(); ++i) std::printf("---:|");
  std::printf("---|");
  for (const Method& method :
       {StudentProcess(1), StudentProcess(5), StudentProcess(30), Chosen()}) {
    std::printf("\n| %s |", method.name.c_str());
    for (const simulation::Distribution& from : simulation::All()) {
      std::printf(" %.1f |", HeldThroughout(from, method));
    }
    for (const size_t n : {5, 10, 20, 60}) {
      const simulation::Distribution normal = simulation::Unimodal().front();
      std::printf(" %.2f", simulation::Cover(normal, n, 2000, method.interval).width);
    }
    std::printf(" |");
  }
  std::printf("\n");
}

}  // namespace
}  // namespace kev

int main() {
  kev::FixedNumber();
  kev::AtAllTimes();
}
