// WorkerSession: a worker's side of the queue. Its I/O thread owns the DEALER socket, answers
// heartbeats, resends results until they are acknowledged, and reconnects with its inventory when
// the engine comes back.
//
// Threads: all functions may be called from any thread. Errors: kUnavailable when the engine has
// been silent for longer than `engine_lost_grace`, kPermission when it refuses this worker or its
// key. The rules are those of queue/worker_protocol.h, which needs no thread and no socket.
#ifndef KEV_QUEUE_WORKER_SESSION_H_
#define KEV_QUEUE_WORKER_SESSION_H_

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/event.h"
#include "engine/core/job.h"
#include "engine/core/result.h"

namespace kev {

// An attempt whose result the engine has answered.
struct SettledAttempt {
  std::string run;
  JobKey key;
  uint32_t attempt = 0;
  bool committed = false;  // else stale: the result did not count
};

struct WorkerSessionOptions {
  std::string endpoint;     // empty: those of the access file, in turn
  std::string access_file;  // keys for tcp (queue/access.h); empty: none
  std::string program;
  std::vector<std::string> stages;
  uint32_t slots = 1;
  std::chrono::milliseconds engine_lost_grace{30000};
  std::map<std::string, uint32_t> resources;  // what this worker has: device: 1
  std::map<std::string, std::string> labels;  // what it is: gpu.model: H100
  std::chrono::milliseconds expires_in{0};    // until its allocation ends; 0: it does not
  // Attempts taken beyond `slots`, at most 256; empty: by job time and round trip.
  std::optional<uint32_t> prefetch;
  // Called on the I/O thread for each result that the engine has answered, in its order. Must not
  // call the session.
  std::function<void(const SettledAttempt&)> on_settled;
};

struct WorkItem {
  Job job;
  std::shared_ptr<std::atomic<bool>> cancelled;  // set when the engine cancels the attempt
  std::shared_ptr<std::atomic<bool>> kill;  // set when the grace for that is over: end what it runs
  uint64_t job_digest = 0;                  // as the engine said it (queue/PROTOCOL.md)
};

class WorkerSession {
 public:
  virtual ~WorkerSession() = default;
  // Waits for the next job. nullopt: the session is over (drained, or the engine is gone), see
  // Ending().
  virtual std::optional<WorkItem> Next() = 0;
  // Reports a result with the blobs it names; returns at once, the session delivers it.
  virtual void Finish(const WorkItem& item, JobResult result,
                      std::vector<std::pair<BlobRef, std::string>> blobs) = 0;
  // Tells the engine that the job goes on. `fraction` done so far, 0 to 1, < 0: not known; `note`
  // is for people. Only the newest is sent.
  virtual void Progress(const Job& job, double fraction, const std::string& note) = 0;
  virtual Result<std::string> FetchBlob(const BlobRef& ref) = 0;
  virtual Result<std::vector<EventGroup>> FetchHistory(const std::string& run, uint64_t from,
                                                       uint64_t to) = 0;
  // Hands back what has not begun, finishes what is under way, says BYE with `reason`, ends.
  // Callable from a signal-watching thread.
  virtual void Drain(const std::string& reason = "it was told to stop") = 0;
  virtual Status Ending() const = 0;  // why Next gave nullopt
  // Waits until the session is over: after Drain, until all results are acknowledged and BYE is
  // answered.
  virtual Status WaitEnd() = 0;
  static Result<std::unique_ptr<WorkerSession>> Open(const WorkerSessionOptions& options);
};

}  // namespace kev

#endif  // KEV_QUEUE_WORKER_SESSION_H_
