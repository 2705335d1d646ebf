#include "stages/select/select.h"

#include <algorithm>
#include <optional>

#include "engine/core/random.h"
#include "stages/select/ranking.h"

namespace kev {
namespace {

constexpr size_t kTopOfGreedy = 5;
// Tuner proposals begin near the elites once this many candidates have been measured.
constexpr size_t kMeasuredBeforeHints = 16;

// Draws parents by the policy in the step's settings.
class ParentPolicy {
 public:
  ParentPolicy(const Value& settings, std::vector<Ranked> ranked, CounterRandom random)
      : ranked_(std::move(ranked)), random_(random) {
    greedy_ = settings["policy"].AsString() != "elites";
    auto elites = static_cast<size_t>(std::max<int64_t>(settings["elites"].AsInt(8), 1));
    top_ = std::min(ranked_.size(), greedy_ ? kTopOfGreedy : elites);
  }
  size_t measured() const { return ranked_.size(); }

  std::optional<Subject> Next() {
    if (top_ == 0) return std::nullopt;
    size_t index = 0;
    if (!greedy_) index = PickByRank(top_, random_.Unit());
    if (greedy_ && drawn_++ % 2 == 1) index = random_.Below(top_);
    return Subject{SubjectKind::kCandidate, ranked_[index].number};
  }

 private:
  std::vector<Ranked> ranked_;
  CounterRandom random_;
  bool greedy_ = true;
  size_t top_ = 0;
  size_t drawn_ = 0;
};

// One wish per place: each answer of a model has parents of its own.
void WishForModel(const std::string& step, uint32_t count, ParentPolicy& policy,
                  std::vector<Request>* wishes) {
  for (uint32_t i = 0; i < count; ++i) {
    Request wish;
    wish.step = step;
    if (std::optional<Subject> parent = policy.Next()) wish.parents.push_back(*parent);
    wishes->push_back(std::move(wish));
  }
}

// One wish for all places of a tuner: {near: c12, near_count: n} asks for n of them around a
// candidate. How the rest is drawn is the tuner's strategy.
void WishForTuner(const Step& step, uint32_t count, const RunCore& run, ParentPolicy& policy,
                  std::vector<Request>* wishes) {
  Request wish;
  wish.step = step.id;
  wish.count = count;
  if (step.settings["strategy"].AsString() != "random" &&
      policy.measured() >= kMeasuredBeforeHints && count >= 4) {
    std::optional<Subject> near = policy.Next();
    if (near && !run.candidates()[near->number - 1].view.variant.empty()) {
      wish.hints.Set("near", Name(*near));
      wish.hints.Set("near_count", count / 4);
    }
  }
  wishes->push_back(std::move(wish));
}

}  // namespace

JobResult HandleSelect(const Job& job, StageContext& context) {
  JobResult result;
  Result<const RunCore*> history = context.History();
  if (!history) {
    result.message = history.error().message;
    result.failure = Failure{FailureClass::kInfrastructure, result.message};
    return result;
  }
  const RunCore& run = **history;
  ParentPolicy policy(job.settings, RankCandidates(run),
                      CounterRandom(job.seed, job.step + "/" + Name(job.key.subject)));
  for (const auto& [step, places] : job.places.AsMap()) {
    std::optional<uint16_t> index = run.plan().Find(step);
    if (!index || places.AsInt() <= 0) continue;
    const Step& proposer = run.plan().steps[*index];
    auto count = static_cast<uint32_t>(std::min<int64_t>(places.AsInt(), UINT32_MAX));
    if (proposer.stage == "propose/tune") {
      WishForTuner(proposer, count, run, policy, &result.requests);
    } else {
      WishForModel(step, count, policy, &result.requests);
    }
  }
  return result;
}

}  // namespace kev
