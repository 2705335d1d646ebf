// Outputs of code that the task brings itself (its references and baselines) on given inputs, each
// run confined like a candidate.
//
// Threads: any number at a time. Errors: `broken` says that the task's code failed, an Error that
// the judge did.
#ifndef KEV_STAGES_VERIFY_TRUSTED_RUNS_H_
#define KEV_STAGES_VERIFY_TRUSTED_RUNS_H_

#include <string>
#include <vector>

#include "configs/task.h"
#include "engine/core/result.h"
#include "runners/harness/runner_process.h"
#include "stages/verify/values.h"

namespace kev {

struct TrustedRuns {
  std::vector<Arrays> outputs;  // by input set, then argument; "" for what is no output
  double call_ns = 0;           // of the slowest call
  std::string broken;           // what is wrong with the code; "" when nothing is
};

// Calls `library` once on each of `inputs`, which are all of the shape `axes`, in one process.
// `in_f64`: inputs are given as doubles and outputs come as doubles (an exact reference).
// `absolute`: on the inputs' absolute values.
Result<TrustedRuns> RunTrusted(const RunnerOptions& library, const Task& task, const Axes& axes,
                               const std::vector<Arrays>& inputs, bool in_f64, bool absolute,
                               RunnerProcess::Clock::duration deadline);

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_TRUSTED_RUNS_H_
