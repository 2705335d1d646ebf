// WorkerInventory: the attempts that a worker holds, and what has become of each: queued, running,
// or finished and not yet acknowledged. Says what to tell the engine; sends nothing itself.
//
// Threads: none of its own; WorkerSession calls it under its lock. Errors: none, unknown attempts
// are ignored.
#ifndef KEV_QUEUE_WORKER_INVENTORY_H_
#define KEV_QUEUE_WORKER_INVENTORY_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/core/job.h"
#include "engine/host/transport.h"

namespace kev {

struct FinishedAttempt {
  InFlight id;
  std::string result;  // canonical bytes of the JobResult
  std::vector<std::pair<BlobRef, std::string>> blobs;
};

class WorkerInventory {
 public:
  using Flag = std::shared_ptr<std::atomic<bool>>;
  struct Begun {
    InFlight id;
    std::string payload;
    Flag cancelled;
  };

  // Queues an attempt; false when it is held already (it came twice).
  bool Add(InFlight id, std::string payload);
  // Takes the oldest queued attempt and counts it as running.
  std::optional<Begun> Begin();
  // False when the attempt is not running any more as far as the engine is concerned (dropped): the
  // result is not wanted.
  bool Finish(std::shared_ptr<const FinishedAttempt> finished);
  // Queued: answered as cancelled at once. Running: its flag is set.
  void Cancel(const InFlight& id);
  // ACK or STALE: it is forgotten.
  void Settle(const InFlight& id);
  // Keeps what is in `keep`, forgets the rest, and makes ready to tell of everything again (a new
  // session has begun).
  void KeepOnly(const std::vector<InFlight>& keep);
  void DropQueued();
  void CancelRunning();

  std::vector<InFlight> All() const;  // what HELLO lists
  size_t queued() const { return queue_.size(); }
  size_t running() const { return running_; }
  size_t unacknowledged() const { return unacknowledged_; }

  // What is ready to be sent. The session removes what it has sent.
  std::deque<InFlight> taken;
  std::deque<std::shared_ptr<const FinishedAttempt>> finished;

 private:
  enum class State : uint8_t { kQueued, kRunning, kFinished };
  struct Entry {
    State state = State::kQueued;
    std::string payload;
    Flag cancelled;
    std::shared_ptr<const FinishedAttempt> finished;
  };
  struct Hash {
    size_t operator()(const InFlight& id) const;
  };
  struct Same {
    bool operator()(const InFlight& a, const InFlight& b) const {
      return a.attempt == b.attempt && a.key == b.key && a.run == b.run;
    }
  };

  std::unordered_map<InFlight, Entry, Hash, Same> entries_;
  std::deque<InFlight> queue_;
  size_t running_ = 0;  // handlers at work, those of dropped attempts too
  size_t unacknowledged_ = 0;
};

// The answer to an attempt that was cancelled before it began.
std::shared_ptr<const FinishedAttempt> CancelledAttempt(InFlight id);

}  // namespace kev

#endif  // KEV_QUEUE_WORKER_INVENTORY_H_
