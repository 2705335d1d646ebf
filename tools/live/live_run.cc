#include "tools/live/live_run.h"

#include <poll.h>

#include <chrono>
#include <filesystem>
#include <iostream>

#include "tools/live/engine_calls.h"
#include "tools/live/exit_code.h"
#include "tools/live/interrupts.h"
#include "tools/live/report.h"
#include "tools/live/run_archive.h"

namespace kev {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr int64_t kOrderlyStopMs = 10000;  // how long Ctrl-C waits for jobs under way
constexpr int64_t kLastAnswersMs = 2000;   // for those who follow the run to hear of its end

EngineOptions EngineOptionsOf(const LiveOptions& live) {
  EngineOptions engine;
  engine.folder.path = live.folder.path;
  engine.what = "run " + live.folder.id;
  engine.durability = live.durability;
  engine.store_url = live.store_url;
  engine.force_network_fs = live.force_network_fs;
  engine.listen = live.listen;
  engine.access_file = live.access_file;
  engine.cores = live.cores;
  engine.keep_free_bytes = live.keep_free_bytes;
  engine.projections = live.projections;
  engine.keep_ended = live.keep_ended;
  engine.snapshot_events = live.snapshot_events;
  return engine;
}

}  // namespace

int ExitCodeOfEnd(const RunCore& core) {
  if (core.ended() && core.ended()->status == "failed") return kExitTaskBroken;
  return core.best() ? kExitDone : kExitNoneStood;
}

LiveRun::LiveRun(LiveOptions options)
    : options_(std::move(options)),
      service_(EngineOptionsOf(options_)),
      progress_(std::make_unique<LiveProgress>(options_.output)) {
  service_.on_note = [this](const std::string& text) { progress_->Note(text); };
}
LiveRun::~LiveRun() = default;

std::string LiveRun::ResumeHint() const {
  return "`" + CommandName() + " resume " + options_.folder.id + "`";
}

Status LiveRun::Open() {
  if (Status s = service_.Open(); !s.ok()) return s;
  auto run = service_.Load(options_.folder);
  if (!run) return run.error();
  run_ = *run;
  run_->processes = options_.processes;
  return {};
}

LiveOutcome LiveRun::Drive(const Beginning& beginning) {
  InterruptCounter interrupts;
  const auto failed = [&](const Error& error) {
    service_.StopWorkers(milliseconds(1000));
    return LiveOutcome{kExitEnvironment, error.message, ""};
  };
  const bool fresh = run_->core->last_seq() == 0;
  if (run_->core->phase() == Phase::kEnded && beginning.events.empty())
    return Conclude();  // it was stopped between its end and its archive
  const Plan* plan = &run_->core->plan();
  for (const Event& event : beginning.events) {
    if (const auto* submitted = std::get_if<RunSubmitted>(&event); submitted && fresh)
      plan = &submitted->plan;
  }
  if (const Status s = service_.Listen(); !s.ok()) return failed(s.error());
  calls_ = std::make_unique<EngineCalls>(&service_);
  service_.on_committed = [this](ServedRun& run, const EventGroup& group) {
    progress_->Committed(group, *run.core);
    calls_->Committed(run);
  };
  service_.on_tick = [this](int64_t now_ms) {
    const Placer& placer = service_.host()->placer();
    progress_->Tick(core(), {placer.ready(), placer.out()}, run_->hosted->RunTimeMs(now_ms));
  };
  if (const Status s = service_.Drive(*run_, beginning); !s.ok()) return failed(s.error());
  // From here on the loss of the store is mended.
  progress_->Started(options_.folder.id, options_.folder.path, *plan);
  LiveOutcome outcome = Loop(interrupts);
  if (outcome.exit_code != kExitDone) {
    progress_->ClearLine();
    if (options_.output == OutputMode::kJson)
      std::cout << ToJson(DoneLine(core(), "")) << std::endl;
    return outcome;
  }
  return Conclude();
}

LiveOutcome LiveRun::Loop(const InterruptCounter& interrupts) {
  int64_t interrupted_at = -1;
  while (!run_->hosted->Ended()) {
    service_.Pump();
    calls_->Turn();
    if (on_turn) on_turn(*service_.host());
    if (run_->failure) return Failed(*run_->failure, "the store was lost: ", kExitStoreLost);
    if (service_.failure()) {
      const bool store = service_.failure()->code == Code::kConflict;
      return Failed(*service_.failure(), store ? "the store was lost: " : "",
                    store ? kExitStoreLost : kExitEnvironment);
    }
    if (interrupts.count() >= 2) return Interrupted(/*at_once=*/true);
    if (interrupts.count() == 1) {
      const int64_t now = service_.clock().NowMs();
      if (interrupted_at < 0) {
        interrupted_at = now;
        service_.Hold(true);
        service_.fleet().LetGo();
        progress_->Note("interrupted: waiting for the jobs under way (Ctrl-C again stops at once)");
      }
      const Host& host = *service_.host();
      const bool quiet = host.placer().out() == 0 && host.Settled();
      if (quiet || now - interrupted_at > kOrderlyStopMs) return Interrupted(/*at_once=*/false);
    }
  }
  return {};
}

LiveOutcome LiveRun::Failed(const Error& error, const std::string& what, int exit_code) {
  service_.StopWorkers(milliseconds(1000));
  const std::string advice =
      exit_code == kExitStoreLost
          ? ". Once that is mended, " + ResumeHint() + " goes on with what is kept"
          : ". Mend what its log says, then " + ResumeHint();
  return {exit_code, what + error.message + advice, ""};
}

LiveOutcome LiveRun::Interrupted(bool at_once) {
  service_.StopWorkers(at_once ? milliseconds(0) : milliseconds(2000));
  // What was reported before the stop is still committed.
  if (!at_once) {
    Host& host = *service_.host();
    const int64_t until = service_.clock().NowMs() + 2000;
    while (!host.Settled() && !host.store_lost() && service_.clock().NowMs() < until) {
      if (!host.Turn()) poll(nullptr, 0, 1);
    }
  }
  return {kExitInterrupted,
          "interrupted after " + std::to_string(core().candidates().size()) +
              " candidates; the state is kept: " + ResumeHint() + " goes on",
          ""};
}

LiveOutcome LiveRun::Conclude() {
  if (calls_) {
    service_.on_tick = nullptr;
    const int64_t until = service_.clock().NowMs() + kLastAnswersMs;
    while ((calls_->Busy() || !run_->hosted->Settled()) && service_.clock().NowMs() < until) {
      service_.Pump(5);
      calls_->Turn();
    }
    service_.host()->DrainWorkers();
    service_.StopWorkers(milliseconds(2000));
  }
  progress_->ClearLine();
  const RunEnded& ended = *core().ended();
  LiveOutcome outcome;
  if (options_.archive) {
    const Closing closing = ClosingOf(core(), options_.folder);
    auto store = service_.store().Blocking();
    Status saved = store ? SaveBest(**store, closing) : Status(store.error());
    if (!saved.ok())
      return {kExitEnvironment,
              "cannot save the best kernel: " + saved.error().message +
                  "; the run is kept: " + ResumeHint(),
              ""};
    outcome.source_path = closing.best_file;
    if (saved = ArchiveFrom(**store, closing); !saved.ok()) {
      return {kExitEnvironment,
              "cannot write the archive: " + saved.error().message +
                  "; the run is kept: " + ResumeHint() + " tries again",
              ""};
    }
    if (const Status s = PutStoreAway(service_.store(), options_.folder); !s.ok())
      outcome.message = s.error().message;
  }
  if (options_.output == OutputMode::kJson) {
    std::cout << ToJson(DoneLine(core(), outcome.source_path)) << std::endl;
  } else if (options_.output != OutputMode::kSilent) {
    std::cout << ClosingReport(core(), outcome.source_path, CommandName()) << std::flush;
  }
  outcome.exit_code = ExitCodeOfEnd(core());
  if (ended.status == "failed" && options_.output == OutputMode::kJson)
    outcome.message = ended.message;
  return outcome;
}

}  // namespace kev
