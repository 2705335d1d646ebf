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

std::vector<double> Before(const std::vector<TimedWindow>& windows) {
  std::vector<double> times;
  for (const TimedWindow& window : windows) {
    if (!window.disturbed) times.push_back(window.before_ns);
  }
  std::sort(times.begin(), times.end());
  return times;
}

double AtShare(const std::vector<double>& ascending, double share) {
  return ascending[static_cast<size_t>(share * static_cast<double>(ascending.size() - 1))];
}

// Roughly two standard errors of the median, from the distance of the quartiles.
double Uncertainty(const std::vector<double>& ascending) {
  return 2 * (AtShare(ascending, 0.75) - AtShare(ascending, 0.25)) /
         std::sqrt(static_cast<double>(ascending.size()));
}

}  // namespace

double CallTimeOf(const std::vector<TimedWindow>& windows, const HarnessCost& cost) {
  std::vector<double> all, undisturbed;
  for (const TimedWindow& window : windows) {
    if (window.calls == 0) continue;
    all.push_back((window.ns - cost.order_ns) / window.calls - cost.call_ns);
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
  const std::vector<double> own = Before(windows), others = Before(trusted);
  EarlyWork early;
  if (own.size() < kLeastWindows || others.size() < kLeastWindows) return early;
  std::vector<double> lengths, calls;
  for (const TimedWindow& window : windows) {
    lengths.push_back(window.ns);
    calls.push_back(window.calls);
  }
  const double length = Median(lengths);
  const double extra = AtShare(own, 0.5) - AtShare(others, 0.5);
  const double charged = extra - kSlackNs - Uncertainty(own) - Uncertainty(others);
  if (charged <= 0) return early;
  early.ns = charged;
  early.per_call_ns = charged / std::max(Median(calls), 1.0);
  // Most windows, not only the middle one, above nearly all of the trusted process's.
  const double least = AtShare(own, 0.25) - AtShare(others, 0.75);
  if (least > kRefusedNs && least > kRefusedShare * length) {
    char text[160];
    std::snprintf(text, sizeof(text),
                  "worked for %.0f us before the clock was started, in windows of %.0f us",
                  extra / 1e3, length / 1e3);
    early.refuse = text;
  }
  return early;
}

}  // namespace kev
