// From a measurement to the facts of the profile contract, and to the blob that keeps every sample.
// Threads: functions on values. Errors: none.
#ifndef KEV_STAGES_PROFILE_SUMMARY_H_
#define KEV_STAGES_PROFILE_SUMMARY_H_

#include <string>
#include <vector>

#include "configs/task.h"
#include "engine/core/value.h"
#include "runners/measurement/measure.h"
#include "runners/statistics/statistics.h"
#include "stages/profile/timed_set.h"

namespace kev {

// Who is who among the contestants.
struct Contest {
  std::vector<Contestant> contestants;
  size_t baseline = 0;  // the strongest
  size_t candidate = 1;
  std::vector<size_t> others;  // further baselines
  size_t control = 0;          // 0: none
  size_t incumbent = 0;        // 0: none
  bool final = false;
  double launch_band = 0;  // log ratio: what one launch of equal kernels may seem apart
};

// Over the visible workloads; a single launch has no interval of its own, see summary.cc.
Interval SpeedupOver(const Measurement& measurement, const TimedSet& set, const Contest& contest,
                     size_t baseline, size_t candidate);

// Map of facts as in configs/contracts/profile.cc.
Value FactsOf(const Measurement& measurement, const TimedSet& set, const Task& task,
              const Contest& contest);

// Canonical encoding of {format, unit, contestants, workloads, launches}.
std::string SamplesBlob(const Measurement& measurement, const TimedSet& set,
                        const Contest& contest);

}  // namespace kev

#endif  // KEV_STAGES_PROFILE_SUMMARY_H_
