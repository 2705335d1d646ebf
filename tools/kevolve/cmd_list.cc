// kevolve list: the runs in $KEVOLVE_HOME, newest last.
#include <cstdio>
#include <iostream>

#include "tools/kevolve/commands.h"
#include "tools/live/exit_code.h"
#include "tools/live/home.h"
#include "tools/live/report.h"
#include "tools/live/stored_run.h"

namespace kev {
namespace {

const char* Name(StoredRun::State state) {
  return state == StoredRun::State::kEnded  ? "ended"
         : state == StoredRun::State::kLive ? "live"
                                            : "interrupted";
}

}  // namespace

int ListCommand(const LookOptions& options) {
  if (const Status s = CheckHome(); !s.ok()) return Complain(s.error());
  const std::vector<std::string> ids = RunIds();
  if (ids.empty() && !options.json) std::cout << "no runs in " << RunsFolder() << "\n";
  for (const std::string& id : ids) {
    auto run = StoredRun::Open(id);
    Value v;
    v.Set("run", id);
    if (!run) {
      v.Set("state", "unreadable");
      v.Set("message", run.error().message);
    } else {
      const RunCore& core = *(*run)->core;
      v.Set("state", core.ended() ? core.ended()->status : std::string(Name((*run)->state)));
      if (!core.ended() && core.paused()) {
        v.Set("paused", true);
        if ((*run)->state == StoredRun::State::kLive) v.Set("state", "paused");
      }
      v.Set("task", core.plan().task);
      v.Set("workflow", core.plan().workflow);
      v.Set("candidates", static_cast<int64_t>(core.candidates().size()));
      v.Set("evaluated", core.evaluated());
      v.Set("started", core.about()["started"]);
      const Value& facts = WinningFacts(core);
      if (!facts.IsNull()) v.Set("speedup", facts["speedup"]);
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
