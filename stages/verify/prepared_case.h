// A case with all that judging a kernel on it needs: inputs, expected outputs, and what errors are
// allowed. Made once per reference, shape and input, then kept in memory and on disk.
//
// Expected values come from the task's exact reference where it has one, else from its reference.
// With a measured tolerance the errors of the yardstick, a baseline, are measured on this and
// similar inputs. Threads: any; files in the cache folder are written by rename. Errors: `broken`
// says that the task's own code failed, an Error that the judge did.
#ifndef KEV_STAGES_VERIFY_PREPARED_CASE_H_
#define KEV_STAGES_VERIFY_PREPARED_CASE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "configs/task.h"
#include "engine/core/result.h"
#include "runners/harness/runner_process.h"
#include "stages/verify/cases.h"
#include "stages/verify/output_judge.h"
#include "stages/verify/symmetry.h"
#include "stages/verify/values.h"

namespace kev {

// The task's own code, as files that can be run.
struct TaskCode {
  RunnerOptions reference;  // the exact one where the task has one
  std::string reference_sha256;
  std::optional<RunnerOptions> yardstick;  // of a measured tolerance
  std::string yardstick_sha256;
};

struct PreparedCase {
  Case one;
  Arrays inputs;    // by argument, then what the function returns; "" for what is no input
  Arrays expected;  // the same for outputs; as double when expected_in_f64
  bool expected_in_f64 = false;
  std::vector<Arrays> scales;     // one, for a measured tolerance by absolute values, else none
  std::vector<Quantiles> bounds;  // by argument, of a measured tolerance
  std::vector<std::optional<OutputJudge>> judges;  // by argument; nullopt for what is no output
  double reference_ns = 0;                         // time of the reference's call
  uint64_t bytes() const;                          // roughly what it takes in memory
};

struct PreparedCases {
  std::vector<std::shared_ptr<const PreparedCase>> cases;  // in the order asked for
  std::string broken;                                      // what is wrong with the task's code
};

// REQUIRES: all cases are of one shape.
Result<PreparedCases> PrepareCases(const Task& task, const TaskCode& code,
                                   const std::vector<Case>& cases, uint64_t secret_seed,
                                   RunnerProcess::Clock::duration deadline,
                                   const std::string& cache_folder);

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_PREPARED_CASE_H_
