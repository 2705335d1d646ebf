#include "tools/kevolve/signal_run.h"

#include <iostream>

#include "tools/live/engine_client.h"
#include "tools/live/exit_code.h"

namespace kev {

int SignalRun(const ControlOptions& options, const std::string& kind, Value data,
              const std::string& said) {
  Value arguments;
  arguments.Set("run", options.run);
  arguments.Set("kind", kind);
  if (!data.IsNull()) arguments.Set("data", std::move(data));
  const auto answer =
      CallEngine({options.engine, options.access, options.run}, "signal", std::move(arguments));
  if (!answer) return Complain(answer.error());
  if (options.json)
    std::cout << ToJson(*answer) << std::endl;
  else
    std::cout << said << " (event " << (*answer)["seq"].AsInt() << ")" << std::endl;
  return kExitDone;
}

}  // namespace kev
