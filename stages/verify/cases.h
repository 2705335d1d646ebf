// What a check runs: which shapes, with which inputs, and whether propose may ever hear of them.
//
// Inputs follow from (secret seed, case), so that a candidate cannot have been written for them.
// Profile uses the same inputs. Threads: functions on values. Errors: a task that cannot be
// evaluated for a shape.
#ifndef KEV_STAGES_VERIFY_CASES_H_
#define KEV_STAGES_VERIFY_CASES_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "configs/task.h"
#include "engine/core/job.h"
#include "engine/core/result.h"
#include "runners/harness/region.h"

namespace kev {

struct Case {
  std::string workload;  // name, or "drawn1", …
  Axes axes;
  uint32_t seed = 1;    // number of the input, from 1
  bool hidden = false;  // held out or drawn: what is said of it must not tell the shape
};

// One seed of the smallest visible workload.
Result<std::vector<Case>> SmokeCases(const Task& task);
// Every workload and seed, then shapes drawn from the task's domain.
Result<std::vector<Case>> FullCases(const Task& task, uint64_t secret_seed);

// The job's secret seed as a number; the run's seed when it has none.
uint64_t SecretSeed(const Job& job);

// The call for `axes`, as the function sees it.
Result<CallSpec> CallFor(const Task& task, const Axes& axes);

// Fills the inputs of call number `call` of `image`, which was made from CallFor(task, one.axes).
Status FillInputs(const Task& task, const Case& one, uint64_t secret_seed, size_t call,
                  RegionImage* image);

// The variables that are set where candidates, baselines and the reference run: the same for all of
// them.
std::map<std::string, std::string> RunEnvironment(const Task& task,
                                                  const std::map<std::string, std::string>& target);

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_CASES_H_
