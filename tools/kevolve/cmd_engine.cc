// kevolve engine: drives many runs as a service, until it is told to stop.
#include <poll.h>

#include <filesystem>
#include <iostream>

#include "configs/units.h"
#include "tools/kevolve/commands.h"
#include "tools/kevolve/drive.h"
#include "tools/live/exit_code.h"
#include "tools/live/interrupts.h"
#include "tools/live/run_service.h"

namespace kev {
namespace {

constexpr int64_t kOrderlyStopMs = 10000;
constexpr int kStandbyLookMs = 200;

// Lines of the service: text for people, JSON for programs.
class Lines {
 public:
  explicit Lines(bool json) : json_(json) {}
  void Note(const std::string& text) const {
    if (!json_) {
      std::cout << text << std::endl;
      return;
    }
    Value v;
    v.Set("event", "note");
    v.Set("text", text);
    Emit(v);
  }
  void Started(const EngineService& service, const std::string& name) const {
    if (!json_) {
      Note("engine " + name + " is ready at " + service.options().folder.Socket());
      return;
    }
    Value v;
    v.Set("event", "engine");
    v.Set("name", name);
    v.Set("folder", service.options().folder.path);
    Value::List endpoints;
    for (const std::string& endpoint : service.endpoints()) endpoints.emplace_back(endpoint);
    v.Set("endpoints", std::move(endpoints));
    Emit(v);
  }

 private:
  static void Emit(const Value& v) { std::cout << ToJson(v) << std::endl; }
  bool json_;
};

// True once the lock is ours; false when it was interrupted.
Result<bool> StandBy(EngineService& service, const InterruptCounter& interrupts,
                     const Lines& lines) {
  for (std::string told;;) {
    const Status taken = service.TakeLock();
    if (taken.ok()) {
      if (!told.empty()) lines.Note("the engine before has gone; taking over");
      return true;
    }
    if (taken.error().code != Code::kExists) return taken.error();
    // Another one that stands by may have been quicker.
    if (taken.error().message != told) {
      told = taken.error().message;
      lines.Note("standing by: " + told);
    }
    if (interrupts.count() > 0) return false;
    poll(nullptr, 0, kStandbyLookMs);
  }
}

int Serve(EngineService& service, RunService& runs, EngineCalls& calls,
          const InterruptCounter& interrupts, const Lines& lines) {
  int64_t interrupted_at = -1;
  for (;;) {
    service.Pump();
    calls.Turn();
    const int64_t now = service.clock().NowMs();
    if (service.failure()) {
      service.StopWorkers(std::chrono::milliseconds(1000));
      std::cerr << "kevolve: " << service.failure()->message << std::endl;
      return ExitCodeOf(*service.failure());
    }
    if (interrupts.count() == 0) {
      runs.Turn(now);
      continue;
    }
    if (interrupted_at < 0) {
      interrupted_at = now;
      service.Hold(true);
      service.fleet().LetGo();
      lines.Note("told to stop: waiting for the jobs under way (once more stops at once)");
    }
    const Host& host = *service.host();
    const bool quiet = host.placer().out() == 0 && host.Settled();
    if (quiet || interrupts.count() > 1 || now - interrupted_at > kOrderlyStopMs) {
      service.StopWorkers(std::chrono::milliseconds(interrupts.count() > 1 ? 0 : 2000));
      for (int i = 0; i < 100 && !host.Settled() && !host.store_lost(); ++i) service.Pump(10);
      lines.Note("stopped; " + std::to_string(service.runs().size() + runs.Untaken()) +
                 " unfinished run(s) are kept and go on with the next engine");
      return kExitDone;
    }
  }
}

}  // namespace

int EngineCommand(const EngineCommandOptions& options) {
  const auto folder = MakeEngineFolder(options.name);
  if (!folder) return Complain(folder.error());
  RunOptions common = options.common;
  // A service that others reach asks for keys, unless that was declined in words.
  if (common.access.empty() && !common.listen.empty() && !common.insecure)
    common.access = folder->Access();
  LiveOptions live;
  if (const int refused = PrepareLive(common, {}, "last", &live); refused != kExitDone)
    return refused;
  EngineOptions engine;
  engine.folder = *folder;
  engine.what = "engine " + options.name;
  engine.durability = live.durability;
  engine.store_url = live.store_url;
  engine.force_network_fs = live.force_network_fs;
  engine.listen = live.listen;
  engine.access_file = live.access_file;
  engine.cores = live.cores;
  engine.keep_free_bytes = live.keep_free_bytes;
  engine.start_workers = options.workers == "auto";
  engine.snapshot_events = options.snapshot_every;

  const Lines lines(options.common.json);
  InterruptCounter interrupts;
  EngineService service(std::move(engine));
  service.on_note = [&](const std::string& text) { lines.Note(text); };
  if (options.standby) {
    const Result<bool> ours = StandBy(service, interrupts, lines);
    if (!ours) return Complain(ours.error());
    if (!*ours) return kExitInterrupted;
  }
  Status status = service.Open();
  if (status.ok()) status = service.Listen();
  if (!status.ok()) return Complain(status.error());
  EngineCalls calls(&service);
  RunService runs(&service, &calls);
  service.on_committed = [&](ServedRun& run, const EventGroup&) {
    calls.Committed(run);
    runs.Committed(run);
  };
  runs.TakeUpUnfinished();
  lines.Started(service, options.name);
  const int exit_code = Serve(service, runs, calls, interrupts, lines);
  (void)service.Close();
  return exit_code;
}

}  // namespace kev
