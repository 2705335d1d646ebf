// Attempts: which are open, were given out or reported; how one begins, is withdrawn, made again or
// given up.
#include <algorithm>

#include "engine/core/random.h"
#include "engine/core/run_core.h"

namespace kev {

std::vector<StartAttempt> RunCore::OpenAttempts() const {
  std::vector<StartAttempt> open;
  const auto add = [&](const JobKey& key, const StepOutcome& outcome) {
    if (outcome.state != StepOutcome::State::kOpen || StepOf(key).kind == StageKind::kWorkflow)
      return;
    StartAttempt start;
    start.key = key;
    start.attempt = outcome.attempt;
    start.solitary = outcome.solitary;
    open.push_back(std::move(start));
  };
  const auto add_all = [&](const Candidate& c) {
    for (size_t s = 0; s < c.steps.size(); ++s)
      add({c.view.id, static_cast<uint16_t>(s), 0}, c.steps[s]);
    for (const auto& [where, outcome] : c.branches)
      add({c.view.id, where.first, where.second}, outcome);
  };
  for (const uint32_t number : active_numbers_) add_all(candidates_[number - 1]);
  for (const uint32_t number : open_requests_) {
    const ProposeRequest& request = requests_[number - 1];
    add({{SubjectKind::kRequest, number}, request.step, 0}, request.outcome);
  }
  for (const PreparedState& state : prepared_) add_all(state.record);
  for (const auto& [key, outcome] : claims_) add(key, outcome);
  std::sort(open.begin(), open.end(),
            [](const StartAttempt& a, const StartAttempt& b) { return a.key < b.key; });
  return open;
}

uint32_t RunCore::OpenAttempt(const JobKey& key) const {
  const StepOutcome* outcome = OutcomeOf(key);
  return outcome != nullptr && outcome->state == StepOutcome::State::kOpen &&
                 StepOf(key).kind != StageKind::kWorkflow
             ? outcome->attempt
             : 0;
}

uint64_t RunCore::JobDigest(const JobKey& key) const {
  const StepOutcome* outcome = OutcomeOf(key);
  return outcome == nullptr ? 0 : outcome->job_digest;
}

// Whether it is work that the engine gives out, and no step that stands for something else: the
// propose step that a candidate came from, or a nested search.
bool RunCore::IsWork(const JobKey& key) const {
  const uint32_t n = key.subject.number;
  if (key.step >= plan_.steps.size() || n == 0 || StepOf(key).kind == StageKind::kWorkflow)
    return false;
  if (key.subject.kind != SubjectKind::kCandidate) return true;
  const Candidate* c = candidates_.Find(n);
  if (c != nullptr) return c->origin != key.step;
  const Past* past = PastOf(key.subject);
  return past != nullptr && past->origin != key.step;
}

// Null: it was not let go.
const RunCore::Past* RunCore::PastOf(Subject subject) const {
  if (subject.kind == SubjectKind::kPrepared) return nullptr;
  const auto& gone = subject.kind == SubjectKind::kRequest ? gone_requests_ : gone_candidates_;
  if (subject.number == 0 || subject.number > gone.size()) return nullptr;
  const uint32_t past = gone[subject.number - 1];
  return past == 0 ? nullptr : &pasts_[past - 1];
}

// The attempts of a job whose subject was let go; none: it never began.
RunCore::PastAttempts RunCore::GoneAttempts(const JobKey& key) const {
  const Past* past = key.claim() ? nullptr : PastOf(key.subject);
  if (past == nullptr) return {};
  for (const PastAttempts& job : past->attempts) {
    if (job.step == key.step && job.index == key.index) return job;
  }
  return {};
}

uint32_t RunCore::PastNumber(Past past) {
  const auto next = static_cast<uint32_t>(pasts_.size() + 1);
  const auto [it, is_new] = past_numbers_.try_emplace(std::move(past), next);
  if (is_new) pasts_.push_back(it->first);
  return it->second;
}

bool RunCore::Solitary(const JobKey& key) const {
  const StepOutcome* outcome = OutcomeOf(key);
  return outcome != nullptr && outcome->solitary;
}

bool RunCore::HasReported(const JobKey& key, uint32_t attempt) const {
  if (attempt == 0 || !IsWork(key)) return false;
  const StepOutcome* outcome = OutcomeOf(key);
  const uint32_t reported = outcome != nullptr ? outcome->reported : GoneAttempts(key).reported;
  return reported == attempt || spent_.contains({key, attempt});
}

bool RunCore::WasIssued(const JobKey& key, uint32_t attempt) const {
  if (attempt == 0 || !IsWork(key)) return false;
  const StepOutcome* outcome = OutcomeOf(key);
  return attempt <= (outcome != nullptr ? outcome->attempt : GoneAttempts(key).attempt);
}

// The job's outcome when this attempt is the open one; null when it is not.
StepOutcome* RunCore::OpenOutcome(const JobKey& key, uint32_t attempt) {
  StepOutcome* outcome = IsWork(key) ? OutcomeOf(key) : nullptr;
  return outcome != nullptr && outcome->state == StepOutcome::State::kOpen &&
                 outcome->attempt == attempt
             ? outcome
             : nullptr;
}

StepOutcome* RunCore::OutcomeOf(const JobKey& key) {
  if (key.step >= plan_.steps.size()) return nullptr;
  const uint32_t n = key.subject.number;
  if (n == 0) return nullptr;
  if (key.claim()) {
    const auto it = claims_.find(key);
    return it == claims_.end() ? nullptr : &it->second;
  }
  switch (key.subject.kind) {
    case SubjectKind::kCandidate: {
      Candidate* c = candidates_.Find(n);
      if (c == nullptr) return nullptr;
      if (key.index == 0) return &c->steps[key.step];
      const auto it = c->branches.find({key.step, key.index});
      return it == c->branches.end() ? nullptr : &it->second;
    }
    case SubjectKind::kRequest: {
      ProposeRequest* request = requests_.Find(n);
      return request != nullptr && request->step == key.step && key.index == 0 ? &request->outcome
                                                                               : nullptr;
    }
    case SubjectKind::kPrepared:
      return n <= prepared_.size() && key.index == 0 ? &prepared_[n - 1].record.steps[key.step]
                                                     : nullptr;
  }
  return nullptr;
}

void RunCore::Start(const JobKey& key, StepOutcome& outcome, int64_t not_before_ms) {
  ++outcome.attempt;
  if (outcome.state != StepOutcome::State::kOpen) ++open_count_;
  outcome.state = StepOutcome::State::kOpen;
  Changed(key);
  if (key.subject.kind == SubjectKind::kRequest) {
    open_requests_.insert(key.subject.number);
    Reserve(requests_[key.subject.number - 1]);
  }
  StartAttempt start;
  start.key = key;
  start.attempt = outcome.attempt;
  start.not_before_ms = not_before_ms;
  start.solitary = outcome.solitary;
  if (options_.payloads) {
    start.payload = PayloadOf(key, outcome);
    start.digest = std::max<uint64_t>(1, DigestOf(start.payload).lo >> 1);
  }
  outcome.job_digest = start.digest;
  commands_.push_back(std::move(start));
}

// An attempt is no longer open.
void RunCore::Close(StepOutcome& outcome, StepOutcome::State state) {
  if (outcome.state == StepOutcome::State::kOpen) --open_count_;
  outcome.state = state;
}

// Ends an open attempt without a result.
void RunCore::Withdraw(const JobKey& key, StepOutcome& outcome) {
  if (outcome.state != StepOutcome::State::kOpen) return;
  Close(outcome, StepOutcome::State::kEnded);
  outcome.verdict = Verdict::kCancelled;
  outcome.seq = current_seq_;
  Changed(key);
  if (StepOf(key).kind == StageKind::kWorkflow)
    CancelNested(key);
  else
    commands_.push_back(CancelAttempt{key, outcome.attempt});
  if (key.subject.kind == SubjectKind::kRequest) {
    Settle(requests_[key.subject.number - 1], /*answered=*/false);
    open_requests_.erase(key.subject.number);
    requests_to_let_go_.push_back(key.subject.number);
  }
}

void RunCore::Retry(const JobKey& key, const std::string& why, bool counts) {
  StepOutcome& outcome = *OutcomeOf(key);
  outcome.message = why;
  if (key.subject.kind == SubjectKind::kRequest) {
    ProposeRequest& request = requests_[key.subject.number - 1];
    Settle(request, /*answered=*/false);
    // What the last attempt may have cost can be what another one would need.
    if (!request.select && Affordable(StepOf(key), PurseLeft()) < request.request.count) {
      Close(outcome, StepOutcome::State::kEnded);
      outcome.verdict = Verdict::kCancelled;
      outcome.message = why + "; the budget does not pay for another attempt";
      outcome.seq = current_seq_;
      Changed(key);
      open_requests_.erase(key.subject.number);
      requests_to_let_go_.push_back(key.subject.number);
      EndRequest(request);
      return;
    }
  }
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
  Close(outcome, StepOutcome::State::kEnded);
  outcome.verdict = Verdict::kPoison;
  outcome.message = why;
  outcome.seq = current_seq_;
  dead_.push_back({key, outcome.attempt, why, outcome.evidence, current_seq_});
  Changed(key);
  const std::string where = Label(key, outcome.attempt) + ": ";
  if (key.subject.kind == SubjectKind::kPrepared) {
    Finish("failed", "failed", where + why);
  } else if (key.subject.kind == SubjectKind::kRequest) {
    ProposeRequest& request = requests_[key.subject.number - 1];
    Settle(request, /*answered=*/false);
    open_requests_.erase(key.subject.number);
    requests_to_let_go_.push_back(key.subject.number);
    if (request.select) {
      Finish("failed", "failed", where + why);
      return;
    }
    EndRequest(request);
    SearchState& search = searches_.at(request.search);
    if (++search.given_up[key.step] >= 3)
      Disable(StepOf(key).id, "three requests in a row came to nothing: " + why);
  } else if (key.claim()) {
    JobReported report;
    report.key = key;
    report.attempt = outcome.attempt;
    report.result.verdict = Verdict::kPoison;
    report.result.message = why;
    ClaimReported(key, report);
  } else {
    JobReported report;
    report.key = key;
    report.attempt = outcome.attempt;
    report.result.verdict = Verdict::kPoison;
    report.result.message = why;
    CandidateReported(report);
  }
}

}  // namespace kev
