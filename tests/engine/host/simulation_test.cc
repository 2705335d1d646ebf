// The whole engine under trouble, a few seeds of it; many more run in kevolve-sim (tools/sim).
#include "tools/sim/simulation.h"

#include <doctest/doctest.h>

#include <sstream>

#include "tests/support/seeds.h"

namespace kev::sim {
namespace {

TEST_CASE("under trouble nothing is lost, done twice or sent too early, and every run ends") {
  Tally all;
  for (uint64_t seed = 1; seed <= testing::Seeds(100); ++seed) {
    CAPTURE(seed);
    SimulationOptions options;
    options.seed = seed;
    const SimulationOutcome outcome = Simulate(options);
    REQUIRE_MESSAGE(!outcome.violation, *outcome.violation);
    all.Add(outcome.tally);
  }
  // There was trouble.
  CHECK(all.jobs > testing::Seeds(2000));
  CHECK(all.restarts > testing::Seeds(30));
  CHECK(all.takeovers > testing::Seeds(30));
  CHECK(all.store_losses > testing::Seeds(15));
  CHECK(all.cuts > testing::Seeds(30));
  CHECK(all.worker_deaths > testing::Seeds(30));
  CHECK(all.lies > testing::Seeds(15));
  CHECK(all.orders > testing::Seeds(30));
  uint64_t crashes = 0;
  for (const uint64_t n : all.crashes) crashes += n;
  CHECK(crashes > testing::Seeds(15));
}

TEST_CASE("the same seed tells the same story") {
  const auto story = [](uint64_t seed) {
    std::ostringstream told;
    SimulationOptions options;
    options.seed = seed;
    options.steps = 400;
    options.listener = &told;
    Simulate(options);
    return told.str();
  };
  for (const uint64_t seed : {3, 4}) {
    const std::string once = story(seed);
    CHECK(once.size() > 10'000);
    CHECK(story(seed) == once);
  }
  CHECK(story(3) != story(4));
}

}  // namespace
}  // namespace kev::sim
