#include "tools/kevolve/ask_run.h"

#include <optional>

#include "tools/live/engine_client.h"

namespace kev {

Result<Value> AskRun(const ControlOptions& options, const std::string& method, Value arguments,
                     const StoredAnswer& stored) {
  const bool here = options.engine.empty() && options.access.empty();
  bool live = !here;
  if (here && !options.run.ends_with(".kevrun")) {
    const auto folder = FindRunFolder(options.run);
    if (!folder) return folder.error();
    live = IsLive(*folder);
  }
  std::optional<Error> not_told;
  if (live) {
    arguments.Set("run", options.run);
    auto answer =
        CallEngine({options.engine, options.access, options.run}, method, std::move(arguments));
    if (!here || (answer && !(*answer)["gone"].AsBool())) return answer;
    if (!answer) not_told = answer.error();
  }
  auto run = stored.open(options.run);
  if (!run) return not_told.value_or(run.error());
  if (not_told && !(*run)->core->ended()) return *not_told;
  Warn(**run);
  return stored.answer(*(*run)->core);
}

}  // namespace kev
