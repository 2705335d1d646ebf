#include "runners/measurement/plausible.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>

#include "runners/statistics/statistics.h"

namespace kev {
namespace {

constexpr size_t kLeastWindows = 3;        // for a median that says something
constexpr double kLeastComparedNs = 20e3;  // reading two clocks takes some 50 ns
constexpr double kShortestCallNs = 0.1;    // an empty function can seem to take less than nothing
constexpr double kSlackNs = 3e3;           // of CPU time before the order: wake-ups differ by this
constexpr double kRefusedShare = 0.5;      // of a window
constexpr double kRefusedNs = 50e3;

// Ascending; of undisturbed windows, or of all.
std::vector<double> TimesBefore(const std::vector<TimedWindow>& windows, bool all) {
  std::vector<double> times;
  for (const TimedWindow& window : windows) {
    if (all || !window.disturbed) times.push_back(window.before_ns);
  }
  std::sort(times.begin(), times.end());
  return times;
}

double AtShare(const std::vector<double>& ascending, double share) {
  return ascending[static_cast<size_t>(share * static_cast<double>(ascending.size() - 1))];
}

}  // namespace

double EarlyWork::Of(const TimedWindow& window) const {
  return std::max(window.before_ns + (told ? 0 : window.late_ns) - allowed_ns, 0.0);
}

double CallTimeOf(const std::vector<TimedWindow>& windows, const HarnessCost& cost,
                  const EarlyWork& early) {
  std::vector<double> all, undisturbed;
  for (const TimedWindow& window : windows) {
    if (window.calls == 0) continue;
    all.push_back((window.ns + early.Of(window) - cost.order_ns) / window.calls - cost.call_ns);
    if (!window.disturbed) undisturbed.push_back(all.back());
  }
  if (all.empty()) return 0;
  return std::max(Median(undisturbed.size() >= kLeastWindows ? undisturbed : all), kShortestCallNs);
}

double ClocksApart(const std::vector<TimedWindow>& windows, double ticks_per_ns) {
  std::vector<double> rates;
  for (const TimedWindow& window : windows) {
    if (window.ns >= kLeastComparedNs && !window.disturbed)
      rates.push_back(window.ticks / window.ns);
  }
  if (rates.size() < kLeastWindows || !(ticks_per_ns > 0)) return NAN;
  return std::fabs(Median(rates) / ticks_per_ns - 1);
}

EarlyWork WorkBeforeTheClock(const std::vector<TimedWindow>& windows,
                             const std::vector<TimedWindow>& trusted) {
  const std::vector<double> own = TimesBefore(windows, false);
  std::vector<double> others = TimesBefore(trusted, false);
  EarlyWork early;
  if (windows.empty() || trusted.empty()) return early;
  early.told = own.size() >= kLeastWindows && others.size() >= kLeastWindows;
  if (!early.told) others = TimesBefore(trusted, true);
  early.allowed_ns = AtShare(others, 0.75) + kSlackNs;
  if (!early.told) return early;
  // Of most windows, above nearly all of the trusted process's.
  std::vector<double> lengths;
  for (const TimedWindow& window : windows) lengths.push_back(window.ns);
  const double length = Median(lengths), extra = AtShare(own, 0.5) - AtShare(others, 0.75);
  if (extra > kRefusedNs && extra > kRefusedShare * length) {
    char text[160];
    std::snprintf(text, sizeof(text),
                  "worked for %.0f us before the clock was started, in windows of %.0f us",
                  extra / 1e3, length / 1e3);
    early.refuse = text;
  }
  return early;
}

}  // namespace kev
