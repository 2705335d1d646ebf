// The stage SDK: what a stage program implements, and the main that runs it.
//
// A stage program builds its handlers and calls RunStage, which parses the worker's arguments,
// opens the session with the engine, runs up to `slots` jobs at a time on threads of its own, and
// leaves when told to or when the engine is gone. Threads: Handle is called on one thread per slot,
// for different jobs at the same time. Errors: a JobResult with `failure` set when something other
// than the kernel failed.
#ifndef KEV_STAGES_SDK_STAGE_H_
#define KEV_STAGES_SDK_STAGE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "configs/load.h"
#include "engine/core/job.h"
#include "engine/core/run_core.h"

namespace kev {

// What a handler may ask of its surroundings while it does one job.
class StageContext {
 public:
  virtual ~StageContext() = default;
  // Blob by content; from the worker's own cache, else from the engine.
  virtual Result<std::string> Fetch(const BlobRef& ref) = 0;
  // Names `bytes` by content and sends them along with this job's result.
  virtual BlobRef Attach(std::string bytes) = 0;
  // The run's workflow, task and targets (loaded once per run).
  virtual Result<std::shared_ptr<const LoadedRun>> Run() = 0;
  // Stateful stages: the run folded up to job.history_seq. Valid until the handler returns.
  virtual Result<const RunCore*> History() = 0;
  // Folder for this attempt, empty at the start, removed afterwards.
  virtual const std::string& Scratch() = 0;
  // $KEVOLVE_HOME/cache/<stage>: kept between runs; write by rename.
  virtual const std::string& CacheFolder() = 0;
  // Set when the attempt was cancelled: come back soon, the result will not count.
  virtual const std::atomic<bool>& Cancelled() const = 0;
  // Set when the grace after that is over: end by force what was started.
  virtual const std::atomic<bool>& Killed() const { return Cancelled(); }
  // Tells the engine that the job goes on. `fraction` done so far, 0 to 1, < 0: not known; `note`
  // is for people.
  virtual void Progress(double fraction, const std::string& note) {
    (void)fraction;
    (void)note;
  }
};

using StageHandler = std::function<JobResult(const Job&, StageContext&)>;

struct SettledAttempt;  // queue/worker_session.h

struct StageProgram {
  std::string program;  // "compile": what --stage of `kevolve worker` names
  // Handler for a stage name ("propose/tune"); nullptr when this program does not do it.
  std::function<StageHandler(std::string_view stage)> handler;
  // Whether History keeps candidates that have ended in full. A policy that looks back needs them;
  // one that does not saves the memory of a long run.
  bool keep_ended = true;
  // WorkerSessionOptions::on_settled
  std::function<void(const SettledAttempt&)> on_settled = nullptr;
};

// Runs the stage process; returns its exit status. Arguments: --connect ENDPOINT --slots N [--cores
// LIST] …
int RunStage(int argc, char** argv, const StageProgram& program);

}  // namespace kev

#endif  // KEV_STAGES_SDK_STAGE_H_
