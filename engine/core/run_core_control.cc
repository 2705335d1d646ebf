// What people tell a run to do: pause, budgets, dead letters; and what the run says of itself.
#include <algorithm>
#include <charconv>

#include "engine/core/run_core.h"

namespace kev {

void RunCore::On(const Signal& e) {
  switch (e.kind) {
    case Signal::Kind::kPause:
      if (!paused_) paused_at_ms_ = now_ms_;
      paused_ = true;
      break;
    case Signal::Kind::kResume:
      if (paused_) paused_ms_ += now_ms_ - paused_at_ms_;
      paused_ = false;
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
  if (phase_ == Phase::kEnded && ended_->status == "done") {
    Reopen();
    phase_ = Phase::kSearching;
    for (auto& [id, search] : searches_) search.select_idle = false;
  } else if (phase_ == Phase::kDraining) {
    phase_ = Phase::kSearching;
  }
}

void RunCore::Reopen() {
  ended_.reset();
  claim_ = Value();
  stopped_by_.clear();
}

// A job from the dead-letter list begins with a clean slate; its candidate lives again.
void RunCore::RetryDead(const JobKey& key) {
  Candidate* c =
      key.subject.kind == SubjectKind::kCandidate ? candidates_.Find(key.subject.number) : nullptr;
  StepOutcome* outcome = OutcomeOf(key);
  if (c == nullptr || outcome == nullptr || key.claim() || !searches_.contains(c->search)) return;
  if (phase_ == Phase::kEnded) {
    if (ended_->status != "done") return;
    const std::string stopped_by = stopped_by_;
    Reopen();
    stopped_by_ = stopped_by;
    phase_ = Phase::kDraining;
  }
  if (c->ended) {
    c->ended = false;
    --ended_count_;
    --verdicts_[static_cast<size_t>(c->verdict)];
    c->verdict = Verdict::kOk;
    c->message.clear();
    c->ended_by.clear();
    c->born_ms = now_ms_;
    active_numbers_.insert(key.subject.number);
    if (plan_.candidate_timeout_ms != 0)
      deadlines_.emplace(now_ms_ + static_cast<int64_t>(plan_.candidate_timeout_ms),
                         key.subject.number);
    SearchState& search = searches_.at(c->search);
    ++search.active;
    if (c->origin < plan_.steps.size()) ++search.alive[c->origin];
  }
  c->broken.erase({region_[key.step], key.index});
  outcome->failures = outcome->deaths = 0;
  outcome->solitary = false;
  outcome->evidence.clear();
  Start(key, *outcome);
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
    if (error != std::errc() || end != index.data() + index.size() || number >= kFirstClaim)
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
    if (key.index >= WidthOf(c, key.step) && region_[key.step] != kNone &&
        c.widths.contains(region_[key.step]))
      return "there is no branch " + std::to_string(key.index);
    std::string waiting;
    for (const uint16_t need : step.needs) {
      if (!path_[c.origin][need]) continue;
      const StepOutcome* o = Find(c, need, region_[need] == region_[key.step] ? key.index : 0);
      const bool over = o != nullptr && (o->state == State::kPassed || o->state == State::kSkipped);
      if (region_[need] != kNone && region_[need] != region_[key.step])
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
