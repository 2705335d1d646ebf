// kevolve explain: why a run, a candidate, a job or a step waits, was skipped or refused.
#include <iostream>

#include "tools/kevolve/commands.h"
#include "tools/live/engine_client.h"
#include "tools/live/exit_code.h"
#include "tools/live/explain.h"
#include "tools/live/stored_run.h"

namespace kev {
namespace {

Result<Value> Ask(const ControlOptions& options) {
  const bool stored = options.engine.empty() && options.access.empty();
  if (stored && !options.run.ends_with(".kevrun")) {
    const auto folder = FindRunFolder(options.run);
    if (!folder) return folder.error();
    if (IsLive(*folder)) {
      Value arguments;
      arguments.Set("run", options.run);
      arguments.Set("what", options.subject);
      auto answer = CallEngine({"", "", options.run}, "explain", std::move(arguments));
      // An engine keeps of what has ended what it still needs; the log has all of it.
      if (!answer || !(*answer)["gone"].AsBool()) return answer;
    }
  }
  if (!stored) {
    Value arguments;
    arguments.Set("run", options.run);
    arguments.Set("what", options.subject);
    return CallEngine({options.engine, options.access, options.run}, "explain",
                      std::move(arguments));
  }
  auto run = StoredRun::Open(options.run);
  if (!run) return run.error();
  Warn(**run);
  return Explain(*(*run)->core, {}, options.subject);
}

}  // namespace

int ExplainCommand(const ControlOptions& options) {
  const auto answer = Ask(options);
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
