#include "engine/core/random.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

namespace kev {
namespace {

TEST_CASE("a number depends on its counter only, not on what was drawn before") {
  CounterRandom drawn(7, "c1/tune#1");
  for (uint64_t i = 0; i < 10; ++i) {
    CHECK(drawn.Next() == CounterRandom(7, "c1/tune#1").At(i));
  }
}

TEST_CASE("seeds and streams give different numbers") {
  const uint64_t here = CounterRandom(7, "c1/tune#1").At(0);
  CHECK(here != CounterRandom(8, "c1/tune#1").At(0));
  CHECK(here != CounterRandom(7, "c1/tune#2").At(0));
  CHECK(here != CounterRandom(7, "c1/tune#1").At(1));
}

TEST_CASE("Mix64 is SplitMix64's finaliser") {
  // First outputs of SplitMix64 for the states 0 and 1234567, as published with its reference code.
  CHECK(Mix64(0) == 0xe220a8397b1dcdaf);
  CHECK(Mix64(1234567) == 6457827717110365317u);
}

TEST_CASE("Below stays below, at its edges too") {
  CounterRandom random(1, "edges");
  for (int i = 0; i < 1000; ++i) {
    REQUIRE(random.Below(1) == 0);
    REQUIRE(random.Below(3) < 3);
    REQUIRE(random.Below(UINT64_MAX) < UINT64_MAX);
    REQUIRE(random.Below((uint64_t{1} << 63) + 1) <= uint64_t{1} << 63);
  }
}

TEST_CASE("Below favours no result where plain modulo would") {
  // With n = 3/4 of 2^64 plain modulo gives the lower third twice as often as the others: 1/2
  // instead of 1/3.
  const uint64_t n = uint64_t{3} << 62;
  CounterRandom random(1, "bias");
  int low = 0;
  for (int i = 0; i < 30000; ++i) low += random.Below(n) < n / 3;
  CHECK(low > 9600);
  CHECK(low < 10400);
}

TEST_CASE("Unit is in [0, 1) and even, Normal has mean 0 and deviation 1") {
  CounterRandom random(3, "moments");
  double unit = 0, normal = 0, square = 0;
  const int n = 20000;
  for (int i = 0; i < n; ++i) {
    const double u = random.Unit();
    REQUIRE(u >= 0);
    REQUIRE(u < 1);
    unit += u;
    const double z = random.Normal();
    REQUIRE(std::isfinite(z));
    normal += z;
    square += z * z;
  }
  CHECK(unit / n == doctest::Approx(0.5).epsilon(0.02));
  CHECK(std::abs(normal / n) < 0.03);
  CHECK(square / n == doctest::Approx(1).epsilon(0.05));
}

}  // namespace
}  // namespace kev
