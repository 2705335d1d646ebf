// From a measurement to the facts of the profile contract, and to the blob that keeps every sample.
// Threads: functions on values. Errors: none.
#ifndef KEV_STAGES_PROFILE_SUMMARY_H_
#define KEV_STAGES_PROFILE_SUMMARY_H_

#include <optional>
#include <string>
#include <vector>

#include "configs/task.h"
#include "engine/core/value.h"
#include "runners/measurement/measure.h"
#include "runners/statistics/statistics.h"
#include "stages/profile/anchor.h"
#include "stages/profile/timed_set.h"

namespace kev {

constexpr uint32_t kFinalLaunches = 10;  // at least, of a final measurement

// Who is who among the contestants.
struct Contest {
  std::vector<Contestant> contestants;
  size_t baseline = 0;  // the strongest
  size_t candidate = 1;
  std::vector<size_t> others;    // further baselines
  size_t control = 0;            // 0: none
  size_t incumbent = 0;          // 0: none
  std::optional<Anchor> anchor;  // the incumbent is timed instead of the strongest baseline
  std::vector<size_t> rivals;    // of a closing measurement
  bool final = false;
  bool sequential = false;  // how many launches there are was decided by looking at them
  double launch_band = 0;   // log ratio: what one launch of equal kernels may seem apart
};

// Over the visible workloads; a single launch has no interval of its own, see summary.cc. All
// intervals of a contest whose launches were decided by looking at them hold at every look.
Interval SpeedupOver(const Measurement& measurement, const TimedSet& set, const Contest& contest,
                     size_t baseline, size_t candidate);

// ns of a call of the strongest baseline, weighted geometric mean over the visible workloads; by
// way of the anchor where there is one.
double BaselineTimeNs(const Measurement& measurement, const TimedSet& set, const Contest& contest);

// Whether more launches of a final measurement would change nothing that is said of it: surely
// faster, surely slower, or known to 1 %.
bool IsDecided(const Measurement& measurement, const TimedSet& set, const Contest& contest);

// ClocksApart of all windows of the candidate on visible workloads.
double ClocksApart(const Measurement& measurement, const TimedSet& set, const Contest& contest);

// Map of facts as in configs/contracts/profile.cc.
Value FactsOf(const Measurement& measurement, const TimedSet& set, const Task& task,
              const Contest& contest);

// Canonical encoding of {format, unit, contestants, workloads, launches}.
std::string SamplesBlob(const Measurement& measurement, const TimedSet& set,
                        const Contest& contest);

}  // namespace kev

#endif  // KEV_STAGES_PROFILE_SUMMARY_H_
