// Records of candidates and of the run: the form in which they are kept beside the log and shown to
// people.
#include "engine/core/run_core.h"

namespace kev {
namespace {

const char* Name(StepOutcome::State state) {
  static constexpr const char* kNames[] = {"waiting", "open", "passed", "skipped", "ended"};
  return kNames[static_cast<size_t>(state)];
}

Value OutcomeRecord(const StepOutcome& o) {
  Value v;
  v.Set("state", Name(o.state));
  if (o.state == StepOutcome::State::kSkipped) return v;
  v.Set("attempt", o.attempt);
  if (o.state == StepOutcome::State::kPassed || o.state == StepOutcome::State::kEnded) {
    v.Set("verdict", kev::Name(o.verdict));
    v.Set("seq", o.seq);
  }
  if (!o.message.empty()) v.Set("message", o.message);
  if (!o.facts.IsNull()) v.Set("facts", o.facts);
  if (o.cached) v.Set("cached", true);
  if (o.failures > 0) v.Set("failures", o.failures);
  if (o.deaths > 0) v.Set("deaths", o.deaths);
  if (o.usage.wall_ms > 0) v.Set("wall_ms", o.usage.wall_ms);
  if (o.usage.tokens_in > 0) v.Set("tokens_in", o.usage.tokens_in);
  if (o.usage.tokens_out > 0) v.Set("tokens_out", o.usage.tokens_out);
  if (!o.worker.empty()) v.Set("worker", o.worker);
  for (const std::string& what : o.evidence) v.Set("evidence").Append(what);
  if (!o.blobs.empty()) {
    Value blobs;
    for (const auto& [name, ref] : o.blobs) blobs.Set(name, ref.sha256);
    v.Set("blobs", std::move(blobs));
  }
  return v;
}

}  // namespace

std::string RunCore::OutcomeLabel(const Candidate& c, uint16_t step, uint16_t index) const {
  std::string label = plan_.steps[step].id;
  if (index == 0 && c.widths.contains(region_[step]))
    label += "[0]";
  else if (index != 0)
    label += IndexText(index);
  return label;
}

Value RunCore::CandidateRecord(Subject subject) const {
  Value v;
  if (subject.kind == SubjectKind::kRequest) {
    if (requests_.Find(subject.number) == nullptr) return v;
    const ProposeRequest& request = requests_[subject.number - 1];
    v.Set("id", kev::Name(subject));
    v.Set("step", plan_.steps[request.step].id);
    v.Set("count", request.request.count);
    if (!request.request.hints.IsNull())
      v.Set(request.select ? "places" : "hints", request.request.hints);
    v.Set("outcome", OutcomeRecord(request.outcome));
    Value::List born;
    for (const Subject s : request.born) born.emplace_back(kev::Name(s));
    v.Set("born", std::move(born));
    return v;
  }
  if (subject.kind == SubjectKind::kPrepared
          ? subject.number == 0 || subject.number > prepared_.size()
          : candidates_.Find(subject.number) == nullptr)
    return v;
  const Candidate& c = subject.kind == SubjectKind::kPrepared ? prepared_[subject.number - 1].record
                                                              : candidates_[subject.number - 1];
  v.Set("id", kev::Name(subject));
  v.Set("name", c.view.name);
  v.Set("origin", c.view.origin);
  v.Set("state", c.ended ? "ended" : "active");
  if (c.ended) v.Set("verdict", kev::Name(c.verdict));
  if (!c.message.empty()) v.Set("message", c.message);
  if (!c.ended_by.empty()) v.Set("ended_by", c.ended_by);
  if (c.ended && c.twin != 0) v.Set("same_as", kev::Name(Subject{SubjectKind::kCandidate, c.twin}));
  if (!c.view.variant.empty()) v.Set("variant", c.view.variant);
  if (!c.view.parameters.IsNull()) v.Set("parameters", c.view.parameters);
  if (!c.view.source.empty()) v.Set("source", c.view.source.sha256);
  if (!c.view.source_name.empty()) v.Set("source_name", c.view.source_name);
  if (!c.note.empty()) v.Set("note", c.note);
  if (!c.view.parents.empty()) {
    Value::List parents;
    for (const Subject s : c.view.parents) parents.emplace_back(kev::Name(s));
    v.Set("parents", std::move(parents));
  }
  if (!c.artefacts.empty()) {
    Value::List artefacts;
    for (const Artefact& a : c.artefacts) artefacts.push_back(ToValue(a));
    v.Set("artefacts", std::move(artefacts));
  }
  Value steps;
  for (size_t s = 0; s < c.steps.size(); ++s) {
    if (c.steps[s].state != StepOutcome::State::kWaiting)
      steps.Set(OutcomeLabel(c, static_cast<uint16_t>(s), 0), OutcomeRecord(c.steps[s]));
  }
  for (const auto& [where, outcome] : c.branches)
    steps.Set(OutcomeLabel(c, where.first, where.second), OutcomeRecord(outcome));
  for (const auto& [key, outcome] : claims_) {
    if (key.subject == subject)
      steps.Set(OutcomeLabel(c, key.step, key.index), OutcomeRecord(outcome));
  }
  if (!steps.IsNull()) v.Set("steps", std::move(steps));
  return v;
}

Value RunCore::RunRecord() const {
  Value v;
  v.Set("run", run_);
  v.Set("workflow", plan_.workflow);
  v.Set("task", plan_.task);
  v.Set("target", plan_.target);
  if (about_.Has("started")) v.Set("started", about_["started"]);
  v.Set("phase", kev::Name(phase_));
  v.Set("epoch", epoch_);
  v.Set("run_time_ms", now_ms_);
  v.Set("candidates", static_cast<int64_t>(candidates_.size()));
  v.Set("evaluated", evaluated_);
  if (held_out_looks_ > 0) v.Set("held_out_looks", held_out_looks_);
  v.Set("active", static_cast<int64_t>(active_numbers_.size()));
  v.Set("in_flight", in_flight_);
  if (paused_) v.Set("paused", true);
  if (!strongest_.empty()) v.Set("baseline", strongest_);
  if (best_) {
    v.Set("best", kev::Name(best_->candidate));
    v.Set("best_speedup", best_->facts["speedup"]);
  }
  if (!claim_.IsNull()) v.Set("claim", claim_);
  if (ended_) {
    v.Set("status", ended_->status);
    v.Set("stopped_by", ended_->stopped_by);
    if (!ended_->message.empty()) v.Set("message", ended_->message);
  }
  if (reserved_tokens_ > 0) v.Set("reserved_tokens", reserved_tokens_);
  if (reserved_usd_ > 0) v.Set("reserved_usd", reserved_usd_);
  if (!dead_.empty()) v.Set("dead_letters", static_cast<int64_t>(dead_.size()));
  Value disabled;
  for (const auto& [step, reason] : disabled_) disabled.Set(step, reason);
  if (!disabled.IsNull()) v.Set("disabled", std::move(disabled));
  return v;
}

}  // namespace kev
