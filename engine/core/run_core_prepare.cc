// Before the search: the reference is compiled, the baselines are compiled and verified, and the
// strongest is found.
#include <algorithm>

#include "engine/core/run_core.h"

namespace kev {
namespace {

std::optional<uint16_t> FirstOf(const Plan& plan, StageKind kind, bool prefer_final = false) {
  std::optional<uint16_t> found;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    if (plan.steps[i].kind != kind) continue;
    if (!found) found = static_cast<uint16_t>(i);
    if (!prefer_final || plan.steps[i].final_fidelity) return static_cast<uint16_t>(i);
  }
  return found;
}

}  // namespace

void RunCore::BeginPreparing() {
  phase_ = Phase::kPreparing;
  const auto compile = FirstOf(plan_, StageKind::kCompile);
  if (!compile || plan_.prepared.empty()) return BeginSearch();
  for (const Prepared& spec : plan_.prepared) {
    PreparedState state;
    CandidateView& view = state.record.view;
    view.id = {SubjectKind::kPrepared, static_cast<uint32_t>(prepared_.size() + 1)};
    view.name = spec.name;
    view.origin = "prepare";
    view.source = spec.source;
    view.source_name = spec.source_name;
    state.record.steps.resize(plan_.steps.size());
    Changed(view.id);
    prepared_.push_back(std::move(state));
  }
  for (size_t i = 0; i < prepared_.size(); ++i) {
    const JobKey key{prepared_[i].record.view.id, *compile, 0};
    Start(key, prepared_[i].record.steps[*compile]);
  }
}

void RunCore::PreparedReported(uint32_t number, uint16_t step, const JobReported& event) {
  PreparedState& state = prepared_[number - 1];
  if (event.result.verdict != Verdict::kOk) {
    const bool reference = number <= plan_.prepared.size() && plan_.prepared[number - 1].reference;
    state.record.ended = true;
    state.record.verdict = event.result.verdict;
    Changed(event.key.subject, RecordPart::Part::kState);
    Finish(
        "failed", "failed",
        std::string(reference           ? "the task's reference"
                    : state.calibration ? "measuring the task's baselines"
                                        : "the task's baseline '" + state.record.view.name + "'") +
            " failed at step " + plan_.steps[step].id + " (" + Name(event.result.verdict) +
            "): " + event.result.message);
    return;
  }
  if (plan_.steps[step].kind == StageKind::kCompile) {
    state.artefacts = event.result.artefacts;
    if (state.artefacts.empty()) {
      Finish("failed", "failed",
             Label(event.key, event.attempt) + ": compile gave no artefact of '" +
                 state.record.view.name + "'");
      return;
    }
    const bool reference = plan_.prepared[number - 1].reference;
    for (Artefact& artefact : state.artefacts) {
      artefact.role = reference ? "reference" : "baseline";
      artefact.name = state.record.view.name;
    }
    state.ready = reference;
  } else {
    state.ready = true;
    if (state.calibration) {
      strongest_ = event.result.facts["baseline"].AsString();
      ranking_ = event.result.facts["ranking"];
    }
  }
  AdvancePrepared();
}

void RunCore::AdvancePrepared() {
  const auto verify = FirstOf(plan_, StageKind::kVerify);
  const auto profile = FirstOf(plan_, StageKind::kProfile, /*prefer_final=*/true);
  // What is verified is judged by references, and by the errors of a baseline.
  for (size_t i = 0; i < plan_.prepared.size(); ++i) {
    if (prepared_[i].artefacts.empty()) return;
  }
  bool all = true;
  bool baselines = false;
  for (size_t i = 0; i < prepared_.size(); ++i) {
    PreparedState& state = prepared_[i];
    if (!state.calibration && !plan_.prepared[i].reference) baselines = true;
    if (state.ready) continue;
    if (!verify && !state.calibration && !state.artefacts.empty()) {
      state.ready = true;
      continue;
    }
    all = false;
    if (state.calibration || state.artefacts.empty()) continue;
    StepOutcome& outcome = state.record.steps[*verify];
    if (outcome.state == StepOutcome::State::kWaiting)
      Start({state.record.view.id, *verify, 0}, outcome);
  }
  if (!all) return;
  if (profile && baselines && !prepared_.back().calibration) {
    PreparedState calibration;
    calibration.calibration = true;
    const Subject id{SubjectKind::kPrepared, static_cast<uint32_t>(prepared_.size() + 1)};
    calibration.record.view.id = id;
    calibration.record.view.name = "baselines";
    calibration.record.view.origin = "prepare";
    calibration.record.steps.resize(plan_.steps.size());
    prepared_.push_back(std::move(calibration));
    Changed(id);
    Start({id, *profile, 0}, prepared_.back().record.steps[*profile]);
    return;
  }
  BeginSearch();
}

void RunCore::BeginSearch() {
  phase_ = Phase::kSearching;
  const std::vector<uint32_t> given(active_numbers_.begin(), active_numbers_.end());
  for (const uint32_t number : given) Begin(candidates_[number - 1]);
}

}  // namespace kev
