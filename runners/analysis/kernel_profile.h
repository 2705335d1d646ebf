// Why a kernel is as slow as it is, in one record of the same shape for every back end, small
// enough for a prompt.
//
// Threads: functions on values; ProfileLibrary runs tools. Errors: none; what could not be had is
// named in `absent` with its reason.
#ifndef KEV_RUNNERS_ANALYSIS_KERNEL_PROFILE_H_
#define KEV_RUNNERS_ANALYSIS_KERNEL_PROFILE_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/value.h"
#include "runners/analysis/call_counts.h"
#include "runners/analysis/gpu_resources.h"
#include "runners/analysis/loops.h"
#include "runners/analysis/remarks.h"
#include "runners/analysis/roofline.h"
#include "runners/analysis/static_model.h"

namespace kev {

inline constexpr size_t kMostProfileBytes = 4096;  // of the record as JSON
inline constexpr size_t kMostLoopLines = 40;

struct KernelProfile {
  double seconds = 0;  // per call, measured; 0: not yet
  std::optional<Roofline> roofline;
  std::optional<GpuResources> resources;  // a CPU loop's spills are in the mix
  std::optional<InstructionMix> mix;      // of the hot loop
  std::optional<StaticModel> model;       // of the hot loop
  std::optional<CallCounts> counts;       // of the twin for x86-64-v3
  std::string counted;                    // on which workload
  std::optional<CounterValues> hardware;  // of the kernel itself, by the CPU's counters
  uint32_t hardware_calls = 1;            // in how many calls
  std::vector<Remark> remarks;
  std::string function;  // that the hot loop is in
  std::string hot_loop;  // its text
  std::vector<std::string> absent;
};

// Static part of a CPU kernel's profile: hot loop, mix and model. `counts`: of this very library,
// when it was counted, so that the loop is known and not guessed.
KernelProfile ProfileLibrary(std::string_view library, std::string_view symbol,
                             const CallCounts* counts = nullptr);

// What the model says for the roofline's classification.
StaticHint HintOf(const KernelProfile& profile);

// The record: time_s, bottleneck, roofline, resources, mix, static, counts, remarks, hot_loop,
// absent. At most kMostProfileBytes as JSON: the loop's middle goes first, then remarks.
Value ToValue(const KernelProfile& profile);

}  // namespace kev

#endif  // KEV_RUNNERS_ANALYSIS_KERNEL_PROFILE_H_
