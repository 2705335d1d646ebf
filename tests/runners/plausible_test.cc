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

// What is charged to one of these windows' calls, in all.
double Charged(const std::vector<TimedWindow>& windows, const EarlyWork& early) {
  return 10 * (CallTimeOf(windows, {}, early) - CallTimeOf(windows, {}));
}

TEST_CASE("a process that does what a trusted one does is charged nothing") {
  const std::vector<TimedWindow> trusted = Windows(10, 10, 300e3, 8e3);
  const auto charged = [&](const std::vector<TimedWindow>& windows) {
    return Charged(windows, WorkBeforeTheClock(windows, trusted));
  };
  CHECK(charged(Windows(10, 10, 300e3, 9e3)) == 0);
  CHECK(charged(Windows(10, 10, 300e3, 1e3)) == 0);
  // Nor one that was held up now and then, but for a more typical window.
  std::vector<TimedWindow> held_up = Windows(10, 10, 300e3, 8e3);
  held_up[2].before_ns = 900e3;
  held_up[7].before_ns = 900e3;
  CHECK(charged(held_up) <= 0.01 * 300e3);
  CHECK(WorkBeforeTheClock(held_up, trusted).refuse.empty());
}

TEST_CASE(
    "work before the clock is charged to the calls, and refused when it is most of the work") {
  const std::vector<TimedWindow> trusted = Windows(10, 10, 300e3, 8e3);
  const std::vector<TimedWindow> some = Windows(10, 10, 300e3, 40e3);
  const EarlyWork early = WorkBeforeTheClock(some, trusted);
  CHECK(Charged(some, early) == doctest::Approx(29e3).epsilon(0.05));
  CHECK(early.refuse.empty());
  const EarlyWork most = WorkBeforeTheClock(Windows(10, 10, 1e3, 280e3), trusted);
  CHECK(most.refuse.find("before the clock") != std::string::npos);
}

TEST_CASE("who works early in a part of the windows gains nothing") {
  const std::vector<TimedWindow> trusted = Windows(20, 10, 300e3, 8e3);
  for (size_t early = 1; early < 20; ++early) {
    std::vector<TimedWindow> windows = Windows(20, 10, 300e3, 8e3);
    for (size_t i = 0; i < early; ++i) windows[i] = {10, 1e3, 300e3, false};
    const EarlyWork work = WorkBeforeTheClock(windows, trusted);
    CAPTURE(early);
    CHECK((!work.refuse.empty() || CallTimeOf(windows, {}, work) > 28e3));
  }
}

TEST_CASE("where too few windows are undisturbed nothing is refused, and what may be is charged") {
  const std::vector<TimedWindow> trusted = Windows(10, 10, 300e3, 8e3);
  std::vector<TimedWindow> disturbed = Windows(10, 10, 300e3, 5e3);
  for (size_t i = 0; i < 8; ++i) disturbed[i].disturbed = true;
  CHECK(Charged(disturbed, WorkBeforeTheClock(disturbed, trusted)) == 0);
  // Lateness that was taken off may have been work.
  for (TimedWindow& window : disturbed) window.late_ns = 200e3;
  const EarlyWork early = WorkBeforeTheClock(disturbed, trusted);
  CHECK(early.refuse.empty());
  CHECK(Charged(disturbed, early) == doctest::Approx(194e3).epsilon(0.02));
  const std::vector<TimedWindow> two = Windows(2, 10, 1e3, 280e3);
  CHECK(WorkBeforeTheClock(two, trusted).refuse.empty());
  CHECK(Charged(two, WorkBeforeTheClock(two, trusted)) > 250e3);
  CHECK(WorkBeforeTheClock({}, trusted).refuse.empty());
}

}  // namespace
}  // namespace kev
