// Events in, commands out: the entry point, and what an event of an attempt means.
#include "engine/core/run_core.h"

#include <algorithm>
#include <charconv>

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

RunCore::RunCore(std::string run) : RunCore(std::move(run), Options()) {}
RunCore::RunCore(std::string run, Options options) : run_(std::move(run)), options_(options) {}

std::vector<Command> RunCore::Apply(const EventGroup& group) {
  LetGoEnded();
  commands_.clear();
  now_ms_ = std::max(now_ms_, group.run_time_ms);
  group_last_seq_ = group.last_seq();
  current_seq_ = group.first_seq;
  for (const Event& event : group.events) {
    std::visit([this](const auto& e) { On(e); }, event);
    ++current_seq_;
  }
  last_seq_ = current_seq_ = group_last_seq_;
  Expire();
  if (phase_ == Phase::kSearching || phase_ == Phase::kDraining) DeriveSearches();
  return std::exchange(commands_, {});
}

Digest128 RunCore::DigestCommands(const std::vector<Command>& commands) {
  std::string bytes;
  for (const Command& command : commands) EncodeCommand(command, &bytes);
  return DigestOf(bytes);
}

std::optional<int64_t> RunCore::NextDeadline() const {
  std::optional<int64_t> next;
  if (still_since_ms_) return next;
  if (phase_ == Phase::kSearching && plan_.budget.wall_ms != 0)
    next = static_cast<int64_t>(plan_.budget.wall_ms) + still_ms_;
  if (!deadlines_.empty() && (!next || deadlines_.begin()->first + still_ms_ < *next))
    next = deadlines_.begin()->first + still_ms_;
  return next;
}

std::vector<RecordPart> RunCore::TakeChanged() {
  std::sort(changed_.begin(), changed_.end());
  // All of a record sorts before its parts, and has them.
  const auto has = [](const RecordPart& one, const RecordPart& next) {
    return one == next || (one.subject == next.subject && one.part == RecordPart::Part::kAll);
  };
  changed_.erase(std::unique(changed_.begin(), changed_.end(), has), changed_.end());
  return std::exchange(changed_, {});
}

void RunCore::Changed(Subject subject, RecordPart::Part part) {
  if (options_.payloads) changed_.push_back({subject, part});
}

void RunCore::Changed(const JobKey& key) {
  if (key.subject.kind == SubjectKind::kRequest)
    Changed(key.subject);
  else if (options_.payloads)
    changed_.push_back({key.subject, RecordPart::Part::kStep, key.step, key.index});
}

std::map<std::string, uint64_t> RunCore::refused() const {
  std::map<std::string, uint64_t> counts;
  for (size_t v = 0; v < verdicts_.size(); ++v) {
    if (verdicts_[v] > 0 && static_cast<Verdict>(v) != Verdict::kOk)
      counts[Name(static_cast<Verdict>(v))] = verdicts_[v];
  }
  return counts;
}

std::string RunCore::Label(const JobKey& key, uint32_t attempt) const {
  char text[16];
  text[0] = "crp"[static_cast<size_t>(key.subject.kind)];
  std::string label(text, std::to_chars(text + 1, text + sizeof text, key.subject.number).ptr);
  label.push_back('/');
  label += plan_.steps[key.step].id;
  if (key.claim())
    label += IndexText(key.index);
  else if (RegionOf(key) != kNone)
    label += "[" + std::to_string(key.index) + "]";
  label.push_back('#');
  label.append(text, std::to_chars(text, text + sizeof text, attempt).ptr);
  return label;
}

void RunCore::On(const RunSubmitted& e) {
  if (phase_ != Phase::kNew) return;
  plan_ = e.plan;
  about_ = e.about;
  in_flight_ = plan_.in_flight;
  LayOutGraph();
  searches_[0] = NewSearch(0);
  BeginPreparing();
}

void RunCore::On(const JobReported& e) {
  // The same result once more, whose usage is counted already; or one of an attempt that never was.
  if (HasReported(e.key, e.attempt) || !WasIssued(e.key, e.attempt)) {
    ++stale_;
    return;
  }
  usage_.tokens_in += e.result.usage.tokens_in;
  usage_.tokens_out += e.result.usage.tokens_out;
  usage_.usd += e.result.usage.usd;
  usage_.device_ms += e.result.usage.device_ms;
  usage_.wall_ms += e.result.usage.wall_ms;
  StepOutcome* outcome = OpenOutcome(e.key, e.attempt);
  if (outcome == nullptr) {
    spent_.insert({e.key, e.attempt});
    ++stale_;
    return;
  }
  outcome->worker = e.worker;
  for (const auto& [name, ref] : e.result.blobs) outcome->blobs[name] = ref;
  Changed(e.key);
  if (e.key.subject.kind == SubjectKind::kRequest)
    Settle(requests_[e.key.subject.number - 1], /*answered=*/true);
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
      outcome->evidence.push_back(e.worker + ": " + failure.message);
      Retry(e.key, failure.message, /*counts=*/true);
    }
    return;
  }
  Close(*outcome, e.result.verdict == Verdict::kOk ? StepOutcome::State::kPassed
                                                   : StepOutcome::State::kEnded);
  outcome->reported = e.attempt;
  outcome->verdict = e.result.verdict;
  outcome->message = e.result.message;
  outcome->facts = e.result.facts;
  outcome->usage = e.result.usage;
  outcome->cached = e.result.cached;
  outcome->seq = current_seq_;
  if (e.key.subject.kind == SubjectKind::kCandidate) {
    if (e.result.facts["held_out"].AsInt() > 0) ++held_out_looks_;
    if (e.key.claim())
      ClaimReported(e.key, e);
    else
      CandidateReported(e);
  } else if (e.key.subject.kind == SubjectKind::kRequest) {
    RequestReported(e.key.subject.number, e);
  } else {
    PreparedReported(e.key.subject.number, e.key.step, e);
  }
}

void RunCore::On(const AttemptLost& e) {
  StepOutcome* outcome = OpenOutcome(e.key, e.attempt);
  if (outcome == nullptr) return;
  if (e.reason == AttemptLost::Reason::kWorkerDied && e.taken) {
    ++outcome->deaths;
    outcome->evidence.push_back(e.detail + (e.alone ? " (it was its only job)" : ""));
    if (e.alone && outcome->solitary) {
      GiveUp(e.key, "its worker died " + std::to_string(outcome->deaths) +
                        " times, the last time alone: " + e.detail);
      return;
    }
    if (outcome->deaths >= 2) outcome->solitary = true;
  }
  Retry(e.key, e.detail, /*counts=*/false);
}

void RunCore::On(const OpenAttemptsLost& e) {
  for (const StartAttempt& open : OpenAttempts()) {
    const bool kept =
        std::binary_search(e.kept.begin(), e.kept.end(), std::pair(open.key, open.attempt));
    if (!kept && OpenAttempt(open.key) == open.attempt) Retry(open.key, e.detail, false);
  }
}

void RunCore::On(const AttemptTimedOut& e) {
  StepOutcome* outcome = OpenOutcome(e.key, e.attempt);
  if (outcome == nullptr) return;
  commands_.push_back(CancelAttempt{e.key, e.attempt});
  static constexpr const char* kWhy[] = {"waited longer than the step's queued timeout",
                                         "ran longer than the step's timeout",
                                         ("gave no sign of progress for the step's no-progress "
                                          "timeout")};
  const char* why = kWhy[static_cast<size_t>(e.kind)];
  outcome->evidence.emplace_back(why);
  Retry(e.key, why, /*counts=*/true);
}

void RunCore::On(const StepDisabled& e) { Disable(e.step, e.reason); }
void RunCore::On(const InFlightSet& e) { in_flight_ = e.in_flight; }
void RunCore::On(const EpochBegun& e) { epoch_ = e.epoch; }
void RunCore::On(const TimePassed&) {}

void RunCore::Finish(const std::string& status, const std::string& stopped_by,
                     const std::string& message) {
  if (phase_ == Phase::kEnded) return;
  while (!active_numbers_.empty())
    End(candidates_[*active_numbers_.begin() - 1], Verdict::kCancelled, "the run ended", "");
  // Whatever is still open belongs to requests, prepared things or claims.
  for (const StartAttempt& open : OpenAttempts()) Withdraw(open.key, *OutcomeOf(open.key));
  phase_ = Phase::kEnded;
  MindClock();
  ended_ = RunEnded{status, stopped_by, message, claim_.IsNull() && best_ ? best_->facts : claim_};
  commands_.push_back(*ended_);
}

// Ends the candidates whose time is over. Deadlines are made of run time, so that this is a fold,
// too.
void RunCore::Expire() {
  while (!deadlines_.empty() && deadlines_.begin()->first <= SearchTime()) {
    Candidate& c = candidates_[deadlines_.begin()->second - 1];
    End(c, Verdict::kTimeout,
        "it was not done " + std::to_string(plan_.candidate_timeout_ms) +
            " ms after its birth, the candidate's time-out",
        "");
  }
}

}  // namespace kev
