// How candidates of a run compare: by the speed-up of the latest profile step that they passed. Of
// one that was only screened, it is the geometric mean of its own and what its duplicates got,
// which do not take part themselves.
//
// Used by the select policies and by the proposers. Threads: functions on values. Errors: none.
#ifndef KEV_STAGES_SELECT_RANKING_H_
#define KEV_STAGES_SELECT_RANKING_H_

#include <cstdint>
#include <vector>

#include "engine/core/run_core.h"

namespace kev {

struct Ranked {
  uint32_t number = 0;     // candidate
  double speedup = 0;      // ratio, > 0
  bool confirmed = false;  // measured at final fidelity
};

// The latest profile step that `candidate` passed, or null.
const StepOutcome* LatestProfile(const Candidate& candidate, const Plan& plan, bool* confirmed);
// Candidates that were measured and not refused since; fastest first, older first among equals.
std::vector<Ranked> RankCandidates(const RunCore& run);
// Index in [0, n) with weights 1, 1/2, 1/3, …; `unit` is uniform in [0, 1). REQUIRES: n > 0.
size_t PickByRank(size_t n, double unit);

}  // namespace kev

#endif  // KEV_STAGES_SELECT_RANKING_H_
