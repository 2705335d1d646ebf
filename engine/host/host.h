// Host: drives one run. It carries messages from the transport to the core as events, commits them
// in groups, and lets the commands of a group leave only when the store has confirmed it. The loop
// around it (who waits on descriptors and signals) is the caller's.
//
// Threads: none of its own; one at a time. Errors: broken() says that the store refused or lost a
// commit; nothing is dispatched from then on, and what was committed is safe.
#ifndef KEV_ENGINE_HOST_HOST_H_
#define KEV_ENGINE_HOST_HOST_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/core/placer.h"
#include "engine/core/run_core.h"
#include "engine/host/clock.h"
#include "engine/host/store.h"
#include "engine/host/transport.h"

namespace kev {

struct HostOptions {
  std::string run;
  uint64_t epoch = 1;
  int64_t run_time_ms = 0;  // of the last group in the log
  Value secret;             // given to verify jobs only; never logged
  size_t group_most = 256;  // events in one group
  size_t commits_in_flight = 2;
  bool projections = true;  // write candidate records beside the log
};

class Host {
 public:
  Host(HostOptions options, RunCore* core, Transport* transport, Store* store, Clock* clock);

  // Queues an event that comes from outside the workers (submission, signals, …).
  void Post(Event event);
  // After a restart: every open attempt counts as lost, and is offered again.
  void PostRestart(uint32_t decision_version);

  // One pass: receive, commit, confirm, place, send. Gives whether anything was done.
  bool Turn();
  // How long the caller may wait for a descriptor before the next Turn. < 0: as long as it likes.
  int64_t WaitMs() const;
  // Nothing new is given to workers from now on (orderly stop); results are still taken and
  // committed.
  void Hold(bool holding) { holding_ = holding; }

  bool Settled() const {
    return pending_.empty() && committing_.empty();
  }  // all that was posted is committed
  bool Ended() const { return core_->phase() == Phase::kEnded && Settled(); }
  const std::optional<Error>& broken() const { return broken_; }
  const RunCore& core() const { return *core_; }
  const Placer& placer() const { return placer_; }
  int64_t RunTimeMs() const;
  uint64_t jobs_done() const { return jobs_done_; }
  size_t Sessions() const { return sessions_.size(); }
  const std::map<SessionId, Hello>& sessions() const { return sessions_; }
  void DrainWorkers();

  // Called after each group is confirmed.
  std::function<void(const EventGroup&)> on_committed;
  // Called when a worker joins or leaves.
  std::function<void(const Hello&, bool joined, const std::string& why)> on_worker;

 private:
  struct InCommit {
    uint64_t ticket;
    EventGroup group;
    std::vector<Command> commands;
    std::vector<std::pair<SessionId, Acknowledge>> acks;
  };
  struct PendingEvent {
    Event event;
    std::optional<std::pair<SessionId, Acknowledge>> ack;
    std::vector<std::pair<BlobRef, std::string>> blobs;
  };
  struct Reader {
    SessionId session;
    std::string sha256;  // a blob is wanted
    std::string run;     // or a part of the log
    uint64_t from = 0;
  };

  bool Receive();
  void On(SessionId session, Hello& hello);
  void On(SessionId session, ResultMessage& message);
  void AnswerTo(SessionId session, const AttemptId& id);
  void Lose(SessionId session, const SessionLost& lost);
  bool CommitGroups();
  bool Confirm();
  void Execute(std::vector<Command>& commands);
  bool PlaceAndSend();
  void Expire();
  uint32_t CurrentAttempt(const JobKey& key) const;
  uint32_t ClassOf(uint16_t step);

  HostOptions options_;
  RunCore* core_;
  Transport* transport_;
  Store* store_;
  Clock* clock_;
  Placer placer_;
  int64_t started_ms_;
  std::deque<PendingEvent> pending_;
  std::deque<InCommit> committing_;
  std::map<uint64_t, Reader> readers_;
  std::map<SessionId, Hello> sessions_;
  std::map<uint16_t, uint32_t> classes_;       // step -> the placer's class
  std::map<AttemptId, std::string> payloads_;  // of attempts that are ready or out
  std::set<AttemptId> reported_;               // results that wait for their commit
  std::set<std::string> stored_blobs_;         // known to be in the store
  std::optional<Error> broken_;
  bool holding_ = false;
  uint64_t jobs_done_ = 0;
  uint64_t next_seq_;
};

}  // namespace kev

#endif  // KEV_ENGINE_HOST_HOST_H_
