// Which of a task's baselines the headline speed-up is against: measured once per run, then fixed.
//
// The run's calibration job (baselines and no candidate) ranks them before the search; its result
// is in the event log, and the engine gives it to every later profile job as settings["ranking"].
// Threads: call it while holding the core. Errors: as Measure; a baseline that fails is a refusal.
#ifndef KEV_STAGES_PROFILE_STRONGEST_H_
#define KEV_STAGES_PROFILE_STRONGEST_H_

#include <optional>
#include <string>
#include <vector>

#include "engine/core/job.h"
#include "engine/core/result.h"
#include "runners/measurement/measure.h"
#include "stages/profile/timed_set.h"

namespace kev {

struct BaselineStrength {
  std::string name;
  double time_ns = 0;  // weighted geometric mean over the visible workloads
};

struct Ranking {
  std::vector<BaselineStrength> baselines;  // strongest first
  // Log ratio within which 95 % of single launches of the strongest beside its own copy stay.
  double launch_band = 0;
  std::optional<Refusal> refusal;  // a baseline that could not be measured
};

// `baselines` are the contestants, in the job's order. REQUIRES: not empty.
Result<Ranking> RankBaselines(const std::vector<Contestant>& baselines, TimedSet& set,
                              MeasureOptions options);

// The ranking as a fact: map baseline -> ns, and the band under a name that no baseline can have;
// and back. nullopt: it does not name all of them.
Value RankingFact(const Ranking& ranking);
std::optional<Ranking> RankingFrom(const Value& fact, const std::vector<Contestant>& baselines);

// Weighted geometric mean over the visible workloads of a contestant's median time.
double WeightedTimeNs(const Measurement& measurement, const TimedSet& set, size_t contestant);

}  // namespace kev

#endif  // KEV_STAGES_PROFILE_STRONGEST_H_
