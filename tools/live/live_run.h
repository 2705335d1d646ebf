// LiveRun: one run, driven on this machine to its end by an engine of its own, with progress shown,
// signals heeded, and the archive at the end.
//
// Threads: the caller's only, the main one (children die with it). Errors: an Outcome with an exit
// code and a message.
#ifndef KEV_TOOLS_LIVE_LIVE_RUN_H_
#define KEV_TOOLS_LIVE_LIVE_RUN_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/core/run_core.h"
#include "engine/host/host.h"
#include "queue/redis_server.h"
#include "tools/live/engine_service.h"
#include "tools/live/home.h"
#include "tools/live/listen.h"
#include "tools/live/machine.h"
#include "tools/live/progress.h"

namespace kev {

struct LiveOptions {
  RunFolder folder;
  Durability durability = Durability::kStrict;
  std::string store_url;  // empty: a redis-server of its own
  bool force_network_fs = false;
  std::vector<std::string> listen;  // tcp://address:port, besides the run's own socket
  std::string access_file;          // keys for tcp; empty: none
  OutputMode output = OutputMode::kText;
  CoreSplit cores;
  std::vector<StageProcess> processes;     // stage processes to start here
  uint64_t keep_free_bytes = 64ull << 20;  // with less on the disk nothing new is given out
  bool archive = true;                     // write run.kevrun at the end (the benchmark does not)
  bool projections = true;
  bool keep_ended = false;           // all of what has ended stays in memory (EngineOptions)
  uint64_t snapshot_events = 50000;  // at least, between snapshots; unused with keep_ended
};

struct LiveOutcome {
  int exit_code = 0;
  std::string message;      // for stderr; empty when all is well
  std::string source_path;  // of the best kernel, once saved
};

class EngineCalls;
class InterruptCounter;

class LiveRun {
 public:
  explicit LiveRun(LiveOptions options);
  ~LiveRun();
  // Opens lock and store. Fold what the store has: an empty core for a new run.
  Status Open();
  // Runs to the end, an interrupt or a failure. Of a run that the store has, the events of the
  // beginning come after what is logged.
  LiveOutcome Drive(const Beginning& beginning);
  const RunCore& core() const { return *run_->core; }
  const Host* host() const { return service_.host(); }
  // Called after each pass of the loop (benchmarks look at the host there).
  std::function<void(const Host&)> on_turn;

 private:
  LiveOutcome Loop(const InterruptCounter& interrupts);
  LiveOutcome Interrupted(bool at_once);
  LiveOutcome Failed(const Error& error, const std::string& what, int exit_code);
  LiveOutcome Conclude();
  std::string ResumeHint() const;

  LiveOptions options_;
  EngineService service_;
  std::unique_ptr<EngineCalls> calls_;
  ServedRun* run_ = nullptr;
  std::unique_ptr<LiveProgress> progress_;
};

// The exit code of a run that has ended, as its core says.
int ExitCodeOfEnd(const RunCore& core);

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_LIVE_RUN_H_
