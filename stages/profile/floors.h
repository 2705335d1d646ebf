// Whether a kernel can have been as fast as it seems.
//
// Below the floor that the datasheet gives (caches credited): impossible, so it did not do the
// work. Between that and the peak measured on this machine: suspect, so the time itself, the
// task's formula or the measured peak is off, and nothing is claimed before it was measured again.
// Threads: functions on values. Errors: none.
#ifndef KEV_STAGES_PROFILE_FLOORS_H_
#define KEV_STAGES_PROFILE_FLOORS_H_

#include <string>
#include <vector>

#include "configs/target.h"
#include "stages/profile/call_work.h"
#include "stages/profile/machine_figures.h"

namespace kev {

struct JudgeFloor {
  // Least time of one call by the tightest bound known, in ns; of the visible workload that came
  // nearest to its floor. 0: no bound is known.
  double floor_ns = 0;
  bool impossible = false;
  bool suspect = false;  // and not impossible
  std::string why;       // where, how far and by which peak; "" when neither
};

// Over all workloads, held-out ones too.
JudgeFloor JudgeFloors(const std::vector<TimedWork>& timed, const MachineFigures& machine,
                       const Target& target);

}  // namespace kev

#endif  // KEV_STAGES_PROFILE_FLOORS_H_
