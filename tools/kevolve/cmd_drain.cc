// kevolve drain: one worker finishes what it has and leaves.
#include <iostream>

#include "tools/kevolve/commands.h"
#include "tools/live/engine_client.h"
#include "tools/live/exit_code.h"

namespace kev {

int DrainCommand(const ControlOptions& options) {
  Value arguments;
  arguments.Set("worker", options.subject);
  const auto answer = CallEngine({options.engine, options.access, options.run, /*admin=*/true},
                                 "drain", std::move(arguments));
  if (!answer) return Complain(answer.error());
  if (options.json)
    std::cout << ToJson(*answer) << std::endl;
  else
    std::cout << "worker " << options.subject << " finishes what it has and leaves" << std::endl;
  return kExitDone;
}

}  // namespace kev
