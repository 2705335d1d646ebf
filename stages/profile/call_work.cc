#include "stages/profile/call_work.h"

#include <algorithm>

#include "runners/measurement/caches.h"

namespace kev {
namespace {

// Value of a formula for one call; 0 when the task has none.
double Formula(const Program& program, const Axes& axes) {
  if (program.empty()) return 0;
  const Result<double> value = EvaluateOver(program, axes);
  return value.ok() ? *value : 0;
}

}  // namespace

TimedWork WorkOf(const Task& task, const Workload& workload, double window_bytes) {
  TimedWork timed;
  timed.name = workload.name;
  timed.place = workload.held_out ? "a held-out workload" : "workload " + workload.name;
  timed.held_out = workload.held_out;
  timed.weight = workload.weight;
  timed.work.flops = Formula(task.flops, workload.axes);
  timed.work.bytes = Formula(task.bytes, workload.axes);
  timed.work.cold = task.cold_cache;
  double scratch = 0;
  uint32_t element = 8;
  for (const Argument& argument : task.arguments) {
    if (!IsArray(argument)) continue;
    const Result<uint64_t> count = ElementCount(argument, workload.axes);
    if (!count.ok()) continue;
    const double bytes = static_cast<double>(*count) * SizeOf(argument.dtype);
    if (argument.role == Argument::Role::kWorkspace) {
      scratch += bytes;
      continue;
    }
    timed.array_bytes += bytes;
    // Arithmetic may be as narrow as the narrowest numbers; indices say nothing of it.
    if (IsFloat(argument.dtype)) element = std::min(element, SizeOf(argument.dtype));
  }
  timed.work.element_bytes = static_cast<int>(element);
  // What a call finds in a cache must have outlived the others of its window.
  timed.work.working_set = std::max(timed.array_bytes, window_bytes) + scratch;
  return timed;
}

std::vector<TimedWork> TimedWorkOf(const Value& facts, const TimedSet& set, const Task& task) {
  const double window = static_cast<double>(PrivateCacheBytes()) / 4;  // as SlotsFor has it
  std::vector<TimedWork> all;
  for (size_t call = 0; call < set.workloads.size(); ++call) {
    const Workload& workload = set.workloads[call];
    // A workload whose arrays have few places does not fill a window.
    const double places = set.arena ? set.arena->slots(call) : 1;
    const double once = WorkOf(task, workload).array_bytes;
    all.push_back(WorkOf(task, workload, std::min(window, places * once)));
    all.back().ns = facts["workloads"][workload.name]["latency_ns"].AsDouble();
  }
  return all;
}

}  // namespace kev
