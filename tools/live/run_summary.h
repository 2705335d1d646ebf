// A run in a few words, for lists of many: from its record in the store, or from what was noted
// beside its archive when it was last asked for; folded only where there is neither.
//
// Threads: one. Errors: as of StoredRun.
#ifndef KEV_TOOLS_LIVE_RUN_SUMMARY_H_
#define KEV_TOOLS_LIVE_RUN_SUMMARY_H_

#include <string>

#include "engine/core/result.h"
#include "engine/core/value.h"

namespace kev {

// Map: run, state (live, paused, interrupted, or how it ended), paused (only where it is), task,
// workflow, candidates, evaluated, started, speedup (only where there is a best).
Result<Value> SummaryOf(const std::string& run);

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_RUN_SUMMARY_H_
