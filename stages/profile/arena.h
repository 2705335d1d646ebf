// The inputs on which a run's profile jobs measure: workloads of the task in one region, made once
// and shared by jobs. Threads: any. Errors: a task that cannot be evaluated for a workload.
#ifndef KEV_STAGES_PROFILE_ARENA_H_
#define KEV_STAGES_PROFILE_ARENA_H_

#include <memory>
#include <string>
#include <vector>

#include "configs/task.h"
#include "engine/core/job.h"
#include "engine/core/result.h"
#include "runners/harness/region.h"

namespace kev {

struct Arena {
  std::vector<Workload> workloads;  // by call number; visible ones first
  RegionImage image;
  size_t visible = 0;
  std::vector<double> Weights() const;  // of the visible ones
};

// Visible workloads, and with `held_out` the others too.
Result<std::shared_ptr<const Arena>> ArenaFor(const Job& job, const Task& task, bool held_out);

}  // namespace kev

#endif  // KEV_STAGES_PROFILE_ARENA_H_
