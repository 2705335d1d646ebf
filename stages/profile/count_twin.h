// Exact counts of what a kernel executes: its source is compiled once more without AVX-512, which
// valgrind does not know, and that twin is called under callgrind on the inputs of one workload.
//
// Both happen in the sandbox of compilers: what the twin does there reaches nothing, and tells only
// of itself. Threads: any number at a time. Errors: why there are no counts, for the record: no
// valgrind (kNotFound), another architecture, a call that takes too long, a twin that does not
// compile or does not end.
#ifndef KEV_STAGES_PROFILE_COUNT_TWIN_H_
#define KEV_STAGES_PROFILE_COUNT_TWIN_H_

#include "configs/target.h"
#include "configs/task.h"
#include "runners/analysis/call_counts.h"
#include "stages/sdk/stage.h"

namespace kev {

// Of a call. Callgrind takes some thousand times as long, with vector code.
inline constexpr double kMostCountedNs = 2e6;
inline constexpr double kQuickCountedNs = 0.5e6;

// `job`: has the candidate whose source it is. `call_ns`: time of one call on `workload`, not under
// valgrind.
Result<CallCounts> CountTwin(const Job& job, StageContext* context, const Task& task,
                             const Target& target, const Workload& workload, double call_ns);

}  // namespace kev

#endif  // KEV_STAGES_PROFILE_COUNT_TWIN_H_
