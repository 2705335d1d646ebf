// Events in, commands out: the entry point, attempts and their retries.
#include "engine/core/run_core.h"

#include <algorithm>

#include "engine/core/random.h"

namespace kev {
namespace {

// One command's bytes, for the digest of a group.
void EncodeCommand(const Command& command, std::string* out) {
  if (const auto* start = std::get_if<StartAttempt>(&command)) {
    out->push_back('s');
    EncodeCanonical(Value(start->not_before_ms), out);
    EncodeCanonical(Value(start->solitary), out);
    *out += start->payload;
  } else if (const auto* cancel = std::get_if<CancelAttempt>(&command)) {
    out->push_back('x');
    *out += Name(cancel->key.subject);
    EncodeCanonical(Value(static_cast<int64_t>(cancel->key.step)), out);
    EncodeCanonical(Value(static_cast<int64_t>(cancel->key.index)), out);
    EncodeCanonical(Value(cancel->attempt), out);
  } else {
    const auto& ended = std::get<RunEnded>(command);
    out->push_back('e');
    EncodeCanonical(Value(ended.status), out);
    EncodeCanonical(Value(ended.stopped_by), out);
    EncodeCanonical(Value(ended.message), out);
    EncodeCanonical(ended.claim, out);
  }
}

}  // namespace

const char* Name(Phase phase) {
  static constexpr const char* kNames[] = {"new",      "preparing", "searching",
                                           "draining", "claiming",  "ended"};
  return kNames[static_cast<size_t>(phase)];
}

RunCore::RunCore(std::string run, Mode mode) : run_(std::move(run)), mode_(mode) {}

std::vector<Command> RunCore::Apply(const EventGroup& group) {
  commands_.clear();
  now_ms_ = std::max(now_ms_, group.run_time_ms);
  group_last_seq_ = group.last_seq();
  current_seq_ = group.first_seq;
  for (const Event& event : group.events) {
    std::visit([this](const auto& e) { On(e); }, event);
    ++current_seq_;
  }
  last_seq_ = group_last_seq_;
  if (phase_ == Phase::kSearching || phase_ == Phase::kDraining) DeriveSearch();
  return std::move(commands_);
}

Digest128 RunCore::DigestCommands(const std::vector<Command>& commands) {
  std::string bytes;
  for (const Command& command : commands) EncodeCommand(command, &bytes);
  return DigestOf(bytes);
}

std::optional<int64_t> RunCore::NextDeadline() const {
  if (phase_ != Phase::kSearching || plan_.budget.wall_ms == 0) return std::nullopt;
  return static_cast<int64_t>(plan_.budget.wall_ms);
}

std::vector<StartAttempt> RunCore::OpenAttempts() const {
  std::vector<StartAttempt> open;
  for (const auto& [key, unused] : open_) {
    const StepOutcome* outcome = OutcomeOf(key);
    StartAttempt start;
    start.key = key;
    start.attempt = outcome->attempt;
    start.solitary = outcome->solitary;
    open.push_back(std::move(start));
  }
  return open;
}

uint32_t RunCore::OpenAttempt(const JobKey& key) const {
  const StepOutcome* outcome = OutcomeOf(key);
  return outcome != nullptr && outcome->state == StepOutcome::State::kOpen ? outcome->attempt : 0;
}

bool RunCore::HasReported(const JobKey& key, uint32_t attempt) const {
  const StepOutcome* outcome = OutcomeOf(key);
  return (outcome != nullptr && attempt != 0 && outcome->reported == attempt) ||
         spent_.contains({key, attempt});
}

std::vector<Subject> RunCore::TakeChanged() {
  std::sort(changed_.begin(), changed_.end());
  changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
  return std::exchange(changed_, {});
}

void RunCore::Changed(Subject subject) {
  if (mode_ == Mode::kDerive) changed_.push_back(subject);
}

std::map<std::string, uint64_t> RunCore::refused() const {
  std::map<std::string, uint64_t> counts;
  for (const Candidate& c : candidates_) {
    if (c.ended && c.verdict != Verdict::kOk) ++counts[Name(c.verdict)];
  }
  return counts;
}

std::string RunCore::Label(const JobKey& key, uint32_t attempt) const {
  std::string text = Name(key.subject) + "/" + plan_.steps[key.step].id;
  if (key.index != 0) text += "[" + std::to_string(key.index) + "]";
  return text + "#" + std::to_string(attempt);
}

void RunCore::On(const RunSubmitted& e) {
  if (phase_ != Phase::kNew) return;
  plan_ = e.plan;
  about_ = e.about;
  in_flight_ = plan_.in_flight;
  const size_t n = plan_.steps.size();
  exhausted_.assign(n, false);
  outstanding_.assign(n, 0);
  proposed_.assign(n, 0);
  alive_.assign(n, 0);
  given_up_.assign(n, 0);
  path_.assign(n, std::vector<bool>(n, false));
  for (size_t origin = 0; origin < n; ++origin) {
    path_[origin][origin] = true;
    for (bool grown = true; grown;) {
      grown = false;
      for (size_t s = 0; s < n; ++s) {
        if (path_[origin][s]) continue;
        for (const uint16_t need : plan_.steps[s].needs) {
          if (path_[origin][need]) {
            path_[origin][s] = true;
            grown = true;
            break;
          }
        }
      }
    }
  }
  BeginPreparing();
}

void RunCore::On(const JobReported& e) {
  if (HasReported(e.key, e.attempt)) {  // the same result once more: its usage is counted already
    ++stale_;
    return;
  }
  usage_.tokens_in += e.result.usage.tokens_in;
  usage_.tokens_out += e.result.usage.tokens_out;
  usage_.usd += e.result.usage.usd;
  usage_.device_ms += e.result.usage.device_ms;
  usage_.wall_ms += e.result.usage.wall_ms;
  StepOutcome* outcome = OutcomeOf(e.key);
  if (outcome == nullptr || outcome->state != StepOutcome::State::kOpen ||
      outcome->attempt != e.attempt) {
    spent_.insert({e.key, e.attempt});
    ++stale_;
    return;
  }
  outcome->worker = e.worker;
  for (const auto& [name, ref] : e.result.blobs) outcome->blobs[name] = ref;
  Changed(e.key.subject);
  if (e.result.failure) {
    spent_.insert({e.key, e.attempt});
    const Failure& failure = *e.result.failure;
    if (failure.failure == FailureClass::kTaskBroken) {
      Withdraw(e.key, *outcome);
      outcome->message = failure.message;
      Finish("failed", "failed", Label(e.key, e.attempt) + ": " + failure.message);
    } else if (failure.failure == FailureClass::kProviderMissing &&
               e.key.subject.kind == SubjectKind::kRequest) {
      Disable(StepOf(e.key).id, failure.message);
    } else {
      Retry(e.key, failure.message, /*counts=*/true);
    }
    return;
  }
  open_.erase(e.key);
  outcome->reported = e.attempt;
  outcome->verdict = e.result.verdict;
  outcome->state =
      e.result.verdict == Verdict::kOk ? StepOutcome::State::kPassed : StepOutcome::State::kEnded;
  outcome->message = e.result.message;
  outcome->facts = e.result.facts;
  outcome->usage = e.result.usage;
  outcome->cached = e.result.cached;
  outcome->seq = current_seq_;
  if (e.key.subject.kind == SubjectKind::kCandidate) {
    if (e.key.index != 0)
      ClaimReported(e.key, e);
    else
      CandidateReported(e.key.subject.number, e.key.step, e);
  } else if (e.key.subject.kind == SubjectKind::kRequest) {
    RequestReported(e.key.subject.number, e);
  } else {
    PreparedReported(e.key.subject.number, e.key.step, e);
  }
}

void RunCore::On(const AttemptLost& e) {
  StepOutcome* outcome = OutcomeOf(e.key);
  if (outcome == nullptr || outcome->state != StepOutcome::State::kOpen ||
      outcome->attempt != e.attempt)
    return;
  if (e.reason == AttemptLost::Reason::kWorkerDied && e.taken) {
    ++outcome->deaths;
    if (e.alone && outcome->solitary) {
      GiveUp(e.key, "its worker died " + std::to_string(outcome->deaths) +
                        " times, the last time alone: " + e.detail);
      return;
    }
    if (outcome->deaths >= 2) outcome->solitary = true;
  }
  Retry(e.key, e.detail, /*counts=*/false);
}

void RunCore::On(const AttemptTimedOut& e) {
  StepOutcome* outcome = OutcomeOf(e.key);
  if (outcome == nullptr || outcome->state != StepOutcome::State::kOpen ||
      outcome->attempt != e.attempt)
    return;
  commands_.push_back(CancelAttempt{e.key, e.attempt});
  Retry(e.key,
        e.kind == AttemptTimedOut::Kind::kRunning ? "ran longer than the step's timeout"
                                                  : "waited longer than the step's queued timeout",
        /*counts=*/true);
}

void RunCore::On(const Signal& e) {
  switch (e.kind) {
    case Signal::Kind::kPause:
      paused_ = true;
      break;
    case Signal::Kind::kResume:
      paused_ = false;
      break;
    case Signal::Kind::kCancel:
      if (phase_ != Phase::kEnded) Finish("cancelled", "cancelled", "cancelled by a signal");
      break;
    case Signal::Kind::kBudget:
      if (e.data.Has("candidates"))
        plan_.budget.candidates = static_cast<uint64_t>(e.data["candidates"].AsInt());
      if (e.data.Has("evaluations"))
        plan_.budget.evaluations = static_cast<uint64_t>(e.data["evaluations"].AsInt());
      if (e.data.Has("wall_ms"))
        plan_.budget.wall_ms = static_cast<uint64_t>(e.data["wall_ms"].AsInt());
      break;
  }
}

void RunCore::On(const StepDisabled& e) { Disable(e.step, e.reason); }
void RunCore::On(const InFlightSet& e) { in_flight_ = e.in_flight; }
void RunCore::On(const EpochBegun& e) { epoch_ = e.epoch; }
void RunCore::On(const TimePassed&) {}

StepOutcome* RunCore::OutcomeOf(const JobKey& key) {
  if (key.step >= plan_.steps.size()) return nullptr;
  const uint32_t n = key.subject.number;
  if (n == 0) return nullptr;
  if (key.index != 0) {
    const auto it = claims_.find(key);
    return it == claims_.end() ? nullptr : &it->second;
  }
  switch (key.subject.kind) {
    case SubjectKind::kCandidate:
      return n <= candidates_.size() ? &candidates_[n - 1].steps[key.step] : nullptr;
    case SubjectKind::kRequest:
      return n <= requests_.size() && requests_[n - 1].step == key.step ? &requests_[n - 1].outcome
                                                                        : nullptr;
    case SubjectKind::kPrepared:
      return n <= prepared_.size() ? &prepared_[n - 1].record.steps[key.step] : nullptr;
  }
  return nullptr;
}

void RunCore::Start(const JobKey& key, StepOutcome& outcome, int64_t not_before_ms) {
  ++outcome.attempt;
  outcome.state = StepOutcome::State::kOpen;
  open_[key] = true;
  Changed(key.subject);
  StartAttempt start;
  start.key = key;
  start.attempt = outcome.attempt;
  start.not_before_ms = not_before_ms;
  start.solitary = outcome.solitary;
  if (mode_ == Mode::kDerive) start.payload = PayloadOf(key, outcome);
  commands_.push_back(std::move(start));
}

// Ends an open attempt without a result.
void RunCore::Withdraw(const JobKey& key, StepOutcome& outcome) {
  if (outcome.state != StepOutcome::State::kOpen) return;
  outcome.state = StepOutcome::State::kEnded;
  outcome.verdict = Verdict::kCancelled;
  outcome.seq = current_seq_;
  open_.erase(key);
  commands_.push_back(CancelAttempt{key, outcome.attempt});
}

void RunCore::Retry(const JobKey& key, const std::string& why, bool counts) {
  StepOutcome& outcome = *OutcomeOf(key);
  outcome.message = why;
  const RetryPolicy& policy = StepOf(key).retry;
  int64_t not_before = 0;
  if (counts) {
    ++outcome.failures;
    if (outcome.failures > policy.max) {
      GiveUp(key, "gave up after " + std::to_string(outcome.failures) +
                      " infrastructure failures: " + why);
      return;
    }
    const uint64_t window =
        std::min<uint64_t>(policy.cap_ms, static_cast<uint64_t>(policy.base_ms)
                                              << std::min(outcome.failures - 1, 20u));
    CounterRandom random(plan_.seed, Label(key, outcome.attempt) + "/retry");
    not_before = now_ms_ + static_cast<int64_t>(window > 0 ? random.Below(window) : 0);
  }
  Start(key, outcome, not_before);
}

void RunCore::GiveUp(const JobKey& key, const std::string& why) {
  StepOutcome& outcome = *OutcomeOf(key);
  outcome.state = StepOutcome::State::kEnded;
  outcome.verdict = Verdict::kPoison;
  outcome.message = why;
  outcome.seq = current_seq_;
  open_.erase(key);
  Changed(key.subject);
  const std::string where = Label(key, outcome.attempt) + ": ";
  if (key.subject.kind == SubjectKind::kPrepared) {
    Finish("failed", "failed", where + why);
  } else if (key.subject.kind == SubjectKind::kRequest) {
    ProposeRequest& request = requests_[key.subject.number - 1];
    if (request.select) {
      Finish("failed", "failed", where + why);
      return;
    }
    EndRequest(request);
    if (++given_up_[key.step] >= 3)
      Disable(StepOf(key).id, "three requests in a row came to nothing: " + why);
  } else if (key.index != 0) {
    JobReported report;
    report.key = key;
    report.attempt = outcome.attempt;
    report.result.verdict = Verdict::kPoison;
    report.result.message = why;
    ClaimReported(key, report);
  } else {
    End(candidates_[key.subject.number - 1], Verdict::kPoison, why, StepOf(key).id);
  }
}

void RunCore::Finish(const std::string& status, const std::string& stopped_by,
                     const std::string& message) {
  if (phase_ == Phase::kEnded) return;
  for (Candidate& c : candidates_) {
    if (!c.ended) End(c, Verdict::kCancelled, "the run ended", "");
  }
  // Whatever is still open belongs to requests, prepared things or claims.
  std::vector<JobKey> rest;
  for (const auto& [key, unused] : open_) rest.push_back(key);
  for (const JobKey& key : rest) Withdraw(key, *OutcomeOf(key));
  phase_ = Phase::kEnded;
  ended_ = RunEnded{status, stopped_by, message, claim_.IsNull() && best_ ? best_->facts : claim_};
  commands_.push_back(*ended_);
}

}  // namespace kev
