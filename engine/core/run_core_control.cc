// What people tell a run to do: pause, budgets, dead letters; and what the run says of itself.
#include <algorithm>
#include <charconv>

#include "engine/core/run_core.h"

namespace kev {

void RunCore::On(const Signal& e) {
  switch (e.kind) {
    case Signal::Kind::kPause:
    case Signal::Kind::kResume:
      paused_ = e.kind == Signal::Kind::kPause;
      MindClock();
      break;
    case Signal::Kind::kCancel:
      if (phase_ != Phase::kEnded) Finish("cancelled", "cancelled", "cancelled by a signal");
      break;
    case Signal::Kind::kBudget:
      ChangeBudget(e.data);
      break;
    case Signal::Kind::kWorkerDrained:
      break;
    case Signal::Kind::kRetryDead:
    case Signal::Kind::kDropDead: {
      const auto key = JobNamed(e.data["job"].AsString());
      const auto letter = std::find_if(dead_.begin(), dead_.end(),
                                       [&](const DeadLetter& d) { return key && d.key == *key; });
      if (letter == dead_.end()) break;
      if (e.kind == Signal::Kind::kRetryDead && !CanRetryDead(*key)) break;  // it stays in the list
      dead_.erase(letter);
      if (e.kind == Signal::Kind::kRetryDead)
        RetryDead(*key);
      else if (!options_.keep_ended && key->subject.kind == SubjectKind::kCandidate)
        to_let_go_.push_back(key->subject.number);
      break;
    }
  }
}

// A run that had ended for want of budget goes on when it gets more.
void RunCore::ChangeBudget(const Value& limits) {
  const auto count = [&](const char* key, uint64_t* limit) {
    if (limits.Has(key)) *limit = static_cast<uint64_t>(std::max<int64_t>(0, limits[key].AsInt()));
  };
  count("candidates", &plan_.budget.candidates);
  count("evaluations", &plan_.budget.evaluations);
  count("wall_ms", &plan_.budget.wall_ms);
  count("tokens", &plan_.budget.tokens);
  count("plateau", &plan_.stop.plateau);
  if (limits.Has("device_s")) plan_.budget.device_s = limits["device_s"].AsDouble();
  if (limits.Has("usd")) plan_.budget.usd = limits["usd"].AsDouble();
  if (limits.Has("speedup")) plan_.stop.speedup = limits["speedup"].AsDouble();
  const bool over = phase_ == Phase::kEnded && ended_->status == "done";
  if (!over && phase_ != Phase::kClaiming && phase_ != Phase::kDraining) return;
  Reopen(Phase::kSearching);
  for (auto& [id, search] : searches_) search.select_idle = false;
}

// A run that had come to its end goes on: there will be another claim.
void RunCore::Reopen(Phase phase) {
  WithdrawClaims();
  ended_.reset();
  claim_ = Value();
  if (phase == Phase::kSearching) stopped_by_.clear();
  phase_ = phase;
  MindClock();
}

// Run time without that in which the run was paused or had ended: what budgets and time-outs count.
int64_t RunCore::SearchTime() const { return still_since_ms_.value_or(now_ms_) - still_ms_; }

void RunCore::MindClock() {
  const bool still = paused_ || phase_ == Phase::kEnded;
  if (still && !still_since_ms_) still_since_ms_ = now_ms_;
  if (still || !still_since_ms_) return;
  still_ms_ += now_ms_ - *still_since_ms_;
  still_since_ms_.reset();
}

// Jobs of candidates can be tried again, but neither those of a search that is over nor of a run
// that failed.
bool RunCore::CanRetryDead(const JobKey& key) const {
  const Candidate* c =
      key.subject.kind == SubjectKind::kCandidate ? candidates_.Find(key.subject.number) : nullptr;
  return c != nullptr && !key.claim() && OutcomeOf(key) != nullptr &&
         searches_.contains(c->search) && (phase_ != Phase::kEnded || ended_->status == "done");
}

// A job from the dead-letter list begins with a clean slate; its candidate lives again, and with it
// whatever was called back when it ended.
void RunCore::RetryDead(const JobKey& key) {
  if (phase_ == Phase::kEnded || phase_ == Phase::kClaiming) Reopen(Phase::kDraining);
  Candidate& c = candidates_[key.subject.number - 1];
  StepOutcome& outcome = *OutcomeOf(key);
  const uint16_t region = RegionOf(c, key.step);
  if (region != kNone) {
    c.broken.erase({region, key.index});
    GatherArtefacts(c, region);
  }
  Revive(c);
  outcome.failures = outcome.deaths = 0;
  outcome.solitary = false;
  outcome.verdict = Verdict::kOk;
  outcome.evidence.clear();
  Start(key, outcome);
  Fire(c);
}

void RunCore::Revive(Candidate& c) {
  const auto called_back = [&](uint16_t step, uint16_t branch, StepOutcome& o) {
    if (o.state != StepOutcome::State::kEnded || o.verdict != Verdict::kCancelled ||
        o.reported != 0)
      return;
    if (c.broken.contains({RegionOf(c, step), branch})) return;
    o.state = StepOutcome::State::kWaiting;
    o.verdict = Verdict::kOk;
  };
  for (size_t s = 0; s < c.steps.size(); ++s) called_back(static_cast<uint16_t>(s), 0, c.steps[s]);
  for (auto& [where, outcome] : c.branches) called_back(where.first, where.second, outcome);
  Changed(c.view.id);
  if (!c.ended) return;
  SearchState& search = searches_.at(c.search);
  const std::optional<Best>& best = c.search == 0 ? best_ : search.best;
  if (search.since_best > 0 && (!best || best->seq < c.ended_seq)) --search.since_best;
  c.ended = false;
  --ended_count_;
  --verdicts_[static_cast<size_t>(c.verdict)];
  c.verdict = Verdict::kOk;
  c.message.clear();
  c.ended_by.clear();
  active_numbers_.insert(c.view.id.number);
  if (plan_.candidate_timeout_ms != 0) {
    c.due_ms = SearchTime() + static_cast<int64_t>(plan_.candidate_timeout_ms);
    deadlines_.emplace(c.due_ms, c.view.id.number);
  }
  ++search.active;
  if (c.origin < plan_.steps.size()) ++search.alive[c.origin];
}

std::optional<JobKey> RunCore::JobNamed(std::string_view name) const {
  name = name.substr(0, name.find('#'));
  const size_t slash = name.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto subject = SubjectFrom(name.substr(0, slash));
  std::string_view step = name.substr(slash + 1);
  JobKey key;
  const size_t bracket = step.rfind('[');
  if (bracket != std::string_view::npos && step.ends_with(']')) {
    std::string_view index = step.substr(bracket + 1, step.size() - bracket - 2);
    const bool claim = index.starts_with("claim ");
    if (claim) index.remove_prefix(6);
    unsigned number = 0;
    const auto [end, error] = std::from_chars(index.data(), index.data() + index.size(), number);
    if (error != std::errc() || end != index.data() + index.size() || number >= kFirstClaim ||
        (claim && number == 0))
      return std::nullopt;
    key.index = static_cast<uint16_t>(claim ? kFirstClaim + number - 1 : number);
    step = step.substr(0, bracket);
  }
  const auto index = plan_.Find(step);
  if (!subject || !index) return std::nullopt;
  key.subject = *subject;
  key.step = *index;
  return key;
}

std::string RunCore::Explain(const JobKey& key) const {
  using State = StepOutcome::State;
  if (key.step >= plan_.steps.size()) return "there is no such step";
  const Step& step = plan_.steps[key.step];
  const uint32_t n = key.subject.number;
  if (key.subject.kind == SubjectKind::kCandidate && candidates_.Find(n) == nullptr) {
    return n == 0 || n > candidates_.size() ? "there is no candidate " + Name(key.subject)
                                            : Name(key.subject) + " has ended";
  }
  const StepOutcome* outcome = OutcomeOf(key);
  if (outcome == nullptr) return Name(key.subject) + " has no job of step " + step.id;
  switch (outcome->state) {
    case State::kOpen:
      if (step.kind == StageKind::kWorkflow) {
        for (const auto& [id, search] : searches_) {
          if (id != 0 && search.parent == key)
            return "its nested search goes on: " + std::to_string(search.born) +
                   " candidates so far, " + std::to_string(search.active) + " under way";
        }
      }
      return "";
    case State::kPassed:
      return "it has passed, with attempt " + std::to_string(outcome->attempt);
    case State::kSkipped:
      return step.when.empty() ? "it was skipped: there was nothing to go over"
                               : "it was skipped: its `when` was not true (" + step.when.text + ")";
    case State::kEnded:
      return std::string("it ended with verdict ") + Name(outcome->verdict) +
             (outcome->message.empty() ? "" : ": " + outcome->message);
    case State::kWaiting:
      break;
  }
  if (key.subject.kind == SubjectKind::kCandidate) {
    const Candidate& c = candidates_[n - 1];
    if (!path_[c.origin][key.step])
      return "it is not on the way of candidates that come from " + c.view.origin;
    if (c.ended) return Name(key.subject) + " ended before it (" + Name(c.verdict) + ")";
    const uint16_t region = RegionOf(c, key.step);
    if (region != kNone && c.widths.contains(region) && key.index >= c.widths.at(region))
      return "there is no branch " + std::to_string(key.index);
    std::string waiting;
    for (const uint16_t need : step.needs) {
      if (!path_[c.origin][need]) continue;
      const uint16_t behind = RegionOf(c, need);
      const StepOutcome* o = Find(c, need, behind == region ? key.index : 0);
      const bool over = o != nullptr && (o->state == State::kPassed || o->state == State::kSkipped);
      if (behind != kNone && (behind != region || region == key.step))
        waiting +=
            (waiting.empty() ? "" : ", ") + std::string("the branches of ") + plan_.steps[need].id;
      else if (!over)
        waiting += (waiting.empty() ? "" : ", ") + plan_.steps[need].id;
    }
    return "it waits for " + (waiting.empty() ? "its needs" : waiting);
  }
  return "it has not been asked for yet";
}

std::string RunCore::ExplainRun() const {
  if (phase_ == Phase::kNew) return "it was not submitted yet";
  if (phase_ == Phase::kEnded)
    return "it has ended (" + ended_->status + ", stopped by " + ended_->stopped_by + ")";
  if (paused_) return "it is paused; `kevolve resume " + run_ + "` goes on";
  if (open_count_ > 0) return "";
  if (plan_.given && !all_given_) return "it waits for candidates to be given";
  if (in_flight_ == 0) return "in_flight is 0";
  return "";
}

}  // namespace kev
