#include "engine/host/host.h"

#include <algorithm>
#include <charconv>

namespace kev {
namespace {

// The engine's time-out stands behind the worker's own deadline, whose result is a verdict.
uint32_t BackstopMs(uint32_t limit_ms) {
  return limit_ms == 0 ? 0 : limit_ms + limit_ms / 4 + 5000;
}

}  // namespace

size_t Host::AttemptHash::operator()(const AttemptId& id) const {
  uint64_t h =
      static_cast<uint64_t>(id.key.subject.number) << 32 | id.key.step << 16 | id.key.index;
  h ^= (static_cast<uint64_t>(id.run) << 40) ^ (static_cast<uint64_t>(id.attempt) << 8) ^
       static_cast<uint64_t>(id.key.subject.kind);
  h *= 0x9e3779b97f4a7c15ull;
  return h ^ h >> 32;
}

Host::Host(Transport* transport, Store* store, Clock* clock)
    : transport_(transport), store_(store), clock_(clock) {}
Host::~Host() = default;

HostedRun& Host::Add(HostedRunOptions options, RunCore* core) {
  const uint32_t number = ++last_run_;
  auto& slot = runs_[number];
  slot = std::make_unique<HostedRun>(std::move(options), number, core, clock_->NowMs());
  HostedRun& run = *slot;
  by_name_[run.options().run] = &run;
  placer_.AddRun(number, run.options().weight, run.options().run);
  if (core->phase() != Phase::kNew) RegisterClasses(run);
  return run;
}

void Host::Remove(HostedRun& run) {
  for (const Placer::Out& out : placer_.RemoveRun(run.number(), clock_->NowMs())) {
    transport_->Send(out.worker, Cancel{run.options().run, out.id.key, out.id.attempt});
    payloads_.erase(out.id);
  }
  for (const HostedRun::InCommit& in : run.committing_) commits_.erase(in.ticket);
  std::erase_if(readers_, [&](const auto& entry) { return entry.second.end_of == run.number(); });
  for (const StartAttempt& open : run.core().OpenAttempts())
    payloads_.erase({run.number(), open.key, open.attempt});
  by_name_.erase(run.options().run);
  runs_.erase(run.number());
}

HostedRun* Host::Find(const std::string& run) {
  const auto it = by_name_.find(run);
  return it == by_name_.end() ? nullptr : it->second;
}

// The placer's classes stand for the plan's steps.
void Host::RegisterClasses(HostedRun& run) {
  if (!run.classes_.empty()) return;
  for (const Step& step : run.core().plan().steps) {
    JobClass c;
    c.run = run.number();
    c.stage = step.stage;
    c.step = step.id;
    c.priority = step.priority;
    c.max_running = step.max_running;
    c.rate_per_s = step.rate_per_s;
    c.burst = step.rate_burst;
    c.resources = step.resources;
    c.labels = step.labels;
    c.quiet_host = step.quiet_host;
    c.light = step.kind == StageKind::kPropose || step.kind == StageKind::kSelect;
    c.queued_limit_ms = step.timeout_queued_ms;
    c.running_limit_ms = BackstopMs(step.timeout_running_ms);
    c.progress_limit_ms = step.timeout_no_progress_ms;
    run.classes_.push_back(placer_.AddClass(c));
  }
}

void Host::PostRestart(HostedRun& run, uint32_t decision_version) {
  run.Post(EpochBegun{run.options().epoch, decision_version});
  if (run.core().phase() == Phase::kEnded) return;
  for (const StartAttempt& open : run.core().OpenAttempts())
    run.unknown_.insert({open.key, open.attempt});
  run.grace_until_ms_ = clock_->NowMs() + run.options().restart_grace_ms;
  if (run.options().restart_grace_ms == 0) EndGrace(run);
}

// What nobody came back with counts as lost, and is offered anew under the next number.
void Host::EndGrace(HostedRun& run) {
  run.grace_until_ms_.reset();
  OpenAttemptsLost lost;
  lost.detail = "the engine was restarted";
  run.losing_all_ = true;
  run.Post(std::move(lost));
}

bool Host::Turn() {
  bool moved = Receive();
  Expire();
  moved |= Confirm();
  moved |= CommitGroups();
  moved |= PlaceAndSend();
  transport_->Flush();
  return moved;
}

bool Host::Settled() const {
  return std::all_of(runs_.begin(), runs_.end(),
                     [](const auto& entry) { return entry.second->Settled(); });
}

int64_t Host::WaitMs() const {
  int64_t wait = -1;
  const int64_t now = clock_->NowMs();
  const auto until = [&](std::optional<int64_t> when) {
    if (!when) return;
    const int64_t ms = std::max<int64_t>(0, *when - now);
    if (wait < 0 || ms < wait) wait = ms;
  };
  for (const auto& [number, run] : runs_) {
    if (run->broken_) continue;
    if (const auto due = run->core().NextDeadline()) until(run->HostTimeMs(*due));
    until(run->grace_until_ms_);
  }
  if (!store_lost_) until(placer_.NextWake());
  return wait;
}

bool Host::Receive() {
  bool any = false;
  for (;;) {
    std::vector<Inbound> messages = transport_->Receive(1024);
    if (messages.empty()) return any;
    any = true;
    const int64_t now = clock_->NowMs();
    for (Inbound& inbound : messages) {
      const SessionId session = inbound.session;
      const auto id_of = [&](const auto& m) -> AttemptId {
        const HostedRun* run = Find(m.run);
        return {run == nullptr ? 0 : run->number(), m.key, m.attempt};
      };
      const auto owned = [&](const AttemptId& id) { return placer_.WorkerOf(id) == session; };
      if (auto* result = std::get_if<ResultMessage>(&inbound.message)) {
        On(session, *result);
      } else if (auto* taken = std::get_if<Taken>(&inbound.message)) {
        const AttemptId id = id_of(*taken);
        if (owned(id)) placer_.Taken(id, now);
      } else if (auto* progress = std::get_if<Progress>(&inbound.message)) {
        const AttemptId id = id_of(*progress);
        if (!owned(id)) continue;
        placer_.Progressed(id, now);
        HostedRun* run = Find(progress->run);
        if (on_progress && run != nullptr) on_progress(*run, *progress);
      } else if (auto* returned = std::get_if<Returned>(&inbound.message)) {
        On(session, *returned);
      } else if (auto* credit = std::get_if<CreditGranted>(&inbound.message)) {
        placer_.SetCredit(session, credit->limit);
      } else if (auto* hello = std::get_if<Hello>(&inbound.message)) {
        On(session, *hello);
      } else if (auto* blob = std::get_if<BlobWanted>(&inbound.message)) {
        Read({session, blob->sha256, "", 0, 0, 0, nullptr});
      } else if (auto* history = std::get_if<HistoryWanted>(&inbound.message)) {
        On(session, *history);
      } else if (auto* call = std::get_if<ClientCall>(&inbound.message)) {
        const auto who = sessions_.find(session);
        if (who == sessions_.end()) continue;
        if (on_call)
          on_call(session, who->second, *call);
        else
          Reply(session, {call->id, Error{Code::kInvalid, "this engine takes no orders"}, Value()});
      } else if (auto* lost = std::get_if<SessionLost>(&inbound.message)) {
        Lose(session, *lost);
      }
    }
    // Large batches are committed while the rest is still being read.
    const bool much = std::any_of(runs_.begin(), runs_.end(), [](const auto& entry) {
      return entry.second->pending_.size() >= entry.second->options().group_most;
    });
    if (much) return true;
  }
}

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

// What came back with its worker after a restart has no payload here: it is offered under the next
// number.
void Host::On(SessionId session, const Returned& returned) {
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

void Host::ReadLog(const std::string& run, uint64_t from, uint64_t to, Answer answer) {
  if (read_trimmed) {
    if (auto groups = read_trimmed(run, from, to)) return answer(Status(), std::move(*groups));
  }
  Read({0, "", run, from, to, 0, std::move(answer)});
}

void Host::ReadBlob(const std::string& sha256, Answer answer) {
  Read({0, sha256, "", 0, 0, 0, std::move(answer)});
}

void Host::Read(Reader reader) {
  const uint64_t ticket = !reader.sha256.empty()
                              ? store_->ReadBlob(reader.sha256)
                              : store_->ReadLog(reader.run, reader.from, reader.to);
  readers_[ticket] = std::move(reader);
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
  if (run->reported_.contains(attempt)) {  // sent again while its commit is under way: the answer
                                           // goes where it came from
    AnswerTo(*run, session, id);
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
  if (owner == session) placer_.Finished(id, message.result.usage.wall_ms);
  // A worker was told to stop by an engine whose log lost the reason with its tail (`normal`). It
  // says nothing of the kernel: the attempt is made again.
  if (!late && !message.result.failure && message.result.verdict == Verdict::kCancelled) {
    message.result.failure =
        Failure{FailureClass::kInfrastructure, "it was cancelled, though the log does not say so"};
    message.packed.clear();
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

// The acknowledgement that waits for a commit goes to this session: the worker may have reconnected
// meanwhile.
void Host::AnswerTo(HostedRun& run, SessionId session, const AttemptId& id) {
  const auto redirect = [&](std::pair<SessionId, Acknowledge>& ack) {
    if (ack.second.key == id.key && ack.second.attempt == id.attempt) ack.first = session;
  };
  for (HostedRun::PendingEvent& pending : run.pending_) {
    if (pending.ack) redirect(*pending.ack);
  }
  for (HostedRun::InCommit& commit : run.committing_) {
    for (auto& ack : commit.acks) redirect(ack);
  }
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

bool Host::CommitGroups() {
  bool any = false;
  if (store_lost_) return any;
  for (const auto& [number, run] : runs_) {
    if (run->grace_until_ms_ && clock_->NowMs() >= *run->grace_until_ms_) EndGrace(*run);
    const size_t before = run->committing_.size();
    if (!run->CommitGroups(store_, clock_->NowMs())) continue;
    any = true;
    for (size_t i = before; i < run->committing_.size(); ++i)
      commits_[run->committing_[i].ticket] = run.get();
  }
  return any;
}

bool Host::Confirm() {
  bool any = false;
  for (Completion& done : store_->Poll()) {
    any = true;
    const auto reader = readers_.find(done.ticket);
    if (reader != readers_.end()) {
      const bool gone = !done.status.ok() && done.status.error().code == Code::kUnavailable;
      if (gone) {  // asked again when the store is back
        if (!store_lost_) store_lost_ = done.status.error();
        continue;
      }
      Reader r = std::move(reader->second);
      readers_.erase(reader);
      AnswerReader(std::move(r), std::move(done));
      continue;
    }
    const auto owner = commits_.find(done.ticket);
    if (owner == commits_.end()) continue;
    HostedRun* run = owner->second;
    if (!done.status.ok()) {
      // After a lost commit the next one cannot fit; what became of both, Reconcile finds out.
      if (store_lost_) continue;
      if (done.status.error().code == Code::kConflict)
        run->broken_ = done.status.error();
      else
        store_lost_ = done.status.error();
      continue;
    }
    commits_.erase(owner);
    if (run->broken_) continue;
    Confirmed(*run, run->Confirm(done.ticket, clock_->NowMs()));
  }
  return any;
}

void Host::AnswerReader(Reader reader, Completion done) {
  if (reader.end_of != 0) {
    --reconciling_;
    const auto it = runs_.find(reader.end_of);
    if (it != runs_.end()) {
      HostedRun& run = *it->second;
      if (done.status.ok() && done.data.size() == 4) {
        const auto number = [](const std::string& text) {
          uint64_t n = 0;
          std::from_chars(text.data(), text.data() + text.size(), n);
          return n;
        };
        const HostedRun::LogEnd end{number(done.data[0]), std::move(done.data[2]),
                                    number(done.data[3])};
        auto confirmed = run.Reconcile(store_, end, clock_->NowMs());
        for (const HostedRun::InCommit& in : run.committing_) commits_[in.ticket] = &run;
        Confirmed(run, std::move(confirmed));
      } else {
        run.broken_ = done.status.ok()
                          ? Error{Code::kCorrupt, "the store does not say where the log of run " +
                                                      run.options().run + " ends"}
                          : done.status.error();
      }
    }
    if (reconciling_ == 0) store_lost_.reset();
  } else if (reader.answer) {
    reader.answer(done.status, std::move(done.data));
  } else if (!reader.sha256.empty()) {
    BlobAnswer answer{reader.sha256, done.status.ok(), ""};
    if (answer.found && !done.data.empty()) answer.bytes = std::move(done.data[0]);
    transport_->Send(reader.session, std::move(answer));
  } else {
    transport_->Send(reader.session, HistoryAnswer{reader.run, reader.from, std::move(done.data)});
  }
}

void Host::Reconcile(Store* store) {
  store_ = store;
  commits_.clear();
  std::map<uint64_t, Reader> readers;
  readers.swap(readers_);
  reconciling_ = 0;
  if (!store_lost_) store_lost_ = Error{Code::kUnavailable, "the store was changed"};
  for (const auto& [number, run] : runs_) {
    if (run->broken_) continue;
    ++reconciling_;
    Reader end;
    end.end_of = number;
    readers_[store_->ReadEnd(run->options().run)] = std::move(end);
  }
  for (auto& [ticket, reader] : readers) {
    if (reader.end_of == 0) Read(std::move(reader));
  }
  if (reconciling_ == 0) store_lost_.reset();
}

void Host::Confirmed(HostedRun& run, std::vector<HostedRun::InCommit> commits) {
  for (HostedRun::InCommit& in : commits) {
    for (auto& [session, ack] : in.acks) {
      run.reported_.erase({ack.key, ack.attempt});
      transport_->Send(session, std::move(ack));
    }
    RegisterClasses(run);
    Execute(run, in.commands);
    if (run.core().paused() != run.held_) {
      run.held_ = run.core().paused();
      placer_.HoldRun(run.number(), run.held_, clock_->NowMs());
    }
    for (const auto& done : in.done) done();
    if (run.on_committed) run.on_committed(in.group, *in.commit);
  }
}

void Host::Execute(HostedRun& run, std::vector<Command>& commands) {
  for (Command& command : commands) {
    if (auto* start = std::get_if<StartAttempt>(&command)) {
      // A later group, already applied, may have withdrawn it.
      if (run.core().OpenAttempt(start->key) == start->attempt) Offer(run, *start);
    } else if (const auto* cancel = std::get_if<CancelAttempt>(&command)) {
      const AttemptId id{run.number(), cancel->key, cancel->attempt};
      payloads_.erase(id);
      if (const auto worker = placer_.Withdraw(id))
        transport_->Send(*worker, Cancel{run.options().run, cancel->key, cancel->attempt});
    }
  }
}

void Host::Offer(HostedRun& run, StartAttempt& start) {
  ReadyAttempt ready;
  ready.id = {run.number(), start.key, start.attempt};
  ready.job_class = run.classes_.at(start.key.step);
  ready.not_before_ms = start.not_before_ms == 0 ? 0 : run.HostTimeMs(start.not_before_ms);
  ready.solitary = start.solitary;
  if (!run.options().secret.IsNull() &&
      run.core().plan().steps[start.key.step].kind == StageKind::kVerify)
    AppendToMap("secret", run.options().secret, &start.payload);
  if (placer_.Ready(ready, clock_->NowMs()))
    payloads_[ready.id] = {std::move(start.payload), start.digest};
}

bool Host::PlaceAndSend() {
  if (store_lost_) return false;
  const int64_t now = clock_->NowMs();
  bool any = false;
  for (const Placer::Placement& placement : placer_.Place(now, holding_)) {
    any = true;
    const auto payload = payloads_.find(placement.id);
    const auto run = runs_.find(placement.id.run);
    if (payload == payloads_.end() || run == runs_.end() || run->second->broken_) {
      placer_.NotSent(placement.id);
      continue;
    }
    transport_->Send(placement.worker,
                     Assign{run->second->options().run, placement.id.key, placement.id.attempt,
                            payload->second.bytes, payload->second.digest});
  }
  for (const Placer::Placement& back : placer_.TakeRetractions(now)) {
    const auto run = runs_.find(back.id.run);
    if (run == runs_.end()) continue;
    transport_->Send(back.worker,
                     Retract{run->second->options().run, back.id.key, back.id.attempt});
  }
  return any;
}

void Host::Expire() {
  if (store_lost_) return;
  for (const Placer::Expired& expired : placer_.TakeExpired(clock_->NowMs())) {
    const auto it = runs_.find(expired.id.run);
    if (it == runs_.end()) continue;
    HostedRun& run = *it->second;
    if (run.core().OpenAttempt(expired.id.key) != expired.id.attempt) continue;
    const auto kind = expired.kind == Placer::Limit::kQueued ? AttemptTimedOut::Kind::kQueued
                      : expired.kind == Placer::Limit::kRunning
                          ? AttemptTimedOut::Kind::kRunning
                          : AttemptTimedOut::Kind::kNoProgress;
    run.Post(AttemptTimedOut{expired.id.key, expired.id.attempt, kind});
  }
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

std::string Host::Explain(const HostedRun& run, const JobKey& key) const {
  std::string why = run.core().Explain(key);
  if (!why.empty()) return why;
  const uint32_t attempt = run.core().OpenAttempt(key);
  if (store_lost_) return "nothing is sent while the store is gone: " + store_lost_->message;
  why = run.ExplainPipeline(key, attempt);
  if (!why.empty()) return why;
  if (run.in_grace() && !placer_.WorkerOf({run.number(), key, attempt}))
    return "the engine was restarted; workers have time to come back with what they hold";
  if (holding_) return "the engine holds back new work";
  return placer_.Explain({run.number(), key, attempt}, clock_->NowMs());
}

}  // namespace kev
