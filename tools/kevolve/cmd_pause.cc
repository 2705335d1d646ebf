// kevolve pause: nothing new of the run is given out until it is resumed.
#include "tools/kevolve/signal_run.h"
#include "tools/live/home.h"

namespace kev {

int PauseCommand(const ControlOptions& options) {
  return SignalRun(options, "pause", Value(),
                   "run " + options.run + " is paused; `" + CommandName() + " resume " +
                       options.run + "` goes on");
}

}  // namespace kev
