// What the CPU's counters say of a kernel's calls: instructions, cycles, misses, in user mode.
//
// A further process of the kernel, which nobody times, is called on some slots of the measurement's
// arena while the counters run. Threads: one at a time per set. Errors: why there are none, for the
// record: no counters on this machine, or the kernel did not come back.
#ifndef KEV_STAGES_PROFILE_HARDWARE_COUNTS_H_
#define KEV_STAGES_PROFILE_HARDWARE_COUNTS_H_

#include <string>

#include "runners/analysis/call_counts.h"
#include "runners/harness/runner_process.h"
#include "runners/measurement/measure.h"
#include "stages/profile/timed_set.h"

namespace kev {

struct HardwareCounts {
  CounterValues all;  // of all calls together
  uint32_t calls = 1;
};

// `call`: number of the set's workload. `runner`: as for a measurement. `folder`: scratch.
Result<HardwareCounts> CountByHardware(const Contestant& kernel, const TimedSet& set, size_t call,
                                       RunnerOptions runner, const std::string& folder);

}  // namespace kev

#endif  // KEV_STAGES_PROFILE_HARDWARE_COUNTS_H_
