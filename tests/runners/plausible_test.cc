#include "runners/measurement/plausible.h"

#include <doctest/doctest.h>

#include <cmath>

namespace kev {
namespace {

// `count` windows of `calls` calls that took `ns` and came after `before` ns of CPU time, both a
// little different each time.
std::vector<TimedWindow> Windows(size_t count, uint32_t calls, double ns, double before) {
  std::vector<TimedWindow> windows;
  for (size_t i = 0; i < count; ++i) {
    const double wobble = 1 + 0.01 * static_cast<double>(i % 3);
    windows.push_back({calls, ns * wobble, before * wobble, false});
  }
  return windows;
}

TEST_CASE("all time in a window but the harness's own is its calls'") {
  const HarnessCost cost{.order_ns = 300, .call_ns = 5};
  std::vector<TimedWindow> windows;
  for (const uint32_t calls : {10u, 20u, 30u, 40u})
    windows.push_back({calls, 300 + calls * 105.0, 0, false});
  CHECK(CallTimeOf(windows, cost) == doctest::Approx(100));
  // A constant amount per window is no overhead: it cannot be hidden behind the first call.
  for (TimedWindow& window : windows) window.ns += 10000;
  CHECK(CallTimeOf(windows, cost) > 400);
}

TEST_CASE("disturbed windows count only where there are no others, windows without calls never") {
  std::vector<TimedWindow> windows = {{0, 1e9, 0, false},
                                      {10, 9000, 0, true},
                                      {10, 1000, 0, false},
                                      {10, 1000, 0, false},
                                      {10, 1000, 0, false}};
  CHECK(CallTimeOf(windows, {}) == doctest::Approx(100));
  windows.resize(3);
  CHECK(CallTimeOf(windows, {}) == doctest::Approx(500));
  windows.resize(1);
  CHECK(CallTimeOf(windows, {}) == 0);
}

TEST_CASE("two clocks are compared over windows that are long enough, and not held up") {
  std::vector<TimedWindow> windows;
  for (int i = 0; i < 5; ++i) windows.push_back({10, 300e3, 0, false, 600e3});
  CHECK(ClocksApart(windows, 2) < 1e-9);
  CHECK(ClocksApart(windows, 1.5) == doctest::Approx(1.0 / 3));
  windows.push_back({10, 300e3, 0, true, 9e6});
  windows.push_back({1, 10e3, 0, false, 9e6});
  CHECK(ClocksApart(windows, 2) < 1e-9);
  CHECK(std::isnan(ClocksApart({windows.begin(), windows.begin() + 2}, 2)));
  CHECK(std::isnan(ClocksApart(windows, 0)));
}

TEST_CASE("a process that does what a trusted one does is charged nothing") {
  const std::vector<TimedWindow> trusted = Windows(10, 10, 300e3, 8e3);
  CHECK(WorkBeforeTheClock(Windows(10, 10, 300e3, 9e3), trusted).ns == 0);
  CHECK(WorkBeforeTheClock(Windows(10, 10, 300e3, 1e3), trusted).ns == 0);
  // Nor one that was held up now and then.
  std::vector<TimedWindow> held_up = Windows(10, 10, 300e3, 8e3);
  held_up[2].before_ns = 900e3;
  held_up[7].before_ns = 900e3;
  CHECK(WorkBeforeTheClock(held_up, trusted).ns == 0);
  CHECK(WorkBeforeTheClock(held_up, trusted).refuse.empty());
}

TEST_CASE(
    "work before the clock is charged to the calls, and refused when it is most of the work") {
  const std::vector<TimedWindow> trusted = Windows(10, 10, 300e3, 8e3);
  const EarlyWork some = WorkBeforeTheClock(Windows(10, 10, 300e3, 40e3), trusted);
  CHECK(some.ns > 25e3);
  CHECK(some.ns < 33e3);
  CHECK(some.per_call_ns == doctest::Approx(some.ns / 10));
  CHECK(some.refuse.empty());
  const EarlyWork most = WorkBeforeTheClock(Windows(10, 10, 1e3, 280e3), trusted);
  CHECK(most.refuse.find("before the clock") != std::string::npos);
}

TEST_CASE("two windows say nothing") {
  CHECK(WorkBeforeTheClock(Windows(2, 10, 1e3, 280e3), Windows(10, 10, 300e3, 8e3)).ns == 0);
}

}  // namespace
}  // namespace kev
