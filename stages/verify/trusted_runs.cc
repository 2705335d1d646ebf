#include "stages/verify/trusted_runs.h"

#include <algorithm>
#include <cstring>

#include "stages/verify/call_shape.h"

namespace kev {
namespace {

constexpr uint32_t kMostSlots = 8;

// Puts one set of inputs into a slot.
void Place(const Task& task, const Arrays& inputs, bool in_f64, bool absolute, Arena* arena,
           uint32_t slot) {
  const std::vector<const Argument*> arguments = AllArguments(task);
  for (size_t a = 0; a < arguments.size(); ++a) {
    if (!IsInput(*arguments[a])) continue;
    if (in_f64) {
      const std::string wide = ReferenceInput(*arguments[a], inputs[a], absolute);
      std::memcpy(arena->Array(0, slot, a), wide.data(), wide.size());
    } else {
      std::memcpy(arena->Array(0, slot, a), inputs[a].data(), inputs[a].size());
    }
  }
}

bool AnyConstant(const Task& task) {
  return std::any_of(task.arguments.begin(), task.arguments.end(),
                     [](const Argument& argument) { return argument.constant; });
}

Arrays Taken(const Arena& arena, uint32_t slot) {
  const std::vector<CallArgument>& arguments = arena.calls()[0].arguments;
  Arrays outputs(arguments.size());
  for (size_t a = 0; a < arguments.size(); ++a) {
    if (arguments[a].output()) outputs[a].assign(arena.Array(0, slot, a), arguments[a].bytes());
  }
  return outputs;
}

}  // namespace

Result<TrustedRuns> RunTrusted(const RunnerOptions& library, const Task& task, const Axes& axes,
                               const std::vector<Arrays>& inputs, bool in_f64, bool absolute,
                               RunnerProcess::Clock::duration deadline) {
  TrustedRuns runs;
  Result<CallSpec> call = CallShape(task, axes, in_f64);
  if (!call.ok()) return call.error();
  const auto slots = static_cast<uint32_t>(std::min<size_t>(inputs.size(), kMostSlots));
  auto arena = Arena::Make({*call}, {std::max(slots, 1u)}, /*guarded=*/false, /*seed=*/1);
  if (!arena.ok()) return arena.error();
  auto process = RunnerProcess::Start(library, **arena);
  if (!process.ok()) return process.error();
  const auto judged = [&](const Outcome& outcome) -> Result<bool> {
    if (outcome.kind == Outcome::Kind::kBroken) return Error{Code::kUnavailable, outcome.message};
    runs.broken = outcome.message;
    return outcome.ok();
  };
  Result<bool> good = judged((*process)->Prepare());
  if (good.ok() && *good) good = judged((*process)->Load(deadline));
  for (size_t i = 0; i < inputs.size() && good.ok() && *good; ++i) {
    const auto slot = static_cast<uint16_t>(i % slots);
    (*process)->Freeze();
    Place(task, inputs[i], in_f64, absolute, arena->get(), slot);
    OrderTimes times;
    if (!library.setup.empty() && (i == 0 || AnyConstant(task))) {
      good = judged((*process)->SetUp(0, deadline, &times));
      if (!good.ok() || !*good) break;
    }
    good = judged((*process)->Call(0, {&slot, 1}, deadline, &times));
    if (!good.ok() || !*good) break;
    (*process)->Freeze();
    runs.call_ns = std::max(runs.call_ns, times.ns);
    runs.broken = (*arena)->BrokenCanary(0, slot);
    if (!runs.broken.empty()) {
      runs.broken = "it " + runs.broken;
      break;
    }
    runs.outputs.push_back(Taken(**arena, slot));
  }
  if (!good.ok()) return good.error();
  return runs;
}

}  // namespace kev
