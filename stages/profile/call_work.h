// What a task asks of the machine in each of its timed workloads, beside the time that it took.
// Threads: functions on values. Errors: none; what the task has no formula for is 0.
#ifndef KEV_STAGES_PROFILE_CALL_WORK_H_
#define KEV_STAGES_PROFILE_CALL_WORK_H_

#include <string>
#include <vector>

#include "configs/task.h"
#include "engine/core/value.h"
#include "runners/analysis/roofline.h"
#include "stages/profile/timed_set.h"

namespace kev {

struct TimedWork {
  std::string name;   // of the workload
  std::string place;  // how it may be called where a proposer reads: held-out ones have no name
  bool held_out = false;
  double weight = 1;
  double ns = 0;           // one call, measured
  double array_bytes = 0;  // inputs and outputs of a call, each once
  CallWork work;           // flops and bytes by the task's formulas
};

// One call, by the task's formulas. `window_bytes`: calls are timed one after another on arrays of
// their own that fill so much of the caches together.
TimedWork WorkOf(const Task& task, const Workload& workload, double window_bytes = 0);

// All workloads of `set`, with the times of the facts of one measurement.
std::vector<TimedWork> TimedWorkOf(const Value& facts, const TimedSet& set, const Task& task);

}  // namespace kev

#endif  // KEV_STAGES_PROFILE_CALL_WORK_H_
