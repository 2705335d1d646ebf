// WorkerProtocol: a worker's side of the queue without sockets, threads or clocks. Frames and the
// time go in, frames come out; the one who does the jobs takes them with Begin and answers with
// Finish.
//
// It keeps every result until it is acknowledged, comes back with its inventory in a new session,
// grants the engine credit, and leaves in order when told to. Threads: one at a time (WorkerSession
// calls it under its lock). Errors: ending(). Real link: queue/zmq_peer.h; in memory:
// queue/fake/memory_network.h.
#ifndef KEV_QUEUE_WORKER_PROTOCOL_H_
#define KEV_QUEUE_WORKER_PROTOCOL_H_

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/host/transport.h"
#include "queue/peer_protocol.h"
#include "queue/prefetch.h"
#include "queue/worker_inventory.h"

namespace kev {

struct WorkerProtocolOptions {
  Hello hello;           // in_flight and peer are not looked at
  std::string instance;  // random name of this process, the same in all its sessions
  std::string engine;    // its address, for messages
  std::chrono::milliseconds engine_lost_grace{30000};
  std::optional<uint32_t> prefetch;  // empty: by job time and round trip
  bool keep_settled = false;         // for TakeSettled
};

// Asked of the engine, again in each new session until answered.
struct BlobQuestion {
  bool asked = false;
  bool done = false;
  bool found = false;
  std::string bytes;
};
struct HistoryQuestion {
  HistoryWanted wanted;
  bool asked = false;
  bool done = false;
  std::vector<std::string> groups;
};

class WorkerProtocol final : public PeerProtocol {
 public:
  explicit WorkerProtocol(WorkerProtocolOptions options);

  // The link's side.
  void Opened(int64_t now_us) override;
  PeerNext Closed(int64_t now_us) override { return link_.Closed(now_us); }
  PeerNext Refused(Error why) override { return End(std::move(why)); }
  PeerNext Read(const Frames& frames, int64_t now_us) override;
  // The same in two steps, for who wants to decode outside a lock: DecodePeerMessage, then this.
  PeerNext Apply(Result<PeerMessage> message, const Frames& frames, int64_t now_us);
  PeerNext Write(FrameSink* sink, int64_t now_us) override;
  int64_t WakeUs(int64_t now_us) const override;
  // The last Write sent something or was preceded by new jobs: more is likely to come soon.
  bool busy() const { return busy_; }

  // The worker's side.
  std::optional<WorkerInventory::Begun> Begin(int64_t now_us);
  void Finish(std::shared_ptr<const FinishedAttempt> finished, int64_t now_us);
  void Note(Progress progress) { inventory_.Note(std::move(progress)); }
  std::shared_ptr<const BlobQuestion> AskBlob(const std::string& sha256);
  // One question at a time for the same run and first event.
  bool Asks(const std::string& run, uint64_t from) const {
    return histories_.contains({run, from});
  }
  std::shared_ptr<const HistoryQuestion> AskHistory(const HistoryWanted& wanted);
  // Begins nothing more, hands back what has not begun, finishes the rest, says BYE with `reason`.
  void Drain(const std::string& reason);

  // What was acknowledged since the last call and whether it was committed (else it is stale), with
  // `keep_settled`; else nothing.
  std::vector<std::pair<InFlight, bool>> TakeSettled() { return std::exchange(settled_, {}); }

  size_t queued() const { return inventory_.queued(); }
  size_t running() const { return inventory_.running(); }
  size_t unacknowledged() const { return inventory_.unacknowledged(); }
  bool draining() const { return draining_; }
  bool over() const { return link_.over(); }
  const Status& ending() const { return link_.ending(); }
  uint64_t credit() const { return credit_; }
  // When `over`: sets kill flags that are due; gives when to call again.
  std::optional<int64_t> KillDue(int64_t now_us) { return inventory_.KillDue(now_us); }
  void KillAll();
  // Counts answers and endings, so that one who waits can see that something happened.
  uint64_t news() const { return news_; }

 private:
  PeerNext End(Status status);
  PeerNext Take(PeerMessage& message, const Frames& frames, int64_t now_us);
  void TakeJobs(PeerMessage& message, const Frames& frames);
  void TakeBlob(const Value& body, const Frames& frames);
  void TakeHistory(const Value& body, const Frames& frames);
  bool WriteBatches(FrameSink* sink, int64_t now_us);
  bool WriteIds(FrameSink* sink, MessageType type, std::deque<InFlight>* ids);
  bool WriteProgress(FrameSink* sink);
  bool WriteResults(FrameSink* sink, int64_t now_us);
  bool WriteCredit(FrameSink* sink);
  bool WriteQuestions(FrameSink* sink);
  bool IsDone() const;

  WorkerProtocolOptions options_;
  PeerLink link_;
  WorkerInventory inventory_;
  Prefetch prefetch_;
  std::map<std::string, std::shared_ptr<BlobQuestion>> blobs_;
  std::map<std::pair<std::string, uint64_t>, std::shared_ptr<HistoryQuestion>> histories_;
  std::vector<std::pair<InFlight, bool>> settled_;
  BatchBody batch_;
  std::vector<std::string_view> payloads_;
  uint64_t received_ = 0;  // attempts in this session
  uint64_t credit_ = 0;    // the last limit that was sent in it
  bool draining_ = false;
  std::string drain_reason_;
  bool said_bye_ = false;
  int64_t bye_us_ = 0;
  bool got_jobs_ = false;
  bool busy_ = false;
  uint64_t news_ = 0;
  int64_t now_us_ = 0;  // of the last call that said it
};

}  // namespace kev

#endif  // KEV_QUEUE_WORKER_PROTOCOL_H_
