// kevolve cancel: ends a live run now; what it has found is kept.
#include "tools/kevolve/signal_run.h"

namespace kev {

int CancelCommand(const ControlOptions& options) {
  return SignalRun(options, "cancel", Value(), "run " + options.run + " is cancelled");
}

}  // namespace kev
