// LiveRun: everything that one run needs on this machine, put together and driven to its end:
// store, transport, host, stage processes, signals, progress, and the archive at the end.
//
// Threads: the caller's only (children die with it). Errors: an Outcome with an exit code and a
// message.
#ifndef KEV_TOOLS_LIVE_LIVE_RUN_H_
#define KEV_TOOLS_LIVE_LIVE_RUN_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/core/run_core.h"
#include "engine/host/host.h"
#include "queue/redis_server.h"
#include "tools/live/home.h"
#include "tools/live/machine.h"
#include "tools/live/progress.h"

namespace kev {

struct LiveOptions {
  RunFolder folder;
  Durability durability = Durability::kStrict;
  std::vector<std::string> listen;  // tcp://address:port, besides the run's own socket
  bool insecure = false;            // allow listening beyond loopback without keys
  OutputMode output = OutputMode::kText;
  CoreSplit cores;
  std::vector<StageProcess> processes;  // stage processes to start here
  uint64_t keep_free_bytes = 64ull
                             << 20;  // below this nothing new is dispatched, and the run stops
  bool archive = true;               // write run.kevrun at the end (the benchmark does not)
  bool projections = true;
};

struct LiveOutcome {
  int exit_code = 0;
  std::string message;      // for stderr; empty when all is well
  std::string source_path;  // of the best kernel, once saved
};

// What the run begins with: blobs that must be there first, then the first events. Not used by a
// resumed run.
struct Beginning {
  std::vector<std::pair<BlobRef, std::string>> blobs;
  std::vector<Event> events;
};

// Whether a run may listen there: tcp://ADDRESS:PORT, and beyond this machine only when `insecure`.
Status CheckListen(const std::vector<std::string>& endpoints, bool insecure);

class LiveRun {
 public:
  explicit LiveRun(LiveOptions options);
  ~LiveRun();
  // Opens lock and store. Fold what the store has: an empty core for a new run.
  Status Open();
  // Runs to the end, an interrupt or a failure.
  LiveOutcome Drive(const Beginning& beginning);
  const RunCore& core() const { return *core_; }
  const Host* host() const { return host_.get(); }
  // Called after each pass of the loop (benchmarks look at the host there).
  std::function<void(const Host&)> on_turn;

 private:
  struct Parts;
  Status StartParts();
  LiveOutcome Loop();
  LiveOutcome Interrupted(bool at_once);
  bool WatchChildren(LiveOutcome* outcome);
  bool WatchDisk(LiveOutcome* outcome);
  // A stage process of ours that lost its session is ended, so that WatchChildren starts another.
  void ReplaceSilent(const Hello& hello);
  LiveOutcome Conclude();
  Status WriteArchive();
  Result<std::string> SaveBest();

  LiveOptions options_;
  std::unique_ptr<RunCore> core_;
  std::unique_ptr<Parts> parts_;
  std::unique_ptr<Host> host_;
  HostedRun* run_ = nullptr;
  std::unique_ptr<LiveProgress> progress_;
  uint64_t epoch_ = 0;
};

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_LIVE_RUN_H_
