// What a worker is told of a job: the bytes of Job, derived from the state at the moment of the
// start.
#include "engine/core/run_core.h"

namespace kev {
namespace {

Value FactsOf(const Plan& plan, const Candidate& c) {
  Value facts;
  for (size_t s = 0; s < c.steps.size(); ++s) {
    if (c.steps[s].state == StepOutcome::State::kPassed && !c.steps[s].facts.IsNull()) {
      facts.Set(plan.steps[s].id, c.steps[s].facts);
    }
  }
  return facts;
}

}  // namespace

std::string RunCore::PayloadOf(const JobKey& key, const StepOutcome& outcome) const {
  const Step& step = plan_.steps[key.step];
  Job job;
  job.run = run_;
  job.key = key;
  job.attempt = outcome.attempt;
  job.label = Label(key, outcome.attempt);
  job.step = step.id;
  job.stage = step.stage;
  job.settings = step.settings;
  job.context = plan_.context;
  job.target = plan_.target;
  job.seed = plan_.seed;
  job.running_limit_ms = step.timeout_running_ms;
  if (step.stateful) job.history_seq = group_last_seq_;

  if (key.subject.kind == SubjectKind::kRequest) {
    const ProposeRequest& request = requests_[key.subject.number - 1];
    if (request.select)
      job.places = request.request.hints;
    else
      job.request = request.request;
    return EncodeCanonical(ToValue(job));
  }

  const bool prepared = key.subject.kind == SubjectKind::kPrepared;
  const Candidate& c =
      prepared ? prepared_[key.subject.number - 1].record : candidates_[key.subject.number - 1];
  const bool calibration = prepared && prepared_[key.subject.number - 1].calibration;
  if (!calibration) {
    job.candidate = c.view;
    if (!prepared && step.kind == StageKind::kProfile) job.candidate->facts = FactsOf(plan_, c);
  }
  if (prepared && step.kind == StageKind::kCompile) {
    job.settings.Set("build", plan_.prepared[key.subject.number - 1].build);
  }
  if (prepared && step.kind == StageKind::kVerify) job.settings.Set("rigor", "full");
  if (key.index != 0) job.settings.Set("claim", true);

  if (step.kind == StageKind::kVerify || step.kind == StageKind::kProfile) {
    const auto add = [&](std::vector<Artefact> artefacts, const char* role) {
      for (Artefact& artefact : artefacts) {
        artefact.role = role;
        job.artefacts.push_back(std::move(artefact));
      }
    };
    if (!calibration)
      add(prepared ? prepared_[key.subject.number - 1].artefacts : c.artefacts, "candidate");
    if (step.kind == StageKind::kProfile) {
      if (best_ && best_->candidate != key.subject) {
        add(candidates_[best_->candidate.number - 1].artefacts, "incumbent");
      }
      for (size_t i = 0; i < plan_.prepared.size(); ++i) {
        if (!plan_.prepared[i].reference) add(prepared_[i].artefacts, "baseline");
      }
      if (!strongest_.empty()) {
        job.settings.Set("baseline", strongest_);
        job.settings.Set("ranking", ranking_);
      }
    } else {
      for (size_t i = 0; i < plan_.prepared.size(); ++i) {
        if (plan_.prepared[i].reference) add(prepared_[i].artefacts, "reference");
      }
    }
  }
  return EncodeCanonical(ToValue(job));
}

}  // namespace kev
