// kevolve log: the event log, an event a line.
#include <cstdio>
#include <iostream>

#include "tools/kevolve/commands.h"
#include "tools/live/exit_code.h"
#include "tools/live/stored_run.h"

namespace kev {

int LogCommand(const LookOptions& options) {
  auto opened = StoredRun::Open(options.run);
  if (!opened) return Complain(opened.error());
  Warn(**opened);
  const RunCore& core = *(*opened)->core;
  for (const EventGroup& group : (*opened)->groups) {
    uint64_t seq = group.first_seq;
    for (const Event& event : group.events) {
      if (options.json) {
        Value v = ToValue(event);
        v.Set("seq", seq);
        v.Set("ms", group.run_time_ms);
        v.Set("group", group.last_seq());
        v.Set("digest", group.digest.Hex());
        std::cout << ToJson(v) << "\n";
      } else {
        char head[48];
        std::snprintf(head, sizeof head, "%7llu %9.3f s  ", static_cast<unsigned long long>(seq),
                      static_cast<double>(group.run_time_ms) / 1e3);
        std::cout << head << Summary(event, &core.plan());
        if (const auto* report = std::get_if<JobReported>(&event)) {
          const std::string& message =
              report->result.failure ? report->result.failure->message : report->result.message;
          if (!message.empty()) std::cout << "  -- " << message;
        }
        std::cout << "\n";
      }
      ++seq;
    }
  }
  return kExitDone;
}

}  // namespace kev
