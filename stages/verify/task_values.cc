#include "stages/verify/task_values.h"

#include <algorithm>
#include <cstring>

#include "engine/core/random.h"
#include "stages/verify/call_shape.h"
#include "stages/verify/poison.h"

namespace kev {
namespace {

constexpr size_t kPoisons = 3;

}  // namespace

Result<std::unique_ptr<TaskValues>> TaskValues::Make(
    const Task& task, std::vector<std::vector<std::shared_ptr<const PreparedCase>>> pools) {
  std::unique_ptr<TaskValues> made(new TaskValues(task));
  for (const auto& cases : pools) {
    std::vector<Source>& sources = made->pools_.emplace_back();
    std::vector<Arrays>& poison = made->poison_.emplace_back();
    for (const std::shared_ptr<const PreparedCase>& base : cases) {
      const std::vector<std::string_view> inputs(base->inputs.begin(), base->inputs.end());
      const std::vector<std::string_view> outputs(base->expected.begin(), base->expected.end());
      Result<Symmetries> symmetries =
          Symmetries::Make(task, base->one.axes, inputs, outputs, base->expected_in_f64);
      if (!symmetries.ok()) return symmetries.error();
      sources.push_back({base, std::move(*symmetries)});
      if (poison.size() < kPoisons)
        poison.push_back(PoisonFor(made->arguments_, *base, Mix64(poison.size())));
    }
  }
  return made;
}

const TaskValues::Source& TaskValues::SourceOf(size_t call, uint64_t draw) const {
  const std::vector<Source>& pool = pools_[call];
  // In turn from a place that the launch decides, so that all are used before one comes again.
  const uint64_t start = Mix64(draw >> 32);
  return pool[(start + (draw & 0xffffffff)) % pool.size()];
}

void TaskValues::FillConstants(Arena& arena, size_t call) {
  const PreparedCase& base = *pools_[call].front().base;
  for (size_t a = 0; a < arguments_.size(); ++a) {
    if (arguments_[a]->constant)
      std::memcpy(arena.Array(call, 0, a), base.inputs[a].data(), base.inputs[a].size());
  }
}

void TaskValues::Fill(Arena& arena, size_t call, uint32_t slot, uint64_t draw) {
  const Source& source = SourceOf(call, draw);
  const FreshValues fresh = source.symmetries.Draw(draw);
  const Arrays& poison = poison_[call][Mix64(draw) % poison_[call].size()];
  for (size_t a = 0; a < arguments_.size(); ++a) {
    const Argument& argument = *arguments_[a];
    if (argument.constant) continue;
    if (IsInput(argument)) {
      const std::string& from = source.base->inputs[a];
      char* to = arena.Array(call, slot, a);
      if (fresh.Changes(argument.name)) {
        fresh.Apply(argument.name, argument.dtype, from, {to, from.size()});
      } else {
        std::memcpy(to, from.data(), from.size());
      }
    } else if (IsOutput(argument)) {
      std::memcpy(arena.Array(call, slot, a), poison[a].data(), poison[a].size());
    }
  }
}

std::string TaskValues::Check(const Arena& arena, size_t call, uint32_t slot, uint64_t draw) {
  const Source& source = SourceOf(call, draw);
  const FreshValues fresh = source.symmetries.Draw(draw);
  for (size_t a = 0; a < arguments_.size(); ++a) {
    const Argument& argument = *arguments_[a];
    const char* at = arena.Array(call, slot, a);
    if (IsInput(argument) && !IsOutput(argument)) {
      const std::string* expected = &source.base->inputs[a];
      if (!argument.constant && fresh.Changes(argument.name)) {
        scratch_.resize(expected->size());
        fresh.Apply(argument.name, argument.dtype, *expected, {scratch_.data(), scratch_.size()});
        expected = &scratch_;
      }
      if (std::memcmp(at, expected->data(), expected->size()) != 0)
        return "it changed its input " + argument.name;
    } else if (IsOutput(argument)) {
      const uint64_t bytes = arena.calls()[call].arguments[a].bytes();
      std::string fault = CheckOutput(*source.base, fresh, a, {at, bytes});
      if (!fault.empty()) return fault;
    }
  }
  return "";
}

std::string TaskValues::CheckOutput(const PreparedCase& base, const FreshValues& fresh,
                                    size_t argument, std::string_view got) const {
  const Argument& output = *arguments_[argument];
  const auto told = [&](const OutputJudge& judge) {
    return judge.Accepts(got) ? std::string()
                              : output.name + " is wrong: " + judge.Judge(got).reason;
  };
  if (!fresh.Changes(output.name)) return told(*base.judges[argument]);
  ExpectedArray expected;
  expected.dtype = base.expected_in_f64 ? ReferenceDType(output) : output.dtype;
  std::string values(base.expected[argument].size(), '\0'), scale;
  fresh.Apply(output.name, expected.dtype, base.expected[argument], {values.data(), values.size()});
  expected.values = values;
  if (!base.scales.empty()) {
    const std::string& from = base.scales[0][argument];
    scale.resize(from.size());
    fresh.Apply(output.name, DType::kF64, from, {scale.data(), scale.size()}, /*magnitudes=*/true);
    expected.scale = scale;
  }
  Result<OutputJudge> judge = OutputJudge::Make(task_, output, expected, base.bounds[argument]);
  return judge.ok() ? told(*judge) : output.name + ": " + judge.error().message;
}

}  // namespace kev
