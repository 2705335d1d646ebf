#include "runners/measurement/plausible.h"

#include <doctest/doctest.h>

#include <cmath>

namespace kev {
namespace {

TEST_CASE("all time in a window but the harness's own is its calls'") {
  const HarnessCost cost{.order_ns = 300, .call_ns = 5};
  std::vector<TimedWindow> windows;
  for (const uint32_t calls : {10u, 20u, 30u, 40u})
    windows.push_back({calls, 300 + calls * 105.0, false});
  CHECK(CallTimeOf(windows, cost) == doctest::Approx(100));
  // A constant amount per window is no overhead: it cannot be hidden behind the first call.
  for (TimedWindow& window : windows) window.ns += 10000;
  CHECK(CallTimeOf(windows, cost) > 400);
}

TEST_CASE("disturbed windows count only where there are no others, windows without calls never") {
  std::vector<TimedWindow> windows = {
      {0, 1e9, false}, {10, 9000, true}, {10, 1000, false}, {10, 1000, false}, {10, 1000, false}};
  CHECK(CallTimeOf(windows, {}) == doctest::Approx(100));
  windows.resize(3);
  CHECK(CallTimeOf(windows, {}) == doctest::Approx(500));
  windows.resize(1);
  CHECK(CallTimeOf(windows, {}) == 0);
}

TEST_CASE("two clocks are compared over windows that are long enough, and not held up") {
  std::vector<TimedWindow> windows;
  for (int i = 0; i < 5; ++i) windows.push_back({10, 300e3, false, 600e3});
  CHECK(ClocksApart(windows, 2) < 1e-9);
  CHECK(ClocksApart(windows, 1.5) == doctest::Approx(1.0 / 3));
  windows.push_back({10, 300e3, true, 9e6});
  windows.push_back({1, 10e3, false, 9e6});
  CHECK(ClocksApart(windows, 2) < 1e-9);
  CHECK(std::isnan(ClocksApart({windows.begin(), windows.begin() + 2}, 2)));
  CHECK(std::isnan(ClocksApart(windows, 0)));
}

}  // namespace
}  // namespace kev
