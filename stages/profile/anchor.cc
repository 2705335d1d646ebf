#include "stages/profile/anchor.h"

#include <cmath>

namespace kev {
namespace {

// Calls shorter than this are put together into windows of the same length, whoever's they are.
constexpr double kSlowBaselineNs = 250e3;
constexpr double kLeastSpeedup = 1.5;  // less is not worth an interval of two measurements
constexpr double kMostDrift = 1.5;     // of a call, from then to now; one launch tells no better

}  // namespace

std::optional<Anchor> AnchorFrom(const Value& incumbent, const TimedSet& set, double baseline_ns) {
  if (baseline_ns < kSlowBaselineNs) return std::nullopt;
  if (!(incumbent["speedup_low"].AsDouble() >= kLeastSpeedup)) return std::nullopt;
  Anchor anchor;
  anchor.speedup = {std::log(incumbent["speedup"].AsDouble()),
                    std::log(incumbent["speedup_low"].AsDouble()),
                    std::log(incumbent["speedup_high"].AsDouble())};
  for (size_t i = 0; i < set.visible; ++i) {
    const std::string& name = set.workloads[i].name;
    const Value& told = incumbent["workloads"][name];
    const double speedup = told["speedup"].AsDouble(), ns = told["latency_ns"].AsDouble();
    if (!(speedup > 0 && ns > 0)) return std::nullopt;
    anchor.workloads[name] = {std::log(speedup), ns};
  }
  return anchor;
}

bool Holds(const Anchor& anchor, const Measurement& measurement, const TimedSet& set,
           size_t incumbent) {
  for (size_t call = 0; call < set.visible; ++call) {
    const double then = anchor.workloads.at(set.workloads[call].name).latency_ns;
    const double now = Median(measurement.CallTimes(incumbent, call));
    if (!(now <= kMostDrift * then && then <= kMostDrift * now)) return false;
  }
  return true;
}

}  // namespace kev
