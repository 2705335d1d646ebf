// The machine that a run is started on: its cores, which one is kept free for timing, and how many
// workers fit.
#ifndef KEV_TOOLS_LIVE_MACHINE_H_
#define KEV_TOOLS_LIVE_MACHINE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/core/plan.h"

namespace kev {

struct CoreSplit {
  std::vector<int> kept;    // candidates are timed here and nothing else runs here
  std::vector<int> others;  // engine, store and stages
};
// `cores` as in the target file: "last", or a list like "1" or "2-3". With one core, both hold it.
// Error: not a core here.
Result<CoreSplit> SplitCores(const std::string& cores);

struct StageProcess {
  std::string program;  // compile
  uint32_t processes = 1;
  uint32_t slots = 1;
  std::vector<std::string> arguments;  // more words for its command line
};
// What to start for `plan` on this machine: by stage program, from Step::workers or the number of
// free cores.
std::vector<StageProcess> ProcessesFor(const Plan& plan, size_t free_cores);
// Value of `in_flight: auto`: enough to keep every slot busy and one candidate waiting before each.
uint32_t AutoInFlight(const std::vector<StageProcess>& processes);

// Keeps this process (and its later children) on `cores`.
void PinTo(const std::vector<int>& cores);

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_MACHINE_H_
