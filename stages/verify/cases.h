// What a check runs: which shapes, with which inputs, and whether propose may ever hear of them.
//
// Inputs follow from (secret seed, case), so that a candidate cannot have been written for them.
// Profile uses the same inputs. Threads: functions on values. Errors: a task that cannot be
// evaluated for a shape.
#ifndef KEV_STAGES_VERIFY_CASES_H_
#define KEV_STAGES_VERIFY_CASES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "configs/task.h"
#include "engine/core/job.h"
#include "engine/core/result.h"

namespace kev {

struct Case {
  std::string workload;  // name, or "n=1" at an end of the domain, or "drawn1"
  Axes axes;
  uint32_t seed = 1;    // number of the input, from 1
  bool hidden = false;  // held out or drawn: what is said of it must not tell the shape
  ValueClass values = ValueClass::kFill;
};

// One seed of the smallest visible workload.
Result<std::vector<Case>> SmokeCases(const Task& task);
// Every workload and seed that can be seen, the ends of the task's domain, then what is held out
// and shapes drawn from the domain.
Result<std::vector<Case>> FullCases(const Task& task, uint64_t secret_seed);

// FullCases, and each of the task's value classes on the smallest visible workload.
Result<std::vector<Case>> FullCasesWithValues(const Task& task, uint64_t secret_seed);
// The cases whose yardstick errors bound those of `one` (measured tolerance), by the widest of
// their bounds: seeds of its shape, with its values and with the task's own fills, as many as it
// takes that a bound does not hang on the luck of a few roundings. `elements`: of the output.
std::vector<Case> YardstickCases(const Case& one, uint64_t elements);

// The job's secret seed as a number; the run's seed when it has none.
uint64_t SecretSeed(const Job& job);

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_CASES_H_
