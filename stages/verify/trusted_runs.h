// Outputs of code that the task brings itself (its references and baselines) on given inputs, each
// run confined like a candidate.
//
// Threads: any number at a time. Errors: `broken` says that the task's code failed, an Error that
// the judge did.
#ifndef KEV_STAGES_VERIFY_TRUSTED_RUNS_H_
#define KEV_STAGES_VERIFY_TRUSTED_RUNS_H_

#include <memory>
#include <string>
#include <vector>

#include "configs/task.h"
#include "engine/core/result.h"
#include "runners/harness/arena.h"
#include "runners/harness/runner_process.h"
#include "stages/verify/values.h"

namespace kev {

struct TrustedRuns {
  std::vector<Arrays> outputs;  // by input set, then argument; "" for what is no output
  double call_ns = 0;           // of the slowest call
  std::string broken;           // what is wrong with the code; "" when nothing is
};

// A process of the task's own code that stays, to be asked again and again about calls of one
// shape.
class TrustedProcess {
 public:
  // It runs where the calling thread may run. REQUIRES: `task` outlives it.
  static Result<std::unique_ptr<TrustedProcess>> Start(const RunnerOptions& library,
                                                       const Task& task, const Axes& axes,
                                                       bool in_f64,
                                                       RunnerProcess::Clock::duration deadline);
  ~TrustedProcess();

  // Outputs for one set of inputs (in their own dtypes), by argument. `absolute`: for the inputs'
  // absolute values. Of broken code: broken() says what is wrong, and outputs are empty.
  Result<Arrays> Run(const Arrays& inputs, bool absolute);
  const std::string& broken() const { return broken_; }
  double call_ns() const { return call_ns_; }  // of the slowest call

 private:
  TrustedProcess(const RunnerOptions& library, const Task& task, bool in_f64,
                 RunnerProcess::Clock::duration deadline);
  Result<bool> Judged(const Outcome& outcome);

  RunnerOptions library_;
  const Task& task_;
  const bool in_f64_;
  const RunnerProcess::Clock::duration deadline_;
  std::unique_ptr<Arena> arena_;
  std::unique_ptr<RunnerProcess> process_;
  std::string broken_;
  double call_ns_ = 0;
  uint32_t runs_ = 0;
};

// The task's own code for as long as it may be needed: the file that it came in goes with its job.
class KeptLibrary {
 public:
  static Result<KeptLibrary> Of(const RunnerOptions& library);
  // As TrustedProcess::Start.
  Result<std::unique_ptr<TrustedProcess>> Start(const Task& task, const Axes& axes, bool in_f64,
                                                RunnerProcess::Clock::duration deadline) const;

 private:
  RunnerOptions options_;
  std::string bytes_;
};

// Calls `library` once on each of `inputs`, which are all of the shape `axes`, in one process.
// `in_f64`: inputs are given as doubles and outputs come as doubles (an exact reference).
// `absolute`: on the inputs' absolute values.
Result<TrustedRuns> RunTrusted(const RunnerOptions& library, const Task& task, const Axes& axes,
                               const std::vector<Arrays>& inputs, bool in_f64, bool absolute,
                               RunnerProcess::Clock::duration deadline);

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_TRUSTED_RUNS_H_
