// What pause, cancel, budget and dlq share: a signal to a live run, answered when it is committed.
#ifndef KEV_TOOLS_KEVOLVE_SIGNAL_RUN_H_
#define KEV_TOOLS_KEVOLVE_SIGNAL_RUN_H_

#include <string>

#include "engine/core/value.h"
#include "tools/kevolve/commands.h"

namespace kev {

// Prints `said` (or JSON) when it is in the log. Gives the exit code.
int SignalRun(const ControlOptions& options, const std::string& kind, Value data,
              const std::string& said);

}  // namespace kev

#endif  // KEV_TOOLS_KEVOLVE_SIGNAL_RUN_H_
