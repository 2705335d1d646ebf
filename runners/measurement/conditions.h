// Under what conditions a measurement was taken, as far as they can be seen from outside.
//
// Threads: values; reading opens /proc. Errors: what cannot be read is 0.
#ifndef KEV_RUNNERS_MEASUREMENT_CONDITIONS_H_
#define KEV_RUNNERS_MEASUREMENT_CONDITIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/value.h"
#include "runners/statistics/decision.h"

namespace kev {

// Counters of one core and of the machine at one moment.
struct CoreCounters {
  double steal_ms = 0;   // time that the hypervisor gave to others, of this core
  double others_ms = 0;  // busy time of all other cores
  double wall_ms = 0;
  static CoreCounters Read(int core);
};

struct Conditions {
  std::vector<double>
      clock_ghz;  // effective clock of the core, per launch, before foreign code ran
  uint32_t windows = 0;
  uint32_t disturbed = 0;   // of these, windows in which the judge was not running for a while
  double run_delay_ns = 0;  // for which timed processes could have run in their windows but did not
  uint64_t involuntary_switches = 0;
  double wall_ms = 0;
  double steal_ms = 0;   // of the core
  double others_ms = 0;  // busy time of all other cores, the judge's own included

  // Whether figures taken so are doubtful, and why. `aa_band`: NaN when it was not measured.
  NoiseVerdict Noise(double aa_band) const;
  Value ToValue() const;
};

}  // namespace kev

#endif  // KEV_RUNNERS_MEASUREMENT_CONDITIONS_H_
