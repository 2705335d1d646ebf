// kevolve replay: folds the log again, without workers, and checks that every decision is the
// recorded one.
#include <iostream>

#include "tools/kevolve/commands.h"
#include "tools/live/exit_code.h"
#include "tools/live/stored_run.h"

namespace kev {
namespace {

// The group that differs, in words: what it holds, and what this core derives from it.
void Explain(const EventGroup& group, const std::vector<Command>& commands, const RunCore& core) {
  std::cerr << "  events of the group:\n";
  uint64_t seq = group.first_seq;
  for (const Event& event : group.events)
    std::cerr << "    " << seq++ << "  " << Summary(event, &core.plan()) << "\n";
  std::cerr << "  recorded digest " << group.digest.Hex() << "; derived now:\n";
  for (const Command& command : commands) {
    if (const auto* start = std::get_if<StartAttempt>(&command)) {
      std::cerr << "    start " << core.Label(start->key, start->attempt) << "\n";
    } else if (const auto* cancel = std::get_if<CancelAttempt>(&command)) {
      std::cerr << "    cancel " << core.Label(cancel->key, cancel->attempt) << "\n";
    } else {
      const auto& ended = std::get<RunEnded>(command);
      std::cerr << "    end " << ended.status << ", stopped by " << ended.stopped_by << "\n";
    }
  }
}

}  // namespace

int ReplayCommand(const LookOptions& options) {
  auto opened = StoredRun::Open(options.run);
  if (!opened) return Complain(opened.error());
  Warn(**opened);
  const StoredRun& run = **opened;
  RunCore core(run.id);
  uint64_t commands_derived = 0;
  for (const EventGroup& group : run.groups) {
    for (const Event& event : group.events) {
      const auto* epoch = std::get_if<EpochBegun>(&event);
      if (epoch != nullptr && epoch->decision_version != kDecisionVersion) {
        std::cerr << "kevolve: run " << run.id << " was continued by decision version "
                  << epoch->decision_version << "; this build has version " << kDecisionVersion
                  << ": a difference below may come from that" << std::endl;
      }
    }
    const std::vector<Command> commands = core.Apply(group);
    commands_derived += commands.size();
    const Digest128 digest = RunCore::DigestCommands(commands);
    if (digest == group.digest) continue;
    if (options.json) {
      Value v;
      v.Set("event", "replay");
      v.Set("run", run.id);
      v.Set("same", false);
      v.Set("first_difference", group.first_seq);
      v.Set("last_of_group", group.last_seq());
      v.Set("recorded", group.digest.Hex());
      v.Set("derived", digest.Hex());
      std::cout << ToJson(v) << std::endl;
    }
    std::cerr << "kevolve: replay of " << run.id << " differs first at event " << group.first_seq
              << (group.events.size() > 1 ? " to " + std::to_string(group.last_seq()) : "") << "\n";
    Explain(group, commands, core);
    return kExitDiffers;
  }
  if (options.json) {
    Value v;
    v.Set("event", "replay");
    v.Set("run", run.id);
    v.Set("same", true);
    v.Set("groups", static_cast<int64_t>(run.groups.size()));
    v.Set("events", core.last_seq());
    v.Set("commands", commands_derived);
    std::cout << ToJson(v) << std::endl;
  } else {
    std::cout << "replay of " << run.id << ": " << run.groups.size() << " groups, "
              << core.last_seq() << " events, " << commands_derived
              << " commands: every decision is the recorded one\n";
  }
  return kExitDone;
}

}  // namespace kev
