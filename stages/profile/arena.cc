#include "stages/profile/arena.h"

#include <deque>
#include <mutex>

#include "engine/core/random.h"
#include "stages/verify/cases.h"

namespace kev {
namespace {

Result<std::shared_ptr<const Arena>> Make(const Job& job, const Task& task, bool held_out) {
  Arena arena;
  for (const bool hidden : {false, true}) {
    for (const Workload& workload : task.workloads) {
      if (workload.held_out == hidden && (!hidden || held_out)) arena.workloads.push_back(workload);
    }
    if (!hidden) arena.visible = arena.workloads.size();
  }
  std::vector<CallSpec> calls;
  for (const Workload& workload : arena.workloads) {
    Result<CallSpec> call = CallFor(task, workload.axes);
    if (!call.ok()) return call.error();
    calls.push_back(std::move(*call));
  }
  const uint64_t seed = SecretSeed(job);
  Result<RegionImage> image = RegionImage::Make(std::move(calls), Mix64(seed));
  if (!image.ok()) return image.error();
  arena.image = std::move(*image);
  for (size_t i = 0; i < arena.workloads.size(); ++i) {
    const Case one = {arena.workloads[i].name, arena.workloads[i].axes, 1,
                      arena.workloads[i].held_out};
    if (Status filled = FillInputs(task, one, seed, i, &arena.image); !filled.ok())
      return filled.error();
  }
  return std::make_shared<const Arena>(std::move(arena));
}

}  // namespace

std::vector<double> Arena::Weights() const {
  std::vector<double> weights;
  for (size_t i = 0; i < visible; ++i) weights.push_back(workloads[i].weight);
  return weights;
}

Result<std::shared_ptr<const Arena>> ArenaFor(const Job& job, const Task& task, bool held_out) {
  // Filling takes tens of milliseconds, as long as a screening; a run asks for the same two arenas
  // again and again.
  static std::mutex mutex;
  static std::deque<std::pair<std::string, std::shared_ptr<const Arena>>> kept;
  const std::string key = job.run + "/" + task.name + "/" + job.context.sha256 + "/" +
                          std::to_string(SecretSeed(job)) + (held_out ? "/all" : "/visible");
  const std::lock_guard<std::mutex> lock(mutex);
  for (const auto& [name, arena] : kept) {
    if (name == key) return arena;
  }
  Result<std::shared_ptr<const Arena>> made = Make(job, task, held_out);
  if (!made.ok()) return made;
  kept.emplace_back(key, *made);
  if (kept.size() > 2) kept.pop_front();
  return made;
}

}  // namespace kev
