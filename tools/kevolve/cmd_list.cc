// kevolve list: the runs in $KEVOLVE_HOME, newest last.
#include <cstdio>
#include <iostream>

#include "tools/kevolve/commands.h"
#include "tools/live/exit_code.h"
#include "tools/live/home.h"
#include "tools/live/run_summary.h"

namespace kev {
int ListCommand(const LookOptions& options) {
  if (const Status s = CheckHome(); !s.ok()) return Complain(s.error());
  const std::vector<std::string> ids = RunIds();
  if (ids.empty() && !options.json) std::cout << "no runs in " << RunsFolder() << "\n";
  for (const std::string& id : ids) {
    auto summary = SummaryOf(id);
    Value v;
    if (summary) {
      v = std::move(*summary);
    } else {
      v.Set("run", id);
      v.Set("state", "unreadable");
      v.Set("message", summary.error().message);
    }
    if (options.json) {
      std::cout << ToJson(v) << "\n";
      continue;
    }
    char line[256];
    if (v.Has("message")) {
      std::snprintf(line, sizeof line, "%-36s unreadable: ", id.c_str());
      std::cout << line << v["message"].AsString() << "\n";
      continue;
    }
    const std::string speedup =
        v.Has("speedup") ? std::to_string(v["speedup"].AsDouble()).substr(0, 5) + "x" : "-";
    std::snprintf(line, sizeof line,
                  "%-36s %-12s %-10s %5lld candidates %5lld evaluated  best %s\n", id.c_str(),
                  v["state"].AsString().c_str(), v["task"].AsString().c_str(),
                  static_cast<long long>(v["candidates"].AsInt()),
                  static_cast<long long>(v["evaluated"].AsInt()), speedup.c_str());
    std::cout << line;
  }
  return kExitDone;
}

}  // namespace kev
