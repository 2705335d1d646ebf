// kevolve resume: goes on with a run: a paused one, one that was interrupted, or, with more budget,
// one that has ended. What was committed is not done again.
#include <poll.h>

#include <filesystem>
#include <iostream>
#include <optional>

#include "tools/kevolve/commands.h"
#include "tools/kevolve/drive.h"
#include "tools/kevolve/signal_run.h"
#include "tools/live/budget_text.h"
#include "tools/live/engine_client.h"
#include "tools/live/engine_folder.h"
#include "tools/live/exit_code.h"
#include "tools/live/explain.h"
#include "tools/live/folder_lock.h"
#include "tools/live/reopen.h"
#include "tools/live/stored_run.h"

namespace kev {
namespace {

constexpr int kLookAgainMs = 100;
constexpr int kLetsGoMs = 5000;  // until the engine of a run that has just ended has let it go

// A live run: a paused one goes on, with its new budget; anything else is another engine's.
// nullopt: it is not live any more, or its engine does not answer yet.
std::optional<int> ResumeLive(const RunOptions& options, Value limits) {
  ControlOptions control;
  control.engine = options.engine;
  control.access = options.engine.empty() ? "" : options.access;
  control.run = options.run;
  control.json = options.json;
  Value arguments;
  arguments.Set("run", options.run);
  const auto status =
      CallEngine({control.engine, control.access, options.run}, "status", std::move(arguments));
  if (!status) {
    const Code code = status.error().code;
    const bool later = code == Code::kNotFound || code == Code::kUnavailable;
    if (later && options.engine.empty()) return std::nullopt;
    return Complain(status.error());
  }
  if (AsksOfOwnEngine(options)) {
    return Complain({Code::kInvalid, "run " + options.run +
                                         " is live: its engine was told its store, durability and "
                                         "addresses already; leave --store, --durability, "
                                         "--listen, --insecure and --force-network-fs away"});
  }
  if (!options.retry.empty()) {
    return Complain({Code::kInvalid, "run " + options.run + " is live: `" + CommandName() +
                                         " dlq retry " + options.run + " " + options.retry.front() +
                                         "` tries the job again"});
  }
  if ((*status)["paused"].AsBool()) {
    if (!limits.IsNull()) {
      const int told = SignalRun(control, "budget", std::move(limits),
                                 "run " + options.run + " has a new budget");
      if (told != kExitDone) return told;
    }
    return SignalRun(control, "resume", Value(), "run " + options.run + " goes on");
  }
  const auto folder = FindRunFolder(options.run);
  return Complain(
      {Code::kExists, "run " + options.run + " is being driven by another engine" +
                          (folder ? " (" + FolderLock::Holder(folder->path) + ")" : "") +
                          " and is not paused; nothing was done. `" + CommandName() + " attach " +
                          options.run + "` follows it, `" + CommandName() +
                          " budget` changes its limits"});
}

// A run that has just ended is let go by its engine a moment later; one that was just taken up is
// answered for a moment later.
int ResumeLiveOrEnded(const RunOptions& options, const RunFolder& folder, const Value& limits) {
  for (int waited_ms = 0; waited_ms < kLetsGoMs; waited_ms += kLookAgainMs) {
    if (const auto done = ResumeLive(options, limits)) return *done;
    poll(nullptr, 0, kLookAgainMs);
    if (!IsLive(folder)) return ResumeCommand(options);
  }
  return Complain({Code::kExists, "run " + options.run + " is in the hands of an engine (" +
                                      FolderLock::Holder(folder.path) +
                                      ") that begins or ends and does not answer; nothing was "
                                      "done. Try again in a moment"});
}

// An ended run goes on only when the new limits let it: else all that came of it would be another
// claim.
Status CheckGoesOn(const StoredRun& run, const Value& limits) {
  RunCore::Options options;
  options.keep_ended = false;
  auto core = RunCore::FromSnapshot(run.core->Snapshot(), options);
  if (!core) return core.error();
  const std::string stopped_by = (*core)->ended()->stopped_by;
  const uint64_t seq = (*core)->last_seq() + 1;
  const int64_t then = (*core)->run_time_ms();
  (*core)->Apply({seq, then, {Signal{Signal::Kind::kBudget, limits}}, {}});
  if ((*core)->phase() == Phase::kSearching) return {};
  const std::string again = (*core)->stopped_by().empty() ? stopped_by : (*core)->stopped_by();
  return Error{Code::kInvalid, "run " + run.id + " has ended, stopped by " + stopped_by +
                                   ", and with these limits it would end again at once (" + again +
                                   "); nothing was done. `" + CommandName() + " show " + run.id +
                                   "` says what it has used: give it more than that"};
}

// A run that was imported from a cut file.
Error NotWhole(Error error) {
  if (error.code == Code::kNotFound)
    error.message +=
        ": the run is not whole (was the file that it was imported from?), so it can be read, not "
        "resumed. A whole file of it can be imported after `" +
        CommandName() + " rm`";
  return error;
}

}  // namespace

int ResumeCommand(const RunOptions& options) {
  Value limits;
  if (!options.overrides.budget.empty()) {
    Result<Value> read = BudgetFrom(options.overrides.budget);
    if (!read) return Complain(read.error());
    limits = std::move(*read);
  }
  if (!options.engine.empty()) return *ResumeLive(options, std::move(limits));
  const auto folder = FindRunFolder(options.run);
  if (!folder) return Complain(folder.error());
  if (IsLive(*folder)) return ResumeLiveOrEnded(options, *folder, limits);
  // Read once to learn what it runs on; LiveRun then opens it for writing.
  std::string cores;
  Plan plan;
  Beginning beginning;
  {
    auto stored = StoredRun::OpenLean(options.run);
    if (!stored) return Complain(stored.error());
    StoredRun& run = **stored;
    if (run.state == StoredRun::State::kLive) return ResumeLiveOrEnded(options, *folder, limits);
    const RunCore& core = *run.core;
    if (core.phase() == Phase::kNew) {
      return Complain(
          {Code::kNotFound,
           "run " + options.run +
               " was stopped before anything was committed: start it again with `kevolve run`"});
    }
    const bool archived = run.store_address.empty();
    const bool more = !limits.IsNull() || !options.retry.empty();
    if (archived && core.phase() == Phase::kEnded && !more) {
      std::cerr << "kevolve: run " << options.run << " has ended; `kevolve show " << options.run
                << "` shows it, `kevolve resume " << options.run
                << " --candidates N` goes on with a larger budget" << std::endl;
      return kExitBadInput;
    }
    if (core.ended() && core.ended()->status != "done" && more) {
      return Complain({Code::kInvalid, "run " + options.run + " has ended (" +
                                           core.ended()->status +
                                           ") and cannot go on; start a new one with `kevolve "
                                           "run`"});
    }
    if (core.ended() && options.retry.empty() && !limits.IsNull()) {
      if (Status s = CheckGoesOn(run, limits); !s.ok()) return Complain(s.error());
    }
    for (const std::string& job : options.retry) {
      if (Status s = CheckDeadLetter(core, job); !s.ok()) return Complain(s.error());
    }
    const auto engine = EngineOf(*folder);
    if (!archived && engine && engine->path != folder->path) {
      return Complain({Code::kExists, "run " + options.run + " belongs to the engine in " +
                                          engine->path + ", which takes it up by itself: start `" +
                                          CommandName() + " engine`"});
    }
    plan = core.plan();
    auto bundle = run.Blob(plan.context.sha256);
    if (!bundle) return Complain(NotWhole(bundle.error()));
    auto target = TargetCoresOf(*bundle);
    if (!target) return Complain(target.error());
    cores = *target;
    if (core.paused()) beginning.events.push_back(Signal{Signal::Kind::kResume, Value()});
    if (!limits.IsNull()) beginning.events.push_back(Signal{Signal::Kind::kBudget, limits});
    for (const std::string& job : options.retry) {
      Value data;
      data.Set("job", job);
      beginning.events.push_back(Signal{Signal::Kind::kRetryDead, std::move(data)});
    }
    if (archived) {
      Warn(run);
      if (Status s = Reopen(run, *folder); !s.ok()) return Complain(NotWhole(s.error()));
    }
  }
  LiveOptions live;
  const int refused = PrepareLive(options, plan, cores, &live);
  if (refused != kExitDone) return refused;
  live.folder = *folder;
  // What has left the store stays in its files.
  std::error_code none;
  if (std::filesystem::exists(folder->Log(), none)) live.keep_ended = false;
  const std::string store = StoreAddress(EngineFolder{folder->path});
  if (live.store_url.empty() && !store.starts_with("unix:" + folder->path)) live.store_url = store;
  return DriveToEnd(std::move(live), beginning, /*fresh=*/false);
}

}  // namespace kev
