// WorkerSession: a worker's side of the queue. Its I/O thread owns the DEALER socket, answers
// heartbeats, resends results until they are acknowledged, and reconnects with its inventory when
// the engine comes back.
//
// Threads: Next, Finish, FetchBlob and FetchHistory may be called from any thread. Errors:
// kUnavailable when the engine has been silent for longer than `engine_lost_grace`.
#ifndef KEV_QUEUE_WORKER_SESSION_H_
#define KEV_QUEUE_WORKER_SESSION_H_

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/event.h"
#include "engine/core/job.h"
#include "engine/core/result.h"

namespace kev {

struct WorkerSessionOptions {
  std::string endpoint;
  std::string program;
  std::vector<std::string> stages;
  uint32_t slots = 1;
  std::chrono::milliseconds engine_lost_grace{30000};
};

struct WorkItem {
  Job job;
  std::shared_ptr<std::atomic<bool>> cancelled;  // set when the engine cancels the attempt
};

class WorkerSession {
 public:
  virtual ~WorkerSession() = default;
  // Waits for the next job. nullopt: the session is over (drained, or the engine is gone), see
  // Ending().
  virtual std::optional<WorkItem> Next() = 0;
  // Reports a result with the blobs it names; returns at once, the session delivers it.
  virtual void Finish(const Job& job, JobResult result,
                      std::vector<std::pair<BlobRef, std::string>> blobs) = 0;
  virtual Result<std::string> FetchBlob(const BlobRef& ref) = 0;
  virtual Result<std::vector<EventGroup>> FetchHistory(const std::string& run, uint64_t from,
                                                       uint64_t to) = 0;
  // Finishes what is under way, says BYE, ends. Callable from a signal-watching thread.
  virtual void Drain() = 0;
  virtual Status Ending() const = 0;  // why Next gave nullopt
  // Waits until the session is over: after Drain, until all results are acknowledged and BYE is
  // answered.
  virtual Status WaitEnd() = 0;
  static Result<std::unique_ptr<WorkerSession>> Open(const WorkerSessionOptions& options);
};

}  // namespace kev

#endif  // KEV_QUEUE_WORKER_SESSION_H_
