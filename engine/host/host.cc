#include "engine/host/host.h"

#include <algorithm>

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
  const StageKind kind = run.core().plan().steps[start.key.step].kind;
  if (!run.options().secret.IsNull() && (kind == StageKind::kVerify || kind == StageKind::kProfile))
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
