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
#include "runners/measurement/measure.h"
#include "runners/statistics/statistics.h"
#include "stages/profile/timed_set.h"

namespace kev {

struct Anchor {
  struct Figures {
    double speedup = 0;     // log ratio, over the strongest baseline
    double latency_ns = 0;  // of a call then
  };
  Interval speedup;                          // log ratio, over the visible workloads
  std::map<std::string, Figures> workloads;  // by name, the visible ones
};

// `incumbent`: as the engine gives it in settings["incumbent"], {speedup, speedup_low,
// speedup_high, workloads: {name: {speedup, latency_ns}}}. `baseline_ns`: of a call of the
// strongest baseline.
std::optional<Anchor> AnchorFrom(const Value& incumbent, const TimedSet& set, double baseline_ns);
// Whether the incumbent, the contestant of this number, is as fast as it was: one that is slower
// now makes everybody beside it seem faster.
bool Holds(const Anchor& anchor, const Measurement& measurement, const TimedSet& set,
           size_t incumbent);

}  // namespace kev

#endif  // KEV_STAGES_PROFILE_ANCHOR_H_
