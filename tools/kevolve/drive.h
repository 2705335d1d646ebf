// What run and resume share: turning options into a LiveRun, and driving it.
#ifndef KEV_TOOLS_KEVOLVE_DRIVE_H_
#define KEV_TOOLS_KEVOLVE_DRIVE_H_

#include <string>

#include "tools/kevolve/commands.h"
#include "tools/live/live_run.h"

namespace kev {

// Fills everything but the folder. An exit code other than kExitDone when an option cannot be.
int PrepareLive(const RunOptions& options, const Plan& plan, const std::string& target_cores,
                LiveOptions* live);
// The core set of the first target in a run's bundle (its bytes).
Result<std::string> TargetCoresOf(const std::string& bundle_bytes);
// `fresh`: the run is new; its folder goes again when it cannot begin.
int DriveToEnd(LiveOptions live, const Beginning& beginning, bool fresh);

}  // namespace kev

#endif  // KEV_TOOLS_KEVOLVE_DRIVE_H_
