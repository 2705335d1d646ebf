#include "stages/propose/tune.h"

#include <algorithm>
#include <mutex>

#include "stages/propose/search_space.h"
#include "stages/propose/tune_strategy.h"
#include "stages/select/ranking.h"

namespace kev {
namespace {

constexpr char kStage[] = "propose/tune";
constexpr uint64_t kLeastSpread = 16;

JobResult Failed(const Error& error) {
  JobResult result;
  result.message = error.message;
  bool broken = error.code == Code::kInvalid || error.code == Code::kCorrupt;
  result.failure =
      Failure{broken ? FailureClass::kTaskBroken : FailureClass::kInfrastructure, error.message};
  return result;
}

// Enumerating a large space takes seconds: the last one is kept. A run's bundle names its task.
std::shared_ptr<const SearchSpace> SpaceOf(const Job& job, const Task& task) {
  static std::mutex mutex;
  static std::string known_context;
  static std::shared_ptr<const SearchSpace> known;
  std::lock_guard lock(mutex);
  if (!known || known_context != job.context.sha256 || job.context.empty()) {
    known = std::make_shared<SearchSpace>(task.variants);
    known_context = job.context.sha256;
  }
  return known;
}

std::vector<Tried> TriedIn(const RunCore& run, const SearchSpace& space) {
  std::vector<double> speedup(run.candidates().size(), 0);
  for (const Ranked& ranked : RankCandidates(run)) speedup[ranked.number - 1] = ranked.speedup;
  std::vector<Tried> tried;
  for (size_t i = 0; i < run.candidates().size(); ++i) {
    const CandidateView& view = run.candidates()[i].view;
    if (view.variant.empty()) continue;
    if (std::optional<Point> point = space.Find(view.variant, view.parameters))
      tried.push_back({*point, view.id.number, speedup[i]});
  }
  return tried;
}

TuneWish WishOf(const Request& request, Subject subject, const std::string& step,
                const RunCore& run, const SearchSpace& space) {
  TuneWish wish;
  wish.stream = step + "/" + Name(subject);
  wish.count = request.count;
  std::optional<Subject> near = SubjectFrom(request.hints["near"].AsString());
  bool known = near && near->kind == SubjectKind::kCandidate && near->number >= 1 &&
               near->number <= run.candidates().size();
  if (known) {
    const CandidateView& view = run.candidates()[near->number - 1].view;
    wish.near = space.Find(view.variant, view.parameters);
    wish.near_number = near->number;
    wish.near_count = static_cast<uint32_t>(
        std::clamp<int64_t>(request.hints["near_count"].AsInt(request.count), 0, request.count));
  }
  return wish;
}

std::string FileNameOf(const Variant& variant) {
  size_t dot = variant.path.rfind('.');
  return variant.name + (dot == std::string::npos ? ".c" : variant.path.substr(dot));
}

Proposal ProposalOf(const Pick& pick, const SearchSpace& space, StageContext& context) {
  const Variant& variant = space.variants()[pick.point.variant];
  Proposal proposal;
  proposal.variant = variant.name;
  proposal.parameters = space.Assignment(pick.point);
  proposal.source = context.Attach(Instantiate(variant, proposal.parameters));
  proposal.source_name = FileNameOf(variant);
  proposal.note = "drawn at random";
  if (pick.parent != 0) {
    Subject parent{SubjectKind::kCandidate, pick.parent};
    proposal.parents.push_back(parent);
    proposal.note = Name(parent) + " with " + space.Difference(pick.parent_point, pick.point);
  }
  return proposal;
}

}  // namespace

JobResult HandleTune(const Job& job, StageContext& context) {
  JobResult result;
  if (!job.request) return Failed(Error{Code::kInvalid, job.label + " came without a request"});
  Result<std::shared_ptr<const LoadedRun>> loaded = context.Run();
  if (!loaded) return Failed(loaded.error());
  Result<const RunCore*> history = context.History();
  if (!history) return Failed(history.error());
  const RunCore& run = **history;
  std::shared_ptr<const SearchSpace> space = SpaceOf(job, (*loaded)->task);

  uint64_t spread = std::max(kLeastSpread, run.plan().budget.candidates / 10);
  const std::vector<Tried> tried = TriedIn(run, *space);
  TuneStrategy strategy(*space, TuneModeFrom(job.settings["strategy"].AsString()), job.seed, spread,
                        tried);
  bool others_out = false;
  for (uint32_t number = 1; number <= run.requests().size(); ++number) {
    const ProposeRequest& other = run.requests()[number - 1];
    bool tuner = !other.select && run.plan().steps[other.step].stage == kStage;
    if (!tuner || other.outcome.state != StepOutcome::State::kOpen ||
        number >= job.key.subject.number)
      continue;
    others_out = true;
    Subject subject{SubjectKind::kRequest, number};
    strategy.Draw(WishOf(other.request, subject, run.plan().steps[other.step].id, run, *space));
  }
  for (const Pick& pick :
       strategy.Draw(WishOf(*job.request, job.key.subject, job.step, run, *space)))
    result.proposals.push_back(ProposalOf(pick, *space, context));

  // While another request is out, only its answer tells what is left.
  bool short_of = result.proposals.size() < job.request->count;
  result.exhausted = !others_out && (strategy.Exhausted() || short_of);
  if (result.exhausted)
    result.message = "every assignment has been proposed (" + std::to_string(strategy.seen()) + ")";
  if (space->variants().empty())
    result.message = "task " + (*loaded)->task.name + " has no variants to tune";
  return result;
}

}  // namespace kev
