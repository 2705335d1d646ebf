// What a winner of screening may expect of its final measurement, and the best few head to head.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "runners/statistics/winner.h"
#include "tests/runners/statistics_simulation.h"

namespace kev {
namespace {

struct Search {
  size_t candidates = 100;
  double spread = 0.05;  // of the true log speed-ups
  double error = 0.05;   // of a screening value
  double slow = 0;       // share of candidates that are far slower
};

struct Foretold {
  double raw = 0;       // mean of winner's screening value - true value, in errors
  double expected = 0;  // mean of expected - true value, in errors
  double covered = 0;
};

Foretold Foretell(const Search& search) {
  CounterRandom random(10, "search");
  constexpr size_t kRepetitions = 2000;
  Foretold mean;
  for (size_t i = 0; i < kRepetitions; ++i) {
    std::vector<double> truth;
    std::vector<Screened> screened;
    size_t winner = 0;
    for (size_t k = 0; k < search.candidates; ++k) {
      truth.push_back(search.spread * random.Normal() - (random.Unit() < search.slow ? 1 : 0));
      screened.push_back({truth[k] + search.error * random.Normal(), search.error});
      if (screened[k].log_speedup > screened[winner].log_speedup) winner = k;
    }
    const Interval expected = ExpectedFinal(screened, winner);
    mean.raw += (screened[winner].log_speedup - truth[winner]) / search.error / kRepetitions;
    mean.expected += (expected.point - truth[winner]) / search.error / kRepetitions;
    mean.covered += simulation::Holds(expected, truth[winner]) ? 1.0 / kRepetitions : 0;
  }
  return mean;
}

TEST_CASE("the winner's expected final value is free of the winner's luck") {
  const Search searches[] = {{100, 0.05, 0.05, 0},  {100, 0.05, 0.025, 0}, {100, 0.05, 0.1, 0},
                             {400, 0.05, 0.05, 0},  {20, 0.05, 0.05, 0},   {5, 0.05, 0.05, 0},
                             {100, 0.05, 0.05, 0.3}};
  for (const Search& search : searches) {
    const Foretold found = Foretell(search);
    INFO(search.candidates << " candidates, spread/error " << search.spread / search.error
                           << ", slow " << search.slow << ": raw " << found.raw << ", expected "
                           << found.expected << ", covered " << found.covered);
    CHECK(found.raw > 0.35);
    CHECK(std::fabs(found.expected) < (search.slow > 0 ? 0.4 : 0.25));
    CHECK(found.covered >= 0.93);
  }
}

TEST_CASE("equal candidates shrink to what they share") {
  const Foretold found = Foretell({100, 0, 0.05, 0});
  CHECK(found.raw > 2);
  CHECK(std::fabs(found.expected) < 0.6);
}

TEST_CASE("a winner far ahead of all keeps its lead") {
  std::vector<Screened> screened(50, {0, 0.02});
  for (size_t i = 0; i < screened.size(); ++i) {
    screened[i].log_speedup = 0.001 * static_cast<double>(i);
  }
  screened.push_back({std::log(3.0), 0.02});
  const double lost = std::log(3.0) - ExpectedFinal(screened, 50).point;
  CHECK(lost >= 0);
  CHECK(lost < 0.05);
}

TEST_CASE("one candidate, or one measured without error, is expected as it was seen") {
  CHECK(ExpectedFinal({{0.3, 0.1}}, 0).point == 0.3);
  CHECK(ExpectedFinal({{0.3, 0}, {0.1, 0}, {0.2, 0}}, 0).point == 0.3);
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(ExpectedFinal({{0.3, infinity}, {0.1, 0.1}, {0.2, 0.1}}, 0).high == infinity);
}

// Log times of kernels in blocks: each block shifts all of them, by ten times their own noise.
std::vector<std::vector<double>> Blocks(const std::vector<double>& truth, size_t blocks,
                                        const simulation::Distribution& from,
                                        CounterRandom& random) {
  std::vector<std::vector<double>> times(truth.size());
  for (size_t block = 0; block < blocks; ++block) {
    const double shared = 0.1 * random.Normal();
    for (size_t kernel = 0; kernel < truth.size(); ++kernel) {
      times[kernel].push_back(truth[kernel] + shared + 0.01 * from.draw(random));
    }
  }
  return times;
}

TEST_CASE("head to head all intervals hold at once, and equal kernels rarely change places") {
  for (const simulation::Distribution& from : simulation::All()) {
    for (const size_t blocks : {5, 7, 10, 20}) {
      CounterRandom random(11, from.name);
      constexpr size_t kRepetitions = 2000;
      size_t held = 0, changed = 0;
      for (size_t i = 0; i < kRepetitions; ++i) {
        const HeadToHead found = CompareInBlocks(Blocks({0, 0, 0, 0, 0}, blocks, from, random), 0);
        const auto& over = found.over_reference;
        held += std::all_of(over.begin(), over.end(),
                            [](const Interval& one) { return simulation::Holds(one, 0); })
                    ? 1
                    : 0;
        changed += found.best != 0 ? 1 : 0;
      }
      INFO(from.name << ", " << blocks << " blocks: held " << held << ", changed " << changed);
      CHECK(static_cast<double>(held) >= 0.93 * kRepetitions);
      CHECK(static_cast<double>(changed) <= 0.04 * kRepetitions);
    }
  }
}

TEST_CASE("head to head a kernel that is surely faster takes the first place") {
  CounterRandom random(12, "blocks");
  const HeadToHead found = CompareInBlocks(
      Blocks({0, -0.1, -0.2, 0.3, 0.001}, 10, simulation::Unimodal().front(), random), 0);
  CHECK(found.best == 2);
  CHECK(found.tied == std::vector<size_t>{4});
  CHECK(found.over_reference[3].high < 0);
  CHECK(found.over_reference[0].high == 0);
}

TEST_CASE("head to head a kernel that was not timed in a block is compared in the others") {
  const double nan = std::nan("");
  const HeadToHead found = CompareInBlocks({{1, 2, 3, 4, 5, 9}, {0.5, 1.5, 2.5, 3.5, 4.5, nan}}, 0);
  CHECK(found.over_reference[1].low == 0.5);
  CHECK(found.best == 1);
}

}  // namespace
}  // namespace kev
