#include "engine/host/host.h"

#include <algorithm>

#include "engine/core/record_json.h"

namespace kev {
namespace {

// The engine's time-out stands behind the worker's own deadline, whose result is a verdict.
uint32_t BackstopMs(uint32_t limit_ms) {
  return limit_ms == 0 ? 0 : limit_ms + limit_ms / 4 + 5000;
}

Projection CandidateProjection(const RunCore& core, Subject subject) {
  static constexpr const char* kPrefix[] = {"cand:", "req:", "prep:"};
  Projection p;
  p.key = kPrefix[static_cast<size_t>(subject.kind)] + std::to_string(subject.number);
  if (subject.kind == SubjectKind::kCandidate) {
    const Candidate& c = core.candidates()[subject.number - 1];
    p.fields.emplace_back("state", c.ended ? "ended" : "active");
    if (c.ended) p.fields.emplace_back("verdict", Name(c.verdict));
  }
  p.fields.emplace_back("record", CandidateRecordJson(core, subject));
  return p;
}

}  // namespace

Host::Host(HostOptions options, RunCore* core, Transport* transport, Store* store, Clock* clock)
    : options_(std::move(options)),
      core_(core),
      transport_(transport),
      store_(store),
      clock_(clock),
      started_ms_(clock->NowMs()),
      next_seq_(core->last_seq() + 1) {}

int64_t Host::RunTimeMs() const { return options_.run_time_ms + clock_->NowMs() - started_ms_; }

void Host::Post(Event event) { pending_.push_back({std::move(event), std::nullopt, {}}); }

void Host::PostRestart(uint32_t decision_version) {
  Post(EpochBegun{options_.epoch, decision_version});
  for (const StartAttempt& open : core_->OpenAttempts()) {
    Post(AttemptLost{open.key, open.attempt, AttemptLost::Reason::kEngineRestart, false, false,
                     "the engine was restarted"});
  }
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

int64_t Host::WaitMs() const {
  int64_t wait = -1;
  const int64_t now = RunTimeMs();
  const auto until = [&](std::optional<int64_t> when) {
    if (!when) return;
    const int64_t ms = std::max<int64_t>(0, *when - now);
    if (wait < 0 || ms < wait) wait = ms;
  };
  until(core_->NextDeadline());
  until(placer_.NextWake());
  return wait;
}

bool Host::Receive() {
  bool any = false;
  for (;;) {
    std::vector<Inbound> messages = transport_->Receive(1024);
    if (messages.empty()) return any;
    any = true;
    for (Inbound& inbound : messages) {
      const SessionId session = inbound.session;
      if (auto* result = std::get_if<ResultMessage>(&inbound.message)) {
        On(session, *result);
      } else if (auto* taken = std::get_if<Taken>(&inbound.message)) {
        placer_.Taken({0, taken->key, taken->attempt}, RunTimeMs());
      } else if (auto* hello = std::get_if<Hello>(&inbound.message)) {
        On(session, *hello);
      } else if (auto* blob = std::get_if<BlobWanted>(&inbound.message)) {
        readers_[store_->ReadBlob(blob->sha256)] = {session, blob->sha256, "", 0};
      } else if (auto* history = std::get_if<HistoryWanted>(&inbound.message)) {
        readers_[store_->ReadLog(history->run, history->from, history->to)] = {
            session, "", history->run, history->from};
      } else if (auto* lost = std::get_if<SessionLost>(&inbound.message)) {
        Lose(session, *lost);
      }
    }
    // Large batches are committed while the rest is still being read.
    if (pending_.size() >= options_.group_most) return true;
  }
}

void Host::On(SessionId session, Hello& hello) {
  WorkerSpec spec{hello.stages, hello.slots, hello.host,  hello.resources,
                  hello.labels, 0,           hello.worker};
  if (hello.expires_in_ms != 0)
    spec.expires_at_ms = RunTimeMs() + static_cast<int64_t>(hello.expires_in_ms);
  placer_.AddWorker(session, spec);
  placer_.SetCredit(session, UINT64_MAX);  // workers do not grant yet
  Welcome welcome;
  welcome.epoch = options_.epoch;
  for (const InFlight& item : hello.in_flight) {
    const AttemptId id{0, item.key, item.attempt};
    if (item.run == options_.run && CurrentAttempt(item.key) == item.attempt &&
        placer_.Adopt(session, id, RunTimeMs())) {
      welcome.keep.push_back(item);
    }
  }
  if (on_worker) on_worker(hello, true, "");
  sessions_[session] = std::move(hello);
  transport_->Send(session, std::move(welcome));
}

// The number of the open attempt of a job, 0 when it has none.
uint32_t Host::CurrentAttempt(const JobKey& key) const { return core_->OpenAttempt(key); }

void Host::On(SessionId session, ResultMessage& message) {
  const AttemptId id{0, message.key, message.attempt};
  Acknowledge ack{message.run, message.key, message.attempt, false};
  if (message.run != options_.run) {  // the same key in another run is another job
    ack.stale = true;
    transport_->Send(session, std::move(ack));
    return;
  }
  placer_.Finished(id, message.result.usage.wall_ms);
  payloads_.erase(id);
  ++jobs_done_;
  if (!reported_.insert(id).second) {  // sent again while its commit is under way: the answer goes
                                       // where it came from
    AnswerTo(session, id);
    return;
  }
  if (core_->HasReported(message.key, message.attempt)) {  // sent again after its commit
    reported_.erase(id);
    transport_->Send(session, std::move(ack));
    return;
  }
  ack.stale = CurrentAttempt(message.key) != message.attempt;
  const auto hello = sessions_.find(session);
  JobReported event{message.key, message.attempt, std::move(message.result),
                    hello == sessions_.end() ? std::string() : hello->second.worker};
  pending_.push_back(
      {std::move(event), std::make_pair(session, std::move(ack)), std::move(message.blobs)});
}

// The acknowledgement that waits for a commit goes to this session: the worker may have reconnected
// meanwhile.
void Host::AnswerTo(SessionId session, const AttemptId& id) {
  const auto redirect = [&](std::pair<SessionId, Acknowledge>& ack) {
    if (ack.second.key == id.key && ack.second.attempt == id.attempt) ack.first = session;
  };
  for (PendingEvent& pending : pending_) {
    if (pending.ack) redirect(*pending.ack);
  }
  for (InCommit& commit : committing_) {
    for (auto& ack : commit.acks) redirect(ack);
  }
}

void Host::Lose(SessionId session, const SessionLost& lost) {
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return;
  for (const Placer::Out& out : placer_.RemoveWorker(session)) {
    if (CurrentAttempt(out.id.key) != out.id.attempt || reported_.contains(out.id)) continue;
    payloads_.erase(out.id);
    const auto reason =
        lost.orderly ? AttemptLost::Reason::kDrained : AttemptLost::Reason::kWorkerDied;
    Post(AttemptLost{out.id.key, out.id.attempt, reason, out.taken, out.alone,
                     it->second.worker + ": " + lost.reason});
  }
  if (on_worker) on_worker(it->second, false, lost.reason);
  sessions_.erase(it);
}

bool Host::CommitGroups() {
  bool any = false;
  const auto deadline = core_->NextDeadline();
  if (!broken_ && pending_.empty() && committing_.empty() && deadline && RunTimeMs() >= *deadline)
    Post(TimePassed{});
  while (!broken_ && !pending_.empty() && committing_.size() < options_.commits_in_flight) {
    // While a commit is in flight the next group collects; a second one leaves only when it is
    // worth a trip of its own.
    if (!committing_.empty() && pending_.size() < 32) break;
    any = true;
    InCommit commit;
    Commit request;
    EventGroup& group = commit.group;
    group.first_seq = next_seq_;
    group.run_time_ms = RunTimeMs();
    while (!pending_.empty() && group.events.size() < options_.group_most) {
      PendingEvent& pending = pending_.front();
      if (pending.ack) commit.acks.push_back(std::move(*pending.ack));
      for (auto& blob : pending.blobs) {
        if (stored_blobs_.insert(blob.first.sha256).second)
          request.blobs.push_back(std::move(blob));
      }
      group.events.push_back(std::move(pending.event));
      pending_.pop_front();
    }
    commit.commands = core_->Apply(group);
    group.digest = RunCore::DigestCommands(commit.commands);
    next_seq_ = group.last_seq() + 1;

    request.run = options_.run;
    request.epoch = options_.epoch;
    request.expected_seq = group.first_seq - 1;
    request.last_seq = group.last_seq();
    request.body = EncodeCanonical(ToValue(group));
    request.digest = group.digest.Hex();
    for (const Event& event : group.events) {
      if (!request.what.empty()) request.what += "; ";
      request.what += Summary(event, &core_->plan());
    }
    const std::vector<Subject> changed = core_->TakeChanged();
    if (options_.projections) {
      for (const Subject subject : changed)
        request.projections.push_back(CandidateProjection(*core_, subject));
      request.projections.push_back({"run", {{"record", ToJson(core_->RunRecord())}}});
    }
    commit.ticket = store_->Submit(std::move(request));
    committing_.push_back(std::move(commit));
  }
  return any;
}

bool Host::Confirm() {
  bool any = false;
  for (Completion& done : store_->Poll()) {
    any = true;
    const auto reader = readers_.find(done.ticket);
    if (reader != readers_.end()) {
      const Reader& r = reader->second;
      if (!r.sha256.empty()) {
        BlobAnswer answer{r.sha256, done.status.ok(), ""};
        if (answer.found && !done.data.empty()) answer.bytes = std::move(done.data[0]);
        transport_->Send(r.session, std::move(answer));
      } else {
        transport_->Send(r.session, HistoryAnswer{r.run, r.from, std::move(done.data)});
      }
      readers_.erase(reader);
      continue;
    }
    if (!done.status.ok()) {
      if (!broken_) broken_ = done.status.error();
      continue;
    }
    if (committing_.empty() || committing_.front().ticket != done.ticket) continue;
    InCommit commit = std::move(committing_.front());
    committing_.pop_front();
    if (broken_) continue;
    for (auto& [session, ack] : commit.acks) {
      reported_.erase({0, ack.key, ack.attempt});
      transport_->Send(session, std::move(ack));
    }
    Execute(commit.commands);
    if (on_committed) on_committed(commit.group);
  }
  return any;
}

void Host::Execute(std::vector<Command>& commands) {
  for (Command& command : commands) {
    if (auto* start = std::get_if<StartAttempt>(&command)) {
      // A later group, already applied, may have withdrawn it.
      if (CurrentAttempt(start->key) != start->attempt) continue;
      const Step& step = core_->plan().steps[start->key.step];
      ReadyAttempt ready;
      ready.id = {0, start->key, start->attempt};
      ready.job_class = ClassOf(start->key.step);
      ready.not_before_ms = start->not_before_ms;
      ready.solitary = start->solitary;
      if (step.kind == StageKind::kVerify && !options_.secret.IsNull()) {
        AppendToMap("secret", options_.secret, &start->payload);
      }
      payloads_[ready.id] = std::move(start->payload);
      placer_.Ready(ready, RunTimeMs());
    } else if (auto* cancel = std::get_if<CancelAttempt>(&command)) {
      const AttemptId id{0, cancel->key, cancel->attempt};
      payloads_.erase(id);
      if (const auto worker = placer_.Withdraw(id)) {
        transport_->Send(*worker, Cancel{options_.run, cancel->key, cancel->attempt});
      }
    }
  }
}

// The placer's class of a step.
uint32_t Host::ClassOf(uint16_t step_number) {
  const auto [it, fresh] = classes_.try_emplace(step_number, 0);
  if (!fresh) return it->second;
  const Step& step = core_->plan().steps[step_number];
  JobClass job_class;
  job_class.stage = step.stage;
  job_class.step = step.id;
  job_class.quiet_host = step.quiet_host;
  job_class.light = step.kind == StageKind::kPropose || step.kind == StageKind::kSelect;
  job_class.running_limit_ms = BackstopMs(step.timeout_running_ms);
  job_class.queued_limit_ms = step.timeout_queued_ms;
  return it->second = placer_.AddClass(job_class);
}

bool Host::PlaceAndSend() {
  if (broken_ || core_->phase() == Phase::kEnded) return false;
  bool any = false;
  for (const Placer::Placement& placement : placer_.Place(RunTimeMs(), holding_)) {
    any = true;
    const auto payload = payloads_.find(placement.id);
    if (payload == payloads_.end()) {  // reported by somebody who had not been given it
      placer_.Finished(placement.id, -1);
      continue;
    }
    transport_->Send(placement.worker,
                     Assign{options_.run, placement.id.key, placement.id.attempt, payload->second});
  }
  return any;
}

void Host::Expire() {
  if (broken_) return;
  for (const Placer::Expired& expired : placer_.TakeExpired(RunTimeMs())) {
    if (CurrentAttempt(expired.id.key) != expired.id.attempt) continue;
    Post(AttemptTimedOut{expired.id.key, expired.id.attempt,
                         expired.kind == Placer::Limit::kRunning ? AttemptTimedOut::Kind::kRunning
                                                                 : AttemptTimedOut::Kind::kQueued});
    placer_.Withdraw(expired.id);
  }
}

void Host::DrainWorkers() {
  for (const auto& [session, hello] : sessions_) {
    placer_.DrainWorker(session);
    transport_->Send(session, Drain{});
  }
  transport_->Flush();
}

}  // namespace kev
