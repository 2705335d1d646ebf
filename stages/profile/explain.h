// Why a kernel is as slow as it is: one short class for conditions and tables, and a record of a
// few KiB for whoever writes the next kernel.
//
// A screening looks at times and roofs only (well under a millisecond); a final measurement also
// reads the machine code and asks llvm-mca about the hot loop (tens of milliseconds). Held-out
// workloads are left out: the record is made for those who must not know them. Threads: any.
// Errors: none; what could not be had is named in the record's `absent`.
#ifndef KEV_STAGES_PROFILE_EXPLAIN_H_
#define KEV_STAGES_PROFILE_EXPLAIN_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/value.h"
#include "runners/analysis/kernel_profile.h"
#include "stages/profile/call_work.h"
#include "stages/profile/machine_figures.h"

namespace kev {

struct Explanation {
  // Name(Bottleneck) of the visible workload on which most time is spent by weight: compute,
  // memory-L1, …, memory-DRAM, latency, front-end, call-overhead, unknown.
  std::string bottleneck;
  std::map<std::string, std::string> by_workload;  // the same for each visible workload
  // ToValue(KernelProfile) of that workload, with `workload`, `peaks` (where the roofs come from)
  // and, where there are several, `workloads`: name -> {bottleneck, share, headroom}.
  Value record;
};

// `code`: the kernel's static part by ProfileLibrary, or one that says why there is none.
Explanation Explain(const std::vector<TimedWork>& timed, const MachineFigures& machine,
                    KernelProfile code);

// The static part: all of it for a final measurement, nothing but the reason for a screening.
// Of a kernel in a cubin: what it takes of a multiprocessor.
KernelProfile DeviceProfile(std::string_view cubin, std::string_view symbol);
KernelProfile StaticProfile(std::string_view library, std::string_view symbol, bool final);

}  // namespace kev

#endif  // KEV_STAGES_PROFILE_EXPLAIN_H_
