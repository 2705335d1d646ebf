#include "tools/kevolve/signal_run.h"

#include <iostream>

#include "tools/live/engine_client.h"
#include "tools/live/exit_code.h"
#include "tools/live/home.h"
#include "tools/live/stored_run.h"

namespace kev {
namespace {

// How it ended; "" when it has not.
std::string EndOf(const std::string& run) {
  const auto stored = StoredRun::OpenLean(run);
  return stored && (*stored)->core->ended() ? (*stored)->core->ended()->status : "";
}

}  // namespace

int SignalRun(const ControlOptions& options, const std::string& kind, Value data,
              const std::string& said) {
  Value arguments;
  arguments.Set("run", options.run);
  arguments.Set("kind", kind);
  if (!data.IsNull()) arguments.Set("data", std::move(data));
  const auto answer =
      CallEngine({options.engine, options.access, options.run}, "signal", std::move(arguments));
  if (!answer) {
    Error error = answer.error();
    const bool here = options.engine.empty() && options.access.empty();
    const bool ended = error.code == Code::kNotFound ||
                       (error.code == Code::kUnavailable && here && IsPutAway(options.run));
    const std::string end = ended ? EndOf(options.run) : "";
    if (!end.empty()) {
      error.code = Code::kNotFound;
      error.message = "run " + options.run + " has ended (" + end + "): `" + CommandName() +
                      " show " + options.run + "` says how";
      if (end == "done")
        error.message += ", `" + CommandName() + " resume " + options.run +
                         " --candidates N` goes on with a larger budget";
    }
    return Complain(error);
  }
  if (options.json)
    std::cout << ToJson(*answer) << std::endl;
  else
    std::cout << said << " (event " << (*answer)["seq"].AsInt() << ")" << std::endl;
  return kExitDone;
}

}  // namespace kev
