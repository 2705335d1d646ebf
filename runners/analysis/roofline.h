// Where a measured time stands against what the machine can do (Williams, Waterman and Patterson
// 2009, with one bandwidth per cache level), what holds it back, and whether it is possible at all.
//
// Threads: functions on values. Errors: none; what cannot be known is 0, and said in `note`.
#ifndef KEV_RUNNERS_ANALYSIS_ROOFLINE_H_
#define KEV_RUNNERS_ANALYSIS_ROOFLINE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "runners/analysis/machine_peaks.h"

namespace kev {

// One call of a kernel.
struct CallWork {
  double flops = 0;        // operations that the task needs
  double bytes = 0;        // bytes that must be moved: each input read, each output written, once
  double working_set = 0;  // bytes touched by a call; 0: as `bytes`
  int element_bytes = 4;   // of the arithmetic
  bool cold = false;       // caches are flushed before each call
  int cores = 1;           // that the kernel may use
};

// What the static model adds; zeros where it is not known.
struct StaticHint {
  double cycles_per_iteration = 0;  // of the hot loop, all in L1
  double ipc = 0;
  bool dependency = false;  // the model is held back by a chain of results
  bool front_end = false;   // … by the rate at which instructions are taken up
};

enum class Bottleneck {
  kUnknown,
  kCompute,
  kL1,
  kL2,
  kL3,
  kMemory,
  kLatency,  // chains of dependent results, or single loads that are waited for
  kFrontEnd,
  kOverhead,  // the call itself
};
const char* Name(Bottleneck bottleneck);  // compute, memory-L1, …, memory-DRAM, latency, front-end

struct Roofline {
  double intensity = 0;         // operations per byte; 0 when nothing is moved
  std::string level;            // that feeds it: L1 … memory
  double attainable_flops = 0;  // min(peak, intensity * bandwidth of the level)
  double attainable = 0;        // seconds: the least time by the measured peaks
  double share = 0;             // attainable / measured time
  double share_of_copy = 0;     // time of the same-bytes copy / measured time; 0: not given
  double headroom = 0;          // how many times faster it could be, by copy and roofline; >= 1
  Bottleneck bottleneck = Bottleneck::kUnknown;
  std::string note;
};

// `seconds` per call; `copy_seconds`: a kernel that copies the same bytes in the same harness, the
// practical ceiling; `overhead`: of an empty call in that harness. 0: not measured.
Roofline PlaceOnRoofline(const CallWork& work, double seconds, const MachinePeaks& peaks,
                         double copy_seconds = 0, double overhead = 0, const StaticHint& hint = {});

// Upper bounds of a target, all cores that a kernel may use together.
struct DatasheetPeaks {
  double flops = 0;              // operations/s
  double bytes = 0;              // bytes/s of the memory behind all caches; 0: not bounded
  double cache_bytes_per_s = 0;  // of the nearest cache; 0: not bounded
  double cached_bytes = 0;       // that caches can keep from one call to the next
  std::string origin;            // how the figures came about
};

// Safe bounds where the target gives none: two units of the widest vector, fused, at the highest
// clock (times 1.5 where only the nominal or the measured one is known); memory is not bounded.
// `measured_hz`: of the dependent-add chain, 0: not measured.
DatasheetPeaks BoundsOf(const CpuIdentity& cpu, int element_bytes, int cores, double measured_hz);

enum class Plausibility { kPlausible, kSuspect, kImpossible };

struct FloorJudgement {
  Plausibility plausibility = Plausibility::kPlausible;
  double floor = 0;           // seconds: below it is impossible by the datasheet
  double measured_floor = 0;  // seconds: below it is faster than anything measured here
  std::string reason;         // "" when plausible
};

// Whether a call can have taken `seconds`. Caches are credited: bytes that they can keep between
// warm calls, or take as dirty output, need not cross the memory's bus. Below the floor of the
// datasheet: impossible; below that of the measured peaks (where given) by more than 5 %: suspect.
FloorJudgement JudgeCall(const CallWork& work, double seconds, const DatasheetPeaks& datasheet,
                         const MachinePeaks* measured);

}  // namespace kev

#endif  // KEV_RUNNERS_ANALYSIS_ROOFLINE_H_
