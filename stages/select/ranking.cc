#include "stages/select/ranking.h"

#include <algorithm>

namespace kev {

const StepOutcome* LatestProfile(const Candidate& candidate, const Plan& plan, bool* confirmed) {
  const StepOutcome* latest = nullptr;
  for (size_t s = 0; s < candidate.steps.size() && s < plan.steps.size(); ++s) {
    const StepOutcome& outcome = candidate.steps[s];
    if (plan.steps[s].kind != StageKind::kProfile || outcome.state != StepOutcome::State::kPassed)
      continue;
    if (latest != nullptr && outcome.seq < latest->seq) continue;
    latest = &outcome;
    *confirmed = plan.steps[s].final_fidelity;
  }
  return latest;
}

std::vector<Ranked> RankCandidates(const RunCore& run) {
  std::vector<Ranked> ranked;
  for (size_t i = 0; i < run.candidates().size(); ++i) {
    const Candidate& candidate = run.candidates()[i];
    if (candidate.ended && candidate.verdict != Verdict::kOk) continue;
    Ranked entry;
    entry.number = static_cast<uint32_t>(i + 1);
    const StepOutcome* profile = LatestProfile(candidate, run.plan(), &entry.confirmed);
    if (profile == nullptr) continue;
    entry.speedup = profile->facts["speedup"].AsDouble();
    if (entry.speedup > 0) ranked.push_back(entry);
  }
  std::sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
    return a.speedup != b.speedup ? a.speedup > b.speedup : a.number < b.number;
  });
  return ranked;
}

size_t PickByRank(size_t n, double unit) {
  double total = 0;
  for (size_t i = 0; i < n; ++i) total += 1.0 / static_cast<double>(i + 1);
  double left = unit * total;
  for (size_t i = 0; i + 1 < n; ++i) {
    left -= 1.0 / static_cast<double>(i + 1);
    if (left < 0) return i;
  }
  return n - 1;
}

}  // namespace kev
