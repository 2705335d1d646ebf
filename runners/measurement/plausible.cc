#include "runners/measurement/plausible.h"

#include <algorithm>
#include <cmath>

#include "runners/statistics/statistics.h"

namespace kev {
namespace {

constexpr size_t kLeastWindows = 3;        // for a median that says something
constexpr double kLeastComparedNs = 20e3;  // reading two clocks takes some 50 ns
constexpr double kShortestCallNs = 0.1;    // an empty function can seem to take less than nothing

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

}  // namespace kev
