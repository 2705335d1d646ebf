#include "stages/profile/anchor.h"

#include <cmath>

namespace kev {
namespace {

// Calls shorter than this are put together into windows of the same length, whoever's they are.
constexpr double kSlowBaselineNs = 250e3;
constexpr double kLeastSpeedup = 1.5;  // less is not worth an interval of two measurements

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
    const double speedup = incumbent["workloads"][name].AsDouble();
    if (!(speedup > 0)) return std::nullopt;
    anchor.workloads[name] = std::log(speedup);
  }
  return anchor;
}

}  // namespace kev
