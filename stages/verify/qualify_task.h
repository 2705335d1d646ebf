// Whether a task can be hacked, by its own reference and all cases of its full check.
//
// Cases are prepared as for a kernel (prepared_case.h); the output of "another input" is that of
// the same case with another seed. All cases are held in memory at once. Threads: any. Errors:
// kInvalid when the task's own code fails, kUnavailable when `cancelled`, else what the judge
// meets.
#ifndef KEV_STAGES_VERIFY_QUALIFY_TASK_H_
#define KEV_STAGES_VERIFY_QUALIFY_TASK_H_

#include <atomic>
#include <string>

#include "stages/verify/prepared_case.h"
#include "stages/verify/qualify.h"

namespace kev {

// `deadline`: of the reference's calls, per shape. Drawn shapes and inputs follow from
// `secret_seed`.
Result<Qualification> QualifyTask(const Task& task, const TaskCode& code, uint64_t secret_seed,
                                  RunnerProcess::Clock::duration deadline,
                                  const std::string& cache_folder,
                                  const std::atomic<bool>& cancelled);

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_QUALIFY_TASK_H_
