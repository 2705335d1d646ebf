#include "engine/host/hosted_run.h"

#include <algorithm>

#include "engine/host/projection.h"

namespace kev {
namespace {

constexpr uint64_t kSnapshotShare = 32;

// While one commit is in flight the next group collects; a second one leaves only when it is worth
// a trip of its own.
constexpr size_t kWorthATrip = 32;
// A group takes no more once it has so much: what is in the log must be readable under the limits
// of its readers, and a commit must be one that the store can take at once.
constexpr size_t kGroupBytes = size_t{4} << 20;
constexpr size_t kGroupBlobBytes = size_t{64} << 20;
constexpr size_t kKnownBlobs = 1 << 16;  // names remembered, so that a blob is mostly written once
constexpr size_t kRecentBytes = size_t{16} << 20;

}  // namespace

HostedRun::HostedRun(HostedRunOptions options, uint32_t number, RunCore* core, int64_t now_ms)
    : options_(std::move(options)),
      number_(number),
      core_(core),
      started_ms_(now_ms),
      next_seq_(core->last_seq() + 1),
      confirmed_seq_(core->last_seq()),
      snapshot_seq_(options_.snapshot_seq) {
  for (const Subject subject : options_.over) ended_.emplace_back(core->last_seq(), subject);
}

void HostedRun::Post(Event event, std::function<void()> done,
                     std::vector<std::pair<BlobRef, std::string>> blobs) {
  pending_.push_back({std::move(event), std::nullopt, std::move(blobs), std::move(done)});
}

bool HostedRun::CommitGroups(Store* store, int64_t now_ms) {
  bool any = false;
  const auto deadline = core_->NextDeadline();
  if (!broken_ && pending_.empty() && committing_.empty() && deadline &&
      RunTimeMs(now_ms) >= *deadline)
    Post(TimePassed{});
  while (!broken_ && !pending_.empty() && committing_.size() < options_.commits_in_flight) {
    if (!committing_.empty() && pending_.size() < kWorthATrip) break;
    any = true;
    InCommit commit = FormGroup(now_ms);
    commit.ticket = store->Submit(commit.commit);
    committing_.push_back(std::move(commit));
  }
  return any;
}

HostedRun::InCommit HostedRun::FormGroup(int64_t now_ms) {
  InCommit in;
  auto request = std::make_shared<Commit>();
  EventGroup& group = in.group;
  group.first_seq = next_seq_;
  group.run_time_ms = RunTimeMs(now_ms);
  size_t bytes = 0, blob_bytes = 0;
  while (!pending_.empty() && group.events.size() < options_.group_most && bytes < kGroupBytes &&
         blob_bytes < kGroupBlobBytes) {
    PendingEvent& pending = pending_.front();
    if (const auto* report = std::get_if<JobReported>(&pending.event))
      bytes += report->packed.size();
    for (const auto& [ref, content] : pending.blobs) blob_bytes += content.size();
    if (auto* lost = std::get_if<OpenAttemptsLost>(&pending.event)) {
      // It names what is kept of all that is open: nothing may begin between this and its fold.
      const bool first = std::all_of(group.events.begin(), group.events.end(), [](const Event& e) {
        return std::holds_alternative<EpochBegun>(e);
      });
      if (!first) break;
      lost->kept.clear();
      for (const StartAttempt& open : core_->OpenAttempts()) {
        if (!unknown_.contains({open.key, open.attempt}))
          lost->kept.emplace_back(open.key, open.attempt);
      }
      unknown_.clear();
    }
    if (pending.ack) in.acks.push_back(std::move(*pending.ack));
    if (pending.done) in.done.push_back(std::move(pending.done));
    for (auto& blob : pending.blobs) {
      if (stored_blobs_.size() >= kKnownBlobs) stored_blobs_.clear();
      if (stored_blobs_.insert(blob.first.sha256).second) request->blobs.push_back(std::move(blob));
    }
    if (const auto* lost = std::get_if<AttemptLost>(&pending.event))
      losing_.erase({lost->key, lost->attempt});
    else if (std::holds_alternative<OpenAttemptsLost>(pending.event))
      losing_all_ = false;
    group.events.push_back(std::move(pending.event));
    pending_.pop_front();
  }
  in.commands = core_->Apply(group);
  group.digest = RunCore::DigestCommands(in.commands);
  next_seq_ = group.last_seq() + 1;

  request->run = options_.run;
  request->epoch = options_.epoch;
  request->expected_seq = group.first_seq - 1;
  request->last_seq = group.last_seq();
  Encode(group, &request->body);
  request->digest = group.digest.Hex();
  for (const Event& event : group.events) {
    if (!request->what.empty()) request->what += "; ";
    AppendSummary(event, &core_->plan(), &request->what);
  }
  const std::vector<RecordPart> changed = core_->TakeChanged();
  if (options_.projections) {
    request->projections = ChangedProjections(*core_, changed);
    request->projections.push_back(RunProjection(*core_));
  }
  if (options_.snapshot_events != 0) TakeSnapshot(group.last_seq(), changed, request.get());
  in.commit = std::move(request);
  return in;
}

void HostedRun::TakeSnapshot(uint64_t seq, const std::vector<RecordPart>& changed,
                             Commit* request) {
  for (const RecordPart& part : changed) {
    const bool noted = !ended_.empty() && ended_.back() == std::pair(seq, part.subject);
    if (options_.projections && !noted && IsOver(*core_, part.subject))
      ended_.emplace_back(seq, part.subject);
  }
  // The longer the log, the rarer, as a snapshot grows with it: their cost for each event stays
  // the same.
  const uint64_t since = seq - snapshot_seq_;
  if (since < options_.snapshot_events || since < snapshot_seq_ / kSnapshotShare) return;
  // What the store has of a snapshot of an engine before this one is not known here.
  request->snapshot.key = "snap";
  request->snapshot.anew = !snapshot_begun_;
  snapshot_begun_ = true;
  for (auto& field : core_->SnapshotSince(&snapshot_rows_))
    request->snapshot.fields.push_back(std::move(field));
  request->snapshot.fields.emplace_back("seq", std::to_string(seq));
  for (; !ended_.empty() && ended_.front().first <= snapshot_seq_; ended_.pop_front()) {
    const Subject subject = ended_.front().second;
    // The best ones are kept by the core, and in the store.
    if (subject.kind == SubjectKind::kCandidate && core_->candidates().Find(subject.number))
      continue;
    request->forget.push_back(ProjectionKey(subject));
  }
  snapshot_seq_ = seq;
}

std::string HostedRun::ExplainPipeline(const JobKey& key, uint32_t attempt) const {
  if (reported_.contains({key, attempt})) return "its result is on its way to the log";
  if (losing_.contains({key, attempt})) return "its loss is on its way to the log";
  for (const PendingEvent& pending : pending_) {
    const auto* late = std::get_if<AttemptTimedOut>(&pending.event);
    if (late != nullptr && late->key == key && late->attempt == attempt)
      return "its time-out is on its way to the log";
  }
  if (losing_all_) return "the end of the grace after a restart is on its way to the log";
  for (const InCommit& in : committing_) {
    for (const Command& command : in.commands) {
      const auto* start = std::get_if<StartAttempt>(&command);
      if (start != nullptr && start->key == key && start->attempt == attempt)
        return "it waits until the store has confirmed its beginning";
    }
  }
  return "";
}

void HostedRun::Retain(const InCommit& in, int64_t now_ms) {
  confirmed_seq_ = in.commit->last_seq;
  recent_.push_back({in.commit->expected_seq, in.commit->last_seq, in.commit->body});
  recent_bytes_ += in.commit->body.size();
  while (recent_bytes_ > kRecentBytes) {
    recent_bytes_ -= recent_.front().body.size();
    recent_.pop_front();
  }
  if (options_.retain_ms == 0) return;
  retained_.push_back({in.commit, now_ms});
  while (now_ms - retained_.front().at_ms > options_.retain_ms) retained_.pop_front();
}

std::optional<std::vector<std::string>> HostedRun::Recent(uint64_t from, uint64_t to) const {
  if (recent_.empty() || from <= recent_.front().expected_seq || to > confirmed_seq_)
    return std::nullopt;
  auto at = std::partition_point(recent_.begin(), recent_.end(),
                                 [&](const RecentGroup& group) { return group.last_seq < from; });
  std::vector<std::string> bodies;
  size_t bytes = 0;
  for (; at != recent_.end() && at->expected_seq < to && bytes < kMostLogBytes; ++at) {
    bodies.push_back(at->body);
    bytes += at->body.size();
  }
  return bodies;
}

std::vector<HostedRun::InCommit> HostedRun::Confirm(uint64_t ticket, int64_t now_ms) {
  std::vector<InCommit> confirmed;
  for (InCommit& in : committing_) {
    if (in.ticket == ticket) in.confirmed = true;
  }
  while (!committing_.empty() && committing_.front().confirmed) {
    InCommit in = std::move(committing_.front());
    committing_.pop_front();
    if (in.rewritten) continue;
    Retain(in, now_ms);
    confirmed.push_back(std::move(in));
  }
  return confirmed;
}

std::vector<HostedRun::InCommit> HostedRun::Reconcile(Store* store, const LogEnd& end,
                                                      int64_t now_ms) {
  std::vector<InCommit> confirmed;
  const uint64_t seq = end.seq;
  if (broken_) return confirmed;
  std::erase_if(committing_, [](const InCommit& in) { return in.rewritten; });
  const auto foreign = [&](const std::string& what) {
    broken_ = Error{Code::kConflict, "the store's log of run " + options_.run + " ends at seq " +
                                         std::to_string(seq) + what};
    // Nobody is told of anything: who of the two wrote what is not known any more, and a result
    // that was not acknowledged is sent again to the engine that has the run.
    return std::vector<InCommit>();
  };
  // Entries were read before the epoch: while it is ours, they are.
  if (end.epoch != 0 && end.epoch != options_.epoch) {
    return foreign(", and its epoch is " + std::to_string(end.epoch) + ", not " +
                   std::to_string(options_.epoch) + ": another engine has taken the run over");
  }
  // What the store has of the commits whose outcome was unknown.
  while (!committing_.empty() && committing_.front().commit->last_seq <= seq) {
    InCommit in = std::move(committing_.front());
    committing_.pop_front();
    // Digests are of commands: groups without any have the same one.
    if (in.commit->last_seq == seq && in.commit->body != end.body)
      return foreign(" in an entry that this engine did not write: another one has the run");
    Retain(in, now_ms);
    confirmed.push_back(std::move(in));
  }
  if (seq > confirmed_seq_)
    return foreign(", beyond what this engine has written: another one has the run");
  // What the store had confirmed and lost again is written once more, as long as we remember it.
  std::deque<InCommit> again;
  if (seq < confirmed_seq_) {
    for (const Retained& kept : retained_) {
      if (kept.commit->last_seq <= seq) continue;
      InCommit in;
      in.commit = kept.commit;
      in.rewritten = true;
      again.push_back(std::move(in));
    }
    if (again.empty() || again.front().commit->expected_seq != seq) {
      return foreign(", though seq " + std::to_string(confirmed_seq_) +
                     " was confirmed: it has lost what it had taken. Start the engine again on "
                     "what the store has, with durability strict");
    }
  }
  for (auto it = again.rbegin(); it != again.rend(); ++it) committing_.push_front(std::move(*it));
  for (InCommit& in : committing_) in.ticket = store->Submit(in.commit);
  return confirmed;
}

}  // namespace kev
