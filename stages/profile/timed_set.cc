#include "stages/profile/timed_set.h"

#include <algorithm>
#include <deque>
#include <mutex>

#include "engine/core/random.h"
#include "runners/measurement/measure.h"
#include "stages/verify/call_shape.h"
#include "stages/verify/cases.h"
#include "stages/verify/judging.h"
#include "stages/verify/task_code.h"

namespace kev {
namespace {

constexpr std::chrono::seconds kReferenceDeadline{60};
// A reference that takes longer is not asked about timed calls: they get values that it was asked
// about before, as many as a launch is likely to need, since what comes again can be remembered,
// but no more than can be had in this time. Symmetries make others of them, none of which is quite
// new.
constexpr double kMostAskedNs = 20e6;
constexpr double kMostBasesNs = 2e9;
constexpr uint32_t kLeastBases = 3;
constexpr uint32_t kBases = 16;
constexpr uint32_t kBasesWithoutSymmetry = 48;
constexpr uint64_t kMostPoolBytes = uint64_t{256} << 20;
constexpr uint32_t kFirstPoolSeed = 100000;  // far from the seeds of checks

bool OnHost(const Job& job) {
  return std::all_of(job.artefacts.begin(), job.artefacts.end(), [](const Artefact& artefact) {
    return artefact.role == "reference" || DeviceOf(artefact).on_host();
  });
}

Case PoolCase(const Workload& workload, uint32_t number) {
  return {workload.name, workload.axes, kFirstPoolSeed + number, workload.held_out};
}

std::vector<Case> PoolCases(const Task& task, const Workload& workload, uint64_t bytes,
                            double reference_ns) {
  const uint64_t fit = kMostPoolBytes / std::max<uint64_t>(bytes, 1);
  // A measured tolerance asks it twice.
  const auto in_time = static_cast<uint64_t>(kMostBasesNs / std::max(2 * reference_ns, 1.0));
  const auto count = static_cast<uint32_t>(
      std::clamp<uint64_t>(std::min(fit, in_time), kLeastBases,
                           task.symmetries.empty() ? kBasesWithoutSymmetry : kBases));
  std::vector<Case> cases;
  for (uint32_t i = 0; i < count; ++i) cases.push_back(PoolCase(workload, i));
  return cases;
}

// Values for the calls of a workload: made afresh for each where that can be done, else drawn from
// a pool. What is wrong with the task's code, or "".
Result<std::string> AddValues(const Task& task, const TaskCode& code, const Workload& workload,
                              uint64_t bytes, uint64_t secret, const std::string& cache_folder,
                              TaskValues* values) {
  Result<PreparedCases> first =
      PrepareCases(task, code, {PoolCase(workload, 0)}, secret, kReferenceDeadline, cache_folder);
  if (!first.ok()) return first.error();
  if (!first->broken.empty()) return first->broken;
  Result<FreshInputs> fresh = FreshInputs::Make(task, workload.axes);
  if (!fresh.ok()) return fresh.error();
  Status added;
  if (fresh->Any() && first->cases.front()->reference_ns <= kMostAskedNs) {
    added = values->AddFresh(first->cases.front(), std::move(*fresh), code, kReferenceDeadline);
  } else {
    const std::vector<Case> cases =
        PoolCases(task, workload, bytes, first->cases.front()->reference_ns);
    Result<PreparedCases> all =
        PrepareCases(task, code, cases, secret, kReferenceDeadline, cache_folder);
    if (!all.ok()) return all.error();
    if (!all->broken.empty()) return all->broken;
    added = values->AddPool(std::move(all->cases));
  }
  if (!added.ok()) return added.error();
  return std::string();
}

Result<std::shared_ptr<TimedSet>> Make(const Job& job, StageContext* context, const Task& task,
                                       const TaskCode& code, bool held_out) {
  auto set = std::make_shared<TimedSet>();
  for (const bool hidden : {false, true}) {
    for (const Workload& workload : task.workloads) {
      if (workload.held_out == hidden && (!hidden || held_out)) set->workloads.push_back(workload);
    }
    if (!hidden) set->visible = set->workloads.size();
  }
  if (set->workloads.empty()) return set;
  const uint64_t secret = SecretSeed(job);
  std::vector<CallSpec> calls;
  set->values = std::make_unique<TaskValues>(task);
  for (const Workload& workload : set->workloads) {
    Result<CallSpec> call = CallShape(task, workload.axes);
    if (!call.ok()) return call.error();
    calls.push_back(std::move(*call));
    Result<std::string> broken = AddValues(task, code, workload, calls.back().slot_bytes(), secret,
                                           context->CacheFolder(), set->values.get());
    if (!broken.ok()) return broken.error();
    if (!broken->empty()) {
      set->broken = "workload " + workload.name + ": " + *broken;
      return set;
    }
  }
  std::vector<uint32_t> slots = SlotsFor(calls, OnHost(job));
  auto arena = Arena::Make(std::move(calls), std::move(slots),
                           OnHost(job) ? Protection::kInputs : Protection::kNone, Mix64(secret));
  if (!arena.ok()) return arena.error();
  set->arena = std::move(*arena);
  return set;
}

}  // namespace

std::vector<double> TimedSet::Weights() const {
  std::vector<double> weights;
  for (size_t i = 0; i < visible; ++i) weights.push_back(workloads[i].weight);
  return weights;
}

std::string TimedSet::PlaceOf(size_t call) const {
  return call < visible ? "workload " + workloads[call].name : "a held-out workload";
}

Result<std::shared_ptr<TimedSet>> TimedSetFor(const Job& job, StageContext* context,
                                              const Task& task, const TaskCode& code,
                                              bool held_out) {
  // Making one takes longer than a screening; a run asks for the same two again and again.
  static std::mutex mutex;
  static std::deque<std::pair<std::string, std::shared_ptr<TimedSet>>> kept;
  const std::string key = job.run + "/" + task.name + "/" + job.context.sha256 + "/" +
                          code.reference_sha256 + "/" + code.yardstick_sha256 + "/" +
                          std::to_string(SecretSeed(job)) + (held_out ? "/all" : "/visible");
  const std::lock_guard<std::mutex> lock(mutex);
  for (const auto& [name, set] : kept) {
    if (name == key) return set;
  }
  Result<std::shared_ptr<TimedSet>> made = Make(job, context, task, code, held_out);
  if (!made.ok() || !(*made)->broken.empty()) return made;
  kept.emplace_back(key, *made);
  if (kept.size() > 2) kept.pop_front();
  return made;
}

}  // namespace kev
