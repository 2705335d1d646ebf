// WorkerInventory: the attempts that a worker holds, and what has become of each: queued, running,
// or finished and not yet acknowledged. Says what to tell the engine; sends nothing itself.
//
// Threads: one at a time (WorkerSession calls it under its lock). Errors: none, unknown attempts
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

// What the one who works on an attempt looks at from time to time.
struct AttemptFlags {
  std::atomic<bool> cancelled{false};  // come back soon
  std::atomic<bool> kill{false};       // the grace is over: end what was started
};

class WorkerInventory {
 public:
  using Flags = std::shared_ptr<AttemptFlags>;
  struct Begun {
    InFlight id;
    std::string payload;
    Flags flags;
  };
  struct Times {  // of one attempt; < 0: not known
    double job_us = -1;
    double round_trip_us = -1;
  };

  // Queues an attempt; false when it is held already (it came twice).
  bool Add(InFlight id, std::string payload);
  // Takes the oldest queued attempt and counts it as running.
  std::optional<Begun> Begin(int64_t now_us);
  // Gives how long it ran. The result is not wanted when the attempt was dropped meanwhile.
  Times Finish(std::shared_ptr<const FinishedAttempt> finished, int64_t now_us);
  // Kept until it is sent; a newer one takes the place of an older one.
  void Note(Progress progress);
  // Queued: answered as cancelled at once. Running: its flag is set, and `kill` at `kill_at_us`.
  void Cancel(const InFlight& id, int64_t kill_at_us);
  // Queued: handed back. Else nothing: its result will come.
  void Retract(const InFlight& id);
  // ACK or STALE: it is forgotten. Gives the time since its result was sent.
  Times Settle(const InFlight& id, int64_t now_us);
  // The result was sent just now.
  void Sent(const InFlight& id, int64_t now_us);
  // Keeps what is in `keep`, forgets the rest, and makes ready to tell of everything again (a new
  // session has begun). What is forgotten while it runs is cancelled.
  void KeepOnly(const std::vector<InFlight>& keep, int64_t kill_at_us);
  void ReturnQueued();  // hands back what has not begun
  void DropQueued();    // forgets it
  void CancelRunning(int64_t kill_at_us);

  // Sets the kill flags whose time has come; gives when the next one is due, if there is one.
  std::optional<int64_t> KillDue(int64_t now_us);
  std::optional<int64_t> NextKill() const;

  std::vector<InFlight> All() const;  // what HELLO lists
  size_t queued() const { return queue_.size(); }
  size_t running() const { return running_; }
  size_t unacknowledged() const { return unacknowledged_; }

  // What is ready to be sent. The session removes what it has sent.
  std::deque<InFlight> taken;
  std::deque<Progress> progress;
  std::deque<std::shared_ptr<const FinishedAttempt>> finished;
  std::deque<InFlight> returned;

 private:
  enum class State : uint8_t { kQueued, kRunning, kFinished };
  struct Entry {
    State state = State::kQueued;
    std::string payload;
    Flags flags;
    std::shared_ptr<const FinishedAttempt> finished;
    int64_t since_us = -1;  // running: when it began; finished: when its result was sent
  };
  struct Kill {
    int64_t at_us;
    Flags flags;
  };
  struct Hash {
    size_t operator()(const InFlight& id) const;
  };
  struct Same {
    bool operator()(const InFlight& a, const InFlight& b) const {
      return a.attempt == b.attempt && a.key == b.key && a.run == b.run;
    }
  };
  void Stop(Entry& entry, int64_t kill_at_us);
  void Unqueue(const InFlight& id);

  std::unordered_map<InFlight, Entry, Hash, Same> entries_;
  std::deque<InFlight> queue_;
  std::vector<Kill> kills_;  // few: attempts that were cancelled while they ran
  size_t running_ = 0;       // handlers at work, those of dropped attempts too
  size_t unacknowledged_ = 0;
};

// The answer to an attempt that was cancelled before it began.
std::shared_ptr<const FinishedAttempt> CancelledAttempt(InFlight id);

}  // namespace kev

#endif  // KEV_QUEUE_WORKER_INVENTORY_H_
