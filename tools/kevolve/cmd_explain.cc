// kevolve explain: why a run, a candidate, a job or a step waits, was skipped or refused.
#include <iostream>

#include "tools/kevolve/ask_run.h"
#include "tools/live/exit_code.h"
#include "tools/live/explain.h"

namespace kev {

int ExplainCommand(const ControlOptions& options) {
  Value arguments;
  arguments.Set("what", options.subject);
  const auto answer = AskRun(
      options, "explain", std::move(arguments),
      {StoredRun::Open, [&](const RunCore& core) { return Explain(core, {}, options.subject); }});
  if (!answer) return Complain(answer.error());
  if (options.json) {
    std::cout << ToJson(*answer) << std::endl;
    return kExitDone;
  }
  for (const Value& line : (*answer)["lines"].AsList()) std::cout << line.AsString() << "\n";
  if (answer->Has("disk")) std::cout << (*answer)["disk"].AsString() << "\n";
  return kExitDone;
}

}  // namespace kev
