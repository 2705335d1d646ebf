// kevolve workers: who is connected to an engine, and what they do.
#include <cstdio>
#include <iostream>

#include "tools/kevolve/commands.h"
#include "tools/live/engine_client.h"
#include "tools/live/exit_code.h"

namespace kev {

int WorkersCommand(const ControlOptions& options) {
  const auto answer = CallEngine({options.engine, options.access, options.run}, "workers", Value());
  if (!answer) return Complain(answer.error());
  if (!options.json && answer->AsList().empty()) std::cout << "no worker is connected\n";
  for (const Value& w : answer->AsList()) {
    if (options.json) {
      std::cout << ToJson(w) << "\n";
      continue;
    }
    char line[256];
    std::snprintf(line, sizeof line, "%-24s %-10s %3lld slots, %3lld at work, %6lld done",
                  w["worker"].AsString().c_str(), w["program"].AsString().c_str(),
                  static_cast<long long>(w["slots"].AsInt()),
                  static_cast<long long>(w["taken"].AsInt()),
                  static_cast<long long>(w["finished"].AsInt()));
    std::cout << line;
    for (const char* key : {"labels", "resources"}) {
      for (const auto& [name, value] : w[key].AsMap())
        std::cout << "  " << name << "=" << (value.IsString() ? value.AsString() : ToJson(value));
    }
    std::cout << (w["draining"].AsBool() ? "  leaving" : "")
              << (w["own"].AsBool() ? "" : "  from outside") << "\n";
  }
  return kExitDone;
}

}  // namespace kev
