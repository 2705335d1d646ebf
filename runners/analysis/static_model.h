// The static model of a loop: what llvm-mca says of its steady state on a CPU, all data in the L1
// cache and every branch predicted.
//
// Threads: McaInput and ParseMca are functions on values; AnalyseLoop runs a tool. Errors:
// kNotFound without llvm-mca, kInvalid when it does not understand the code or has no model.
#ifndef KEV_RUNNERS_ANALYSIS_STATIC_MODEL_H_
#define KEV_RUNNERS_ANALYSIS_STATIC_MODEL_H_

#include <string>
#include <string_view>
#include <vector>

#include "engine/core/result.h"
#include "runners/analysis/loops.h"

namespace kev {

struct PortPressure {
  std::string port;   // ICXPort0
  double cycles = 0;  // per iteration
};

struct StaticModel {
  std::string cpu;  // the model's name
  double cycles_per_iteration = 0;
  double uops_per_iteration = 0;
  double ipc = 0;
  double block_throughput = 0;      // cycles per iteration if nothing depended on anything
  std::string bottleneck;           // ports, data dependency, dispatch
  std::vector<PortPressure> ports;  // the four that are used most
};

// The loop's instructions as llvm-mca reads them.
std::string McaInput(const Function& function, const Loop& loop);
// kInvalid when it is not llvm-mca's report.
Result<StaticModel> ParseMca(std::string_view report);

// `cpu`: the model to use, as in -mcpu; "": this machine's, else one with the same vector width.
Result<StaticModel> AnalyseLoop(const Function& function, const Loop& loop,
                                const std::string& cpu = "");

}  // namespace kev

#endif  // KEV_RUNNERS_ANALYSIS_STATIC_MODEL_H_
