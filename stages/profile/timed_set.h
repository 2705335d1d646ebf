// What a run's profile jobs measure on: the task's workloads in one arena, with values for timed
// calls. Made once and shared by jobs.
//
// Threads: TimedSetFor any; a set itself is used by who holds the measuring core. Errors: a task
// that cannot be evaluated for a workload; `broken` says that the task's own code failed.
#ifndef KEV_STAGES_PROFILE_TIMED_SET_H_
#define KEV_STAGES_PROFILE_TIMED_SET_H_

#include <memory>
#include <string>
#include <vector>

#include "configs/task.h"
#include "engine/core/result.h"
#include "runners/harness/arena.h"
#include "stages/sdk/stage.h"
#include "stages/verify/prepared_case.h"
#include "stages/verify/task_values.h"

namespace kev {

struct TimedSet {
  std::vector<Workload> workloads;  // by call number; visible ones first
  size_t visible = 0;
  std::unique_ptr<Arena> arena;
  std::unique_ptr<TaskValues> values;
  std::string broken;                      // what is wrong with the task's code
  std::vector<double> Weights() const;     // of the visible ones
  std::string PlaceOf(size_t call) const;  // "workload attention", or "a held-out workload"
};

// Visible workloads, and with `held_out` the others too.
Result<std::shared_ptr<TimedSet>> TimedSetFor(const Job& job, StageContext* context,
                                              const Task& task, const TaskCode& code,
                                              bool held_out);

}  // namespace kev

#endif  // KEV_STAGES_PROFILE_TIMED_SET_H_
