// A kernel that a screening is timed beside where the strongest baseline takes long: the incumbent,
// whose speed-up over that baseline a final measurement told. The baseline's process is launched
// all the same, since it is the one that can be trusted (measure.h), but it is not called.
//
// Threads: pure functions. Errors: none; nullopt where there is no use for one.
#ifndef KEV_STAGES_PROFILE_ANCHOR_H_
#define KEV_STAGES_PROFILE_ANCHOR_H_

#include <map>
#include <optional>
#include <string>

#include "engine/core/value.h"
#include "runners/statistics/statistics.h"
#include "stages/profile/timed_set.h"

namespace kev {

// Over the strongest baseline, in log ratio.
struct Anchor {
  Interval speedup;                         // over the visible workloads
  std::map<std::string, double> workloads;  // by name, the visible ones
};

// `incumbent`: as the engine gives it in settings["incumbent"], {speedup, speedup_low,
// speedup_high, workloads: {name: speedup}}. `baseline_ns`: of a call of the strongest baseline.
std::optional<Anchor> AnchorFrom(const Value& incumbent, const TimedSet& set, double baseline_ns);

}  // namespace kev

#endif  // KEV_STAGES_PROFILE_ANCHOR_H_
