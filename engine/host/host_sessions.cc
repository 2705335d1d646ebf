// What workers and clients say, and what becomes of their attempts when they come and go.
#include <algorithm>

#include "engine/core/result_fit.h"
#include "engine/host/host.h"

namespace kev {

void Host::Reply(SessionId session, ClientReply reply) {
  transport_->Send(session, std::move(reply));
}

void Host::On(SessionId session, Hello& hello) {
  for (const SessionId old : hello.replaces) placer_.DrainWorker(old);
  if (hello.role == Role::kWorker) {
    WorkerSpec spec;
    spec.stages = hello.stages;
    spec.slots = hello.slots;
    spec.host = hello.host;
    spec.resources = hello.resources;
    spec.labels = hello.labels;
    spec.name = hello.worker;
    if (hello.expires_in_ms != 0)
      spec.expires_at_ms = clock_->NowMs() + static_cast<int64_t>(hello.expires_in_ms);
    placer_.AddWorker(session, spec);
  }
  Welcome welcome;
  for (const InFlight& item : hello.in_flight) {
    HostedRun* run = Find(item.run);
    if (run == nullptr) continue;
    welcome.epoch = run->options().epoch;
    if (Adopt(*run, session, hello, item)) welcome.keep.push_back(item);
  }
  if (welcome.epoch == 0 && !runs_.empty()) welcome.epoch = runs_.begin()->second->options().epoch;
  if (on_joined) on_joined(hello);
  sessions_[session] = std::move(hello);
  transport_->Send(session, std::move(welcome));
}

// A worker came back with this attempt. It keeps it if it is still current: after a restart, when
// nobody knows where it is; or when its own older session has it. Another job under the same number
// is of a history that the store has lost: what comes of it says nothing of this one.
bool Host::Adopt(HostedRun& run, SessionId session, const Hello& hello, const InFlight& item) {
  const AttemptId id{run.number(), item.key, item.attempt};
  const std::pair<JobKey, uint32_t> attempt{id.key, id.attempt};
  // Only its ACK was lost, or is on its way.
  if (run.core().HasReported(id.key, id.attempt) || run.reported_.contains(attempt)) return true;
  if (run.core().OpenAttempt(id.key) != id.attempt) return false;
  if (item.job_digest != 0 && item.job_digest != run.core().JobDigest(id.key)) return false;
  const int64_t now = clock_->NowMs();
  if (const std::optional<WorkerId> before = placer_.WorkerOf(id)) {
    const auto older = sessions_.find(*before);
    if (older == sessions_.end() || older->second.worker != hello.worker) return false;
    placer_.Returned(id, now);
    return placer_.Adopt(session, id, now);
  }
  // Else it is waiting to be given out anew.
  if (!run.grace_until_ms_ || !run.unknown_.contains(attempt)) return false;
  if (!placer_.Ready({id, run.classes_.at(id.key.step), 0, run.core().Solitary(id.key)}, now))
    return false;
  run.unknown_.erase(attempt);
  return placer_.Adopt(session, id, now);
}

void Host::On(SessionId session, ResultMessage& message) {
  Acknowledge ack{message.run, message.key, message.attempt, false};
  HostedRun* run = Find(message.run);
  if (run == nullptr) {  // the same key in another run is another job
    ack.stale = true;
    transport_->Send(session, std::move(ack));
    return;
  }
  const AttemptId id{run->number(), message.key, message.attempt};
  const std::pair<JobKey, uint32_t> attempt{message.key, message.attempt};
  const std::optional<WorkerId> owner = placer_.WorkerOf(id);
  const bool current = run->core().OpenAttempt(message.key) == message.attempt;
  if (run->reported_.contains(attempt)) {  // sent again while its commit is under way
    if (AnswerTo(*run, session, id)) return;
    ack.stale = true;
    transport_->Send(session, std::move(ack));
    return;
  }
  if (run->core().HasReported(message.key, message.attempt)) {  // sent again after its commit
    transport_->Send(session, std::move(ack));
    return;
  }
  // Only who was given an attempt may report it; what was given to nobody is no result. A result
  // that comes while the loss of its attempt is on its way to the log is late, and its cost counts.
  const bool late =
      !current || run->losing_.contains(attempt) || (run->losing_all_ && owner != session);
  if (late ? !run->core().WasIssued(message.key, message.attempt) : owner != session) {
    ack.stale = true;
    transport_->Send(session, std::move(ack));
    return;
  }
  if (const BlobRef* unknown = FirstUnknownBlob(*run, message)) {
    AskForBlob(session, *unknown, message);
    return;
  }
  if (owner == session) placer_.Finished(id, message.result.usage.wall_ms);
  // A worker was told to stop by an engine whose log lost the reason with its tail (`normal`). It
  // says nothing of the kernel: the attempt is made again.
  if (!late && !message.result.failure && message.result.verdict == Verdict::kCancelled) {
    message.result.failure =
        Failure{FailureClass::kInfrastructure, "it was cancelled, though the log does not say so"};
    message.packed.clear();
  }
  if (!late && !message.result.failure) {
    const RunCore& core = run->core();
    const std::string misfit =
        MisfitOf(core.plan().steps[message.key.step], message.key.subject.kind, message.result,
                 core.candidates().size());
    if (!misfit.empty()) Refuse(&message, misfit);
  }
  payloads_.erase(id);
  run->reported_.insert(attempt);
  ++run->jobs_done_;
  ++jobs_done_;
  ack.stale = late;
  const auto hello = sessions_.find(session);
  JobReported event{message.key, message.attempt, std::move(message.result),
                    hello == sessions_.end() ? std::string() : hello->second.worker,
                    std::move(message.packed)};
  run->pending_.push_back({std::move(event), std::make_pair(session, std::move(ack)),
                           std::move(message.blobs), nullptr});
}

// It counts as an attempt that failed, and is made again.
void Host::Refuse(ResultMessage* message, const std::string& why) {
  JobResult none;
  none.usage = message->result.usage;
  none.failure = Failure{FailureClass::kInfrastructure, "its result was not taken: " + why};
  message->result = std::move(none);
  message->packed.clear();
  message->blobs.clear();
}

// A blob that the result names, that did not come with it, and that is not known to be in the
// store; null: there is none.
const BlobRef* Host::FirstUnknownBlob(const HostedRun& run, const ResultMessage& message) {
  const BlobRef* unknown = nullptr;
  ForEachBlob(message.result, [&](const BlobRef& ref) {
    const bool came =
        std::any_of(message.blobs.begin(), message.blobs.end(),
                    [&](const auto& blob) { return blob.first.sha256 == ref.sha256; });
    if (!came && !run.stored_blobs_.contains(ref.sha256)) unknown = &ref;
    return unknown == nullptr;
  });
  return unknown;
}

// The result waits until the store has said whether it has the blob.
void Host::AskForBlob(SessionId session, const BlobRef& ref, ResultMessage& message) {
  const std::string sha256 = ref.sha256;
  auto waiting = std::make_shared<ResultMessage>(std::move(message));
  ReadBlob(sha256,
           [this, session, sha256, waiting](const Status& found, const std::vector<std::string>&) {
             HostedRun* run = Find(waiting->run);
             if (run != nullptr && found.ok()) run->stored_blobs_.insert(sha256);
             if (!found.ok()) {
               Refuse(waiting.get(), "it names the blob " + sha256 +
                                         ", which did not come with it: " + found.error().message);
             }
             On(session, *waiting);
           });
}

// The acknowledgement that waits for a commit goes to this session: the worker may have reconnected
// meanwhile. False: it is another worker's, who waits for it.
bool Host::AnswerTo(HostedRun& run, SessionId session, const AttemptId& id) {
  bool its = true;
  const auto redirect = [&](std::pair<SessionId, Acknowledge>& ack) {
    if (ack.second.key != id.key || ack.second.attempt != id.attempt) return;
    const auto first = sessions_.find(ack.first), now = sessions_.find(session);
    its = first == sessions_.end() || now == sessions_.end() ||
          first->second.worker == now->second.worker;
    if (its) ack.first = session;
  };
  for (HostedRun::PendingEvent& pending : run.pending_) {
    if (pending.ack) redirect(*pending.ack);
  }
  for (HostedRun::InCommit& commit : run.committing_) {
    for (auto& ack : commit.acks) redirect(ack);
  }
  return its;
}

// What came back with its worker after a restart has no payload here: it is offered under the next
// number.
void Host::On(SessionId session, const Returned& returned) {
  if (returned.leaving) placer_.DrainWorker(session);
  HostedRun* run = Find(returned.run);
  if (run == nullptr) return;
  const AttemptId id{run->number(), returned.key, returned.attempt};
  if (placer_.WorkerOf(id) != session) return;
  const bool open = run->core().OpenAttempt(id.key) == id.attempt;
  if (!open || payloads_.contains(id)) return placer_.Returned(id, clock_->NowMs());
  placer_.Finished(id, -1);
  run->losing_.insert({id.key, id.attempt});
  const auto hello = sessions_.find(session);
  run->Post(
      AttemptLost{id.key, id.attempt, AttemptLost::Reason::kDrained, false, false,
                  (hello == sessions_.end() ? std::string("a worker") : hello->second.worker) +
                      " handed it back unbegun"});
}

void Host::On(SessionId session, const HistoryWanted& wanted) {
  if (const HostedRun* run = Find(wanted.run)) {
    if (auto groups = run->Recent(wanted.from, wanted.to)) {
      transport_->Send(session, HistoryAnswer{wanted.run, wanted.from, std::move(*groups)});
      return;
    }
  }
  if (read_trimmed) {
    if (auto groups = read_trimmed(wanted.run, wanted.from, wanted.to)) {
      transport_->Send(session, HistoryAnswer{wanted.run, wanted.from, std::move(*groups)});
      return;
    }
  }
  Read({session, "", wanted.run, wanted.from, wanted.to, 0, nullptr});
}

void Host::Lose(SessionId session, const SessionLost& lost) {
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) {
    if (lost.refused && on_refused) on_refused(lost.reason);
    return;
  }
  const uint64_t finished = placer_.CountsOfWorker(session).finished;
  for (const Placer::Out& out : placer_.RemoveWorker(session)) {
    const auto owner = runs_.find(out.id.run);
    if (owner == runs_.end()) continue;
    HostedRun& run = *owner->second;
    const std::pair<JobKey, uint32_t> attempt{out.id.key, out.id.attempt};
    if (run.core().OpenAttempt(out.id.key) != out.id.attempt || run.reported_.contains(attempt))
      continue;
    if (payloads_.erase(out.id) == 0 && run.in_grace()) {
      run.unknown_.insert(attempt);  // it was from before the restart: the end of the grace counts
      continue;
    }
    const auto reason =
        lost.orderly ? AttemptLost::Reason::kDrained : AttemptLost::Reason::kWorkerDied;
    run.losing_.insert(attempt);
    run.Post(AttemptLost{out.id.key, out.id.attempt, reason, out.taken, out.alone,
                         it->second.worker + ": " + lost.reason});
  }
  if (on_left) on_left(it->second, finished, lost);
  sessions_.erase(it);
}

size_t Host::DrainWorkers(const std::string& name) {
  size_t drained = 0;
  for (const auto& [session, hello] : sessions_) {
    if (hello.role != Role::kWorker || (!name.empty() && hello.worker != name)) continue;
    ++drained;
    placer_.DrainWorker(session);
    transport_->Send(session, Drain{});
  }
  transport_->Flush();
  return drained;
}

}  // namespace kev
