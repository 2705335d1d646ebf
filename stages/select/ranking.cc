#include "stages/select/ranking.h"

#include <algorithm>
#include <cmath>
#include <map>

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

namespace {

// log speed-ups that duplicates were measured to have, by the number of the first of their code.
std::map<uint32_t, std::vector<double>> SamplesOfTwins(const RunCore& run) {
  std::map<uint32_t, std::vector<double>> samples;
  for (const Candidate& candidate : run.candidates()) {
    if (candidate.twin == 0) continue;
    bool confirmed = false;
    const StepOutcome* profile = LatestProfile(candidate, run.plan(), &confirmed);
    const double speedup = profile == nullptr ? 0 : profile->facts["speedup"].AsDouble();
    if (speedup > 0) samples[candidate.twin].push_back(std::log(speedup));
  }
  return samples;
}

}  // namespace

std::vector<Ranked> RankCandidates(const RunCore& run) {
  const std::map<uint32_t, std::vector<double>> samples = SamplesOfTwins(run);
  std::vector<Ranked> ranked;
  for (size_t i = 0; i < run.candidates().size(); ++i) {
    const Candidate& candidate = run.candidates()[i];
    if (candidate.twin != 0 || (candidate.ended && candidate.verdict != Verdict::kOk)) continue;
    Ranked entry;
    entry.number = static_cast<uint32_t>(i + 1);
    const StepOutcome* profile = LatestProfile(candidate, run.plan(), &entry.confirmed);
    if (profile == nullptr) continue;
    entry.speedup = profile->facts["speedup"].AsDouble();
    const auto more = samples.find(entry.number);
    if (!entry.confirmed && more != samples.end() && entry.speedup > 0) {
      double sum = std::log(entry.speedup);
      for (const double one : more->second) sum += one;
      entry.speedup = std::exp(sum / static_cast<double>(more->second.size() + 1));
    }
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
