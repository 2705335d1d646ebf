// kevolve explain: why a run, a candidate, a job or a step waits, was skipped or refused.
#include <iostream>
#include <optional>

#include "tools/kevolve/commands.h"
#include "tools/live/engine_client.h"
#include "tools/live/exit_code.h"
#include "tools/live/explain.h"
#include "tools/live/stored_run.h"

namespace kev {
namespace {

Result<Value> AskEngine(const ControlOptions& options, const EngineAddress& engine) {
  Value arguments;
  arguments.Set("run", options.run);
  arguments.Set("what", options.subject);
  return CallEngine(engine, "explain", std::move(arguments));
}

Result<Value> Ask(const ControlOptions& options) {
  if (!options.engine.empty() || !options.access.empty())
    return AskEngine(options, {options.engine, options.access, options.run});
  std::optional<Error> not_told;
  if (!options.run.ends_with(".kevrun")) {
    const auto folder = FindRunFolder(options.run);
    if (!folder) return folder.error();
    if (IsLive(*folder)) {
      auto answer = AskEngine(options, {"", "", options.run});
      // An engine keeps of what has ended what it still needs; the log has all of it. Of a run that
      // has just ended it has let go.
      if (answer && !(*answer)["gone"].AsBool()) return answer;
      if (!answer) not_told = answer.error();
    }
  }
  auto run = StoredRun::Open(options.run);
  if (!run) return not_told.value_or(run.error());
  if (not_told && !(*run)->core->ended()) return *not_told;
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
