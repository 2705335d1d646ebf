// HostedRun: one run of a host: its core, the events that wait for a commit, and the commits that
// are under way. It decides in which order things reach the store, and what is known of it after
// the store was lost.
//
// Threads: the host's. Errors: broken() says why nothing of this run can be committed any more;
// what was committed is safe.
#ifndef KEV_ENGINE_HOST_HOSTED_RUN_H_
#define KEV_ENGINE_HOST_HOSTED_RUN_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "engine/core/attempt_id.h"
#include "engine/core/run_core.h"
#include "engine/host/store.h"
#include "engine/host/transport.h"

namespace kev {

struct HostedRunOptions {
  std::string run;
  uint64_t epoch = 1;
  int64_t run_time_ms = 0;  // of the last group in the log
  Value secret;             // given to verify jobs only; never logged
  double weight = 1;        // of its share of the workers
  bool projections = true;  // write candidate records beside the log
  size_t group_most = 256;  // events in one group
  size_t commits_in_flight = 2;
  // After a restart workers may come back with what they hold; after this time the rest counts as
  // lost. 0: nobody can come back.
  int64_t restart_grace_ms = 0;
  // A snapshot of the core each so many events, or when a 32nd has been added; 0: never. With
  // it go the records of what ended before the last one.
  uint64_t snapshot_events = 0;
  // What an engine before this one left in the store: the event of its newest snapshot (0: none),
  // and the records of what was over before this one began.
  uint64_t snapshot_seq = 0;
  std::vector<Subject> over;
  // Confirmed commits stay in memory so long, to be written again by a store that lost its tail.
  // 0: a confirmed commit is on the disk.
  int64_t retain_ms = 0;
};

class HostedRun {
 public:
  HostedRun(HostedRunOptions options, uint32_t number, RunCore* core, int64_t now_ms);

  // Queues an event that comes from outside the workers. `done` is called when it is committed;
  // `blobs` are durable no later than the event.
  void Post(Event event, std::function<void()> done = nullptr,
            std::vector<std::pair<BlobRef, std::string>> blobs = {});

  bool Settled() const { return pending_.empty() && committing_.empty(); }
  bool Ended() const { return core_->phase() == Phase::kEnded && Settled(); }
  const std::optional<Error>& broken() const { return broken_; }
  const HostedRunOptions& options() const { return options_; }
  uint32_t number() const { return number_; }
  const RunCore& core() const { return *core_; }
  int64_t RunTimeMs(int64_t now_ms) const { return options_.run_time_ms + now_ms - started_ms_; }
  // The host's time at which the run's time is `run_ms`.
  int64_t HostTimeMs(int64_t run_ms) const { return run_ms - options_.run_time_ms + started_ms_; }
  uint64_t jobs_done() const { return jobs_done_; }
  uint64_t confirmed_seq() const { return confirmed_seq_; }
  // Groups that hold events of from..to, from what was confirmed lately; nullopt: the store must be
  // asked.
  std::optional<std::vector<std::string>> Recent(uint64_t from, uint64_t to) const;
  bool in_grace() const { return grace_until_ms_.has_value(); }
  const std::vector<uint32_t>& classes() const { return classes_; }  // by step: the placer's number
  // What of an open attempt is on its way to the log, so that the placer does not have it; "" when
  // nothing is.
  std::string ExplainPipeline(const JobKey& key, uint32_t attempt) const;

  // Called after each group is confirmed, with what was written.
  std::function<void(const EventGroup&, const Commit&)> on_committed;

 private:
  friend class Host;
  struct PendingEvent {
    Event event;
    std::optional<std::pair<SessionId, Acknowledge>> ack;
    std::vector<std::pair<BlobRef, std::string>> blobs;
    std::function<void()> done;
  };
  struct InCommit {
    uint64_t ticket = 0;
    std::shared_ptr<const Commit> commit;
    EventGroup group;
    std::vector<Command> commands;
    std::vector<std::pair<SessionId, Acknowledge>> acks;
    std::vector<std::function<void()>> done;
    bool confirmed = false;
    bool rewritten = false;  // a confirmed commit that the store had lost: only written again
  };
  struct Retained {
    std::shared_ptr<const Commit> commit;
    int64_t at_ms;
  };

  // Forms groups and submits them. Gives whether anything was submitted.
  bool CommitGroups(Store* store, int64_t now_ms);
  InCommit FormGroup(int64_t now_ms);
  void TakeSnapshot(uint64_t seq, const std::vector<RecordPart>& changed, Commit* request);
  // Gives the commits that are confirmed now, in order.
  std::vector<InCommit> Confirm(uint64_t ticket, int64_t now_ms);
  // The store is back. Gives what turns out to be confirmed; submits the rest again.
  struct LogEnd {
    uint64_t seq = 0;
    std::string body;    // of the last entry
    uint64_t epoch = 0;  // of the run, read after them; 0: not known
  };
  std::vector<InCommit> Reconcile(Store* store, const LogEnd& end, int64_t now_ms);
  void Retain(const InCommit& commit, int64_t now_ms);

  HostedRunOptions options_;
  uint32_t number_;
  RunCore* core_;
  int64_t started_ms_;
  std::deque<PendingEvent> pending_;
  std::deque<InCommit> committing_;
  std::deque<Retained> retained_;
  // Confirmed lately: stateful stages ask for the newest part of the log again and again.
  struct RecentGroup {
    uint64_t expected_seq;
    uint64_t last_seq;
    std::string body;
  };
  std::deque<RecentGroup> recent_;
  size_t recent_bytes_ = 0;
  std::unordered_set<std::string> stored_blobs_;    // known to be in the store
  std::set<std::pair<JobKey, uint32_t>> reported_;  // results that wait for their commit
  std::set<std::pair<JobKey, uint32_t>> losing_;    // AttemptLost is queued and not yet applied
  // After a restart: what was open then, and nobody knows where it is. What is started in the grace
  // is not among them.
  std::set<std::pair<JobKey, uint32_t>> unknown_;
  bool losing_all_ = false;        // OpenAttemptsLost is queued and not yet applied
  std::vector<uint32_t> classes_;  // by step: the placer's number
  std::optional<Error> broken_;
  std::optional<int64_t> grace_until_ms_;
  uint64_t jobs_done_ = 0;
  uint64_t next_seq_;
  uint64_t confirmed_seq_;
  uint64_t snapshot_seq_;
  bool snapshot_begun_ = false;
  RunCore::TableRows snapshot_rows_;  // that were given with snapshots
  // Records that a later snapshot takes out of the store: (event that ended it, key).
  std::deque<std::pair<uint64_t, Subject>> ended_;
  bool held_ = false;  // told to the placer
};

}  // namespace kev

#endif  // KEV_ENGINE_HOST_HOSTED_RUN_H_
