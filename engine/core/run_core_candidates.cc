// The way of one candidate through the graph: birth, firing of steps, verdict, and `best`.
#include <algorithm>

#include "engine/core/run_core.h"

namespace kev {

void RunCore::Born(const Proposal& proposal, uint32_t request_number) {
  ProposeRequest& request = requests_[request_number - 1];
  const auto number = static_cast<uint32_t>(candidates_.size() + 1);
  candidates_.emplace_back();
  Candidate& c = candidates_.back();
  c.view.id = {SubjectKind::kCandidate, number};
  c.view.name = Name(c.view.id);
  c.view.origin = plan_.steps[request.step].id;
  c.view.parents = proposal.parents;
  c.view.variant = proposal.variant;
  c.view.parameters = proposal.parameters;
  c.view.source = proposal.source;
  c.view.source_name = proposal.source_name;
  c.note = proposal.note;
  c.born_seq = current_seq_;
  c.steps.resize(plan_.steps.size());
  StepOutcome& origin = c.steps[request.step];
  origin.state = StepOutcome::State::kPassed;
  origin.attempt = request.outcome.attempt;
  origin.seq = current_seq_;
  request.born.push_back(c.view.id);
  ++proposed_[request.step];
  ++alive_[request.step];
  ++active_;
  Changed(c.view.id);
  const auto [twin, fresh] = by_source_.emplace(proposal.source.sha256, number);
  if (!fresh) {
    End(c, Verdict::kDuplicate, "same source as c" + std::to_string(twin->second), c.view.origin);
    return;
  }
  Fire(c);
}

// Starts or skips every step whose needs are met, until nothing more follows; ends the candidate
// when it has passed all.
void RunCore::Fire(Candidate& c) {
  using State = StepOutcome::State;
  const auto origin = plan_.Find(c.view.origin);
  const std::vector<bool>& path = path_[*origin];
  bool open = false;
  for (bool moved = true; moved;) {
    moved = false;
    open = false;
    for (size_t s = 0; s < plan_.steps.size(); ++s) {
      StepOutcome& outcome = c.steps[s];
      if (outcome.state == State::kOpen) open = true;
      if (!path[s] || outcome.state != State::kWaiting) continue;
      const Step& step = plan_.steps[s];
      const bool met = std::all_of(step.needs.begin(), step.needs.end(), [&](uint16_t need) {
        return !path[need] || c.steps[need].state == State::kPassed ||
               c.steps[need].state == State::kSkipped;
      });
      if (!met) continue;
      moved = true;
      if (Passes(c, step)) {
        Start({c.view.id, static_cast<uint16_t>(s), 0}, outcome);
      } else {
        outcome.state = State::kSkipped;
        outcome.seq = current_seq_;
      }
    }
  }
  if (!open) {
    const bool waiting = std::any_of(plan_.steps.begin(), plan_.steps.end(), [&](const Step& step) {
      const auto s = static_cast<size_t>(&step - plan_.steps.data());
      return path[s] && c.steps[s].state == State::kWaiting;
    });
    if (!waiting) End(c, Verdict::kOk, "", "");
  }
}

bool RunCore::Passes(const Candidate& c, const Step& step) const {
  if (step.when.empty()) return true;
  bool no_best = false;
  const NameLookup lookup = [&](std::string_view name, Value* out) {
    const size_t dot = name.find('.');
    if (dot == std::string_view::npos) return Lookup::kUnknown;
    const std::string_view scope = name.substr(0, dot);
    const std::string_view field = name.substr(dot + 1);
    if (scope == "best") {
      if (!best_ || !best_->facts.Has(field)) {
        no_best = true;
        return Lookup::kMissing;
      }
      *out = best_->facts[field];
      return Lookup::kFound;
    }
    if (scope == "run") {
      if (field == "candidates")
        *out = static_cast<int64_t>(candidates_.size());
      else if (field == "evaluated")
        *out = static_cast<int64_t>(evaluated_);
      else if (field == "refused")
        *out = static_cast<int64_t>(ended_count_ - std::min(ended_count_, evaluated_));
      else
        return Lookup::kUnknown;
      return Lookup::kFound;
    }
    if (scope == "task" && field == "name") {
      *out = plan_.task;
      return Lookup::kFound;
    }
    const auto index = plan_.Find(scope);
    if (!index || !c.steps[*index].facts.Has(field)) return Lookup::kMissing;
    *out = c.steps[*index].facts[field];
    return Lookup::kFound;
  };
  const Result<Value> value = Evaluate(step.when, lookup);
  if (no_best) return true;  // a condition on a missing `best` is true (DESIGN.md)
  return value.ok() && value->AsBool();
}

void RunCore::CandidateReported(uint32_t number, uint16_t step, const JobReported& event) {
  Candidate& c = candidates_[number - 1];
  const Step& spec = plan_.steps[step];
  if (event.result.verdict != Verdict::kOk) {
    End(c, event.result.verdict, event.result.message, spec.id);
    return;
  }
  if (spec.kind == StageKind::kCompile) {
    c.artefacts = event.result.artefacts;
    for (Artefact& artefact : c.artefacts) artefact.name = c.view.name;
  }
  if (spec.kind == StageKind::kProfile) {
    if (!c.evaluated) ++evaluated_;
    c.evaluated = true;
    if (spec.final_fidelity) ConsiderBest(c, step);
  }
  Fire(c);
}

// `best` moves to a candidate that was confirmed at final fidelity and is faster than the best so
// far.
void RunCore::ConsiderBest(Candidate& c, uint16_t step) {
  Best confirmed{c.view.id, step, c.steps[step].facts, current_seq_};
  if (confirmed.facts["speedup"].AsDouble() <= 0) return;
  // A verify step that its `when` skipped counts as passed for the graph, but not for a claim.
  for (size_t s = 0; s < plan_.steps.size(); ++s) {
    if (plan_.steps[s].kind == StageKind::kVerify &&
        c.steps[s].state == StepOutcome::State::kSkipped)
      return;
  }
  confirmed_.push_back(confirmed);
  if (best_ && confirmed.facts["speedup"].AsDouble() <= best_->facts["speedup"].AsDouble()) return;
  best_ = std::move(confirmed);
  since_best_ = 0;
  select_idle_ = false;
}

void RunCore::End(Candidate& c, Verdict verdict, const std::string& message,
                  const std::string& ended_by) {
  if (c.ended) return;
  c.ended = true;
  c.verdict = verdict;
  c.message = message;
  c.ended_by = ended_by;
  c.ended_seq = current_seq_;
  for (size_t s = 0; s < c.steps.size(); ++s)
    Withdraw({c.view.id, static_cast<uint16_t>(s), 0}, c.steps[s]);
  --active_;
  --alive_[*plan_.Find(c.view.origin)];
  ++ended_count_;
  const bool is_best = best_ && best_->candidate == c.view.id;
  if (!is_best && verdict != Verdict::kDuplicate && verdict != Verdict::kCancelled) ++since_best_;
  select_idle_ = false;
  Changed(c.view.id);
}

}  // namespace kev
