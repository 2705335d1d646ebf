// What attach and `run --engine` share: following a run in a live engine to its end, and the
// report.
#ifndef KEV_TOOLS_KEVOLVE_FOLLOW_RUN_H_
#define KEV_TOOLS_KEVOLVE_FOLLOW_RUN_H_

#include <string>

#include "tools/kevolve/commands.h"
#include "tools/live/engine_client.h"

namespace kev {

OutputMode OutputOf(bool json, bool quiet);

// Gives the exit code: that of the run's end, or kExitInterrupted when it was left.
int FollowRun(ClientSession& engine, const std::string& run, OutputMode output,
              const std::string& source_path);

}  // namespace kev

#endif  // KEV_TOOLS_KEVOLVE_FOLLOW_RUN_H_
