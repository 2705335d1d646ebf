#include "stages/verify/task_values.h"

#include <sys/random.h>

#include <algorithm>
#include <cstring>

#include "engine/core/random.h"
#include "stages/verify/call_shape.h"
#include "stages/verify/poison.h"

namespace kev {
namespace {

constexpr size_t kPoisons = 3;
constexpr double kCheckBudgetNs = 1e6;  // of checks at once
constexpr double kElementNs = 15;       // of judging one element
constexpr size_t kMostChecks = 8;
constexpr uint64_t kGlances = 64;  // elements looked at to see whether an output was written

}  // namespace

TaskValues::TaskValues(const Task& task) : task_(task), arguments_(AllArguments(task_)) {
  while (getrandom(&salt_, sizeof(salt_), 0) != static_cast<ssize_t>(sizeof(salt_))) {
  }
}

Status TaskValues::AddPool(std::vector<std::shared_ptr<const PreparedCase>> cases) {
  Pool pool;
  for (const std::shared_ptr<const PreparedCase>& base : cases) {
    const std::vector<std::string_view> inputs(base->inputs.begin(), base->inputs.end());
    const std::vector<std::string_view> outputs(base->expected.begin(), base->expected.end());
    Result<Symmetries> symmetries =
        Symmetries::Make(task_, base->one.axes, inputs, outputs, base->expected_in_f64);
    if (!symmetries.ok()) return symmetries.error();
    pool.sources.push_back({base, std::move(*symmetries)});
  }
  Add(std::move(pool));
  return {};
}

Status TaskValues::AddFresh(std::shared_ptr<const PreparedCase> base, FreshInputs fresh,
                            const TaskCode& code, RunnerProcess::Clock::duration deadline) {
  Pool pool;
  Result<KeptLibrary> reference = KeptLibrary::Of(code.reference);
  if (!reference.ok()) return reference.error();
  pool.start = [this, kept = std::move(*reference), base, deadline] {
    return kept.Start(task_, base->one.axes, base->expected_in_f64, deadline);
  };
  if (task_.measured && code.yardstick) {
    Result<KeptLibrary> yardstick = KeptLibrary::Of(*code.yardstick);
    if (!yardstick.ok()) return yardstick.error();
    pool.start_yardstick = [this, kept = std::move(*yardstick), base, deadline] {
      return kept.Start(task_, base->one.axes, /*in_f64=*/false, deadline);
    };
  }
  auto process = pool.start();
  if (!process.ok()) return process.error();
  pool.reference = std::move(*process);
  pool.fresh = std::move(fresh);
  pool.sources.push_back({std::move(base), Symmetries()});
  Add(std::move(pool));
  return {};
}

void TaskValues::Add(Pool pool) {
  for (size_t i = 0; i < kPoisons; ++i) {
    const PreparedCase& base = *pool.sources[i % pool.sources.size()].base;
    pool.poison.push_back(PoisonFor(arguments_, base, Mix64(salt_ + i)));
  }
  pools_.push_back(std::move(pool));
}

// In turn, so that all are used before one comes again.
const TaskValues::Source& TaskValues::SourceOf(const Pool& pool, const DrawnCall& drawn) {
  return pool.sources[drawn.turn % pool.sources.size()];
}

const Arrays& TaskValues::PoisonOf(const Pool& pool, uint64_t draw) const {
  return pool.poison[Mix64(draw ^ salt_) % pool.poison.size()];
}

void TaskValues::FillConstants(Arena& arena, size_t call) {
  const PreparedCase& base = *pools_[call].sources.front().base;
  for (size_t a = 0; a < arguments_.size(); ++a) {
    if (arguments_[a]->constant)
      std::memcpy(arena.Array(call, 0, a), base.inputs[a].data(), base.inputs[a].size());
  }
}

void TaskValues::Fill(Arena& arena, size_t call, const DrawnCall& drawn) {
  const Pool& pool = pools_[call];
  const Source& source = SourceOf(pool, drawn);
  const FreshValues moved = pool.fresh ? FreshValues() : source.symmetries.Draw(drawn.draw);
  const Arrays& poison = PoisonOf(pool, drawn.draw);
  std::vector<std::span<char>> afresh(arguments_.size());
  for (size_t a = 0; a < arguments_.size(); ++a) {
    const Argument& argument = *arguments_[a];
    if (argument.constant) continue;
    char* to = arena.Array(call, drawn.slot, a);
    if (IsInput(argument)) {
      const std::string& from = source.base->inputs[a];
      if (pool.fresh && pool.fresh->Makes(a)) {
        afresh[a] = {to, from.size()};
      } else if (moved.Changes(argument.name)) {
        moved.Apply(argument.name, argument.dtype, from, {to, from.size()});
      } else {
        std::memcpy(to, from.data(), from.size());
      }
    } else if (IsOutput(argument)) {
      std::memcpy(to, poison[a].data(), poison[a].size());
    }
  }
  if (pool.fresh) pool.fresh->Fill(drawn.draw, afresh, source.base->inputs);
}

Arrays TaskValues::InputsOf(const Pool& pool, const FreshValues& moved,
                            const DrawnCall& drawn) const {
  const Arrays& base = SourceOf(pool, drawn).base->inputs;
  Arrays inputs = base;
  std::vector<std::span<char>> afresh(arguments_.size());
  for (size_t a = 0; a < arguments_.size(); ++a) {
    const Argument& argument = *arguments_[a];
    if (!IsInput(argument) || argument.constant) continue;
    if (pool.fresh && pool.fresh->Makes(a)) {
      afresh[a] = inputs[a];
    } else if (moved.Changes(argument.name)) {
      const std::string from = inputs[a];
      moved.Apply(argument.name, argument.dtype, from, {inputs[a].data(), inputs[a].size()});
    }
  }
  if (pool.fresh) pool.fresh->Fill(drawn.draw, afresh, base);
  return inputs;
}

bool TaskValues::Absolute() const {
  return task_.measured.has_value() && task_.measured->scale == MeasuredTolerance::Scale::kAbsolute;
}

size_t TaskValues::ChecksAtOnce(size_t call) const {
  const Pool& pool = pools_[call];
  const PreparedCase& base = *pool.sources.front().base;
  double cost = 1;
  for (const std::string& array : base.expected)
    cost += static_cast<double>(array.size()) / 8 * kElementNs;
  if (pool.fresh) cost += base.reference_ns * (Absolute() ? 2 : 1);
  return static_cast<size_t>(std::clamp(kCheckBudgetNs / cost, 1.0, double{kMostChecks}));
}

Result<std::string> TaskValues::Check(const Arena& arena, size_t call,
                                      std::span<const DrawnCall> drawn) {
  for (const DrawnCall& one : drawn) {
    Result<std::string> fault = CheckOne(arena, call, one);
    if (!fault.ok() || !fault->empty()) return fault;
  }
  return std::string();
}

Result<std::string> TaskValues::CheckOne(const Arena& arena, size_t call, const DrawnCall& drawn) {
  const Pool& pool = pools_[call];
  const FreshValues moved =
      pool.fresh ? FreshValues() : SourceOf(pool, drawn).symmetries.Draw(drawn.draw);
  const Arrays inputs = InputsOf(pool, moved, drawn);
  for (size_t a = 0; a < arguments_.size(); ++a) {
    const Argument& argument = *arguments_[a];
    if (!IsInput(argument) || IsOutput(argument)) continue;
    if (std::memcmp(arena.Array(call, drawn.slot, a), inputs[a].data(), inputs[a].size()) != 0)
      return "it changed its input " + argument.name;
  }
  if (pool.fresh) return CheckFresh(arena, call, drawn, inputs);
  return CheckMoved(arena, call, drawn, moved);
}

// A process that lives as long as a run may be killed by chance; a second one that fails tells of
// the code.
Result<Arrays> TaskValues::Ask(Pool* pool, const Arrays& inputs, bool absolute) {
  Result<Arrays> answer = pool->reference->Run(inputs, absolute);
  if (answer.ok() && pool->reference->broken().empty()) return answer;
  auto again = pool->start();
  if (!again.ok()) return again.error();
  pool->reference = std::move(*again);
  answer = pool->reference->Run(inputs, absolute);
  if (answer.ok() && !pool->reference->broken().empty())
    return Error{Code::kInvalid, "the task's reference " + pool->reference->broken()};
  return answer;
}

// Against the reference's answer for these very inputs.
Result<std::string> TaskValues::CheckFresh(const Arena& arena, size_t call, const DrawnCall& drawn,
                                           const Arrays& inputs) {
  Pool& pool = pools_[call];
  const PreparedCase& base = *pool.sources.front().base;
  Result<Arrays> expected = Ask(&pool, inputs, false);
  if (!expected.ok()) return expected.error();
  Result<Arrays> scale = Absolute() ? Ask(&pool, inputs, true) : Result<Arrays>(Arrays());
  if (!scale.ok()) return scale.error();
  for (size_t a = 0; a < arguments_.size(); ++a) {
    const Argument& output = *arguments_[a];
    if (!IsOutput(output)) continue;
    ExpectedArray right;
    right.dtype = base.expected_in_f64 ? ReferenceDType(output) : output.dtype;
    right.values = (*expected)[a];
    if (Absolute()) right.scale = (*scale)[a];
    Result<OutputJudge> judge = OutputJudge::Make(task_, output, right, base.bounds[a]);
    if (!judge.ok()) return judge.error();
    const std::string_view got(arena.Array(call, drawn.slot, a),
                               arena.calls()[call].arguments[a].bytes());
    if (judge->Accepts(got)) continue;
    const std::string fault = output.name + " is wrong: " + judge->Judge(got).reason;
    Result<std::optional<Quantiles>> own = BoundsOn(&pool, inputs, a, right);
    if (!own.ok()) return own.error();
    if (!own->has_value()) return fault;
    judge = OutputJudge::Make(task_, output, right, Widest(base.bounds[a], **own));
    if (!judge.ok()) return judge.error();
    if (!judge->Accepts(got)) return fault;
  }
  return std::string();
}

Result<std::optional<Quantiles>> TaskValues::BoundsOn(Pool* pool, const Arrays& inputs,
                                                      size_t argument,
                                                      const ExpectedArray& right) const {
  const Argument& output = *arguments_[argument];
  if (!pool->start_yardstick || !IsFloat(output.dtype)) return std::optional<Quantiles>();
  if (pool->yardstick == nullptr || !pool->yardstick->broken().empty()) {
    auto started = pool->start_yardstick();
    if (!started.ok()) return started.error();
    pool->yardstick = std::move(*started);
  }
  Result<Arrays> naive = pool->yardstick->Run(inputs, false);
  if (!naive.ok()) return naive.error();
  if (!pool->yardstick->broken().empty()) return std::optional<Quantiles>();
  Result<std::vector<float>> errors =
      ScaledErrors(output, *task_.measured, right, (*naive)[argument]);
  if (!errors.ok()) return errors.error();
  Result<Quantiles> bounds = BoundsFrom(std::move(*errors), *task_.measured);
  if (!bounds.ok()) return std::optional<Quantiles>();
  return std::optional<Quantiles>(*bounds);
}

// Against a prepared answer, moved as the inputs were.
std::string TaskValues::CheckMoved(const Arena& arena, size_t call, const DrawnCall& drawn,
                                   const FreshValues& moved) const {
  const PreparedCase& base = *SourceOf(pools_[call], drawn).base;
  for (size_t a = 0; a < arguments_.size(); ++a) {
    const Argument& output = *arguments_[a];
    if (!IsOutput(output)) continue;
    const std::string_view got(arena.Array(call, drawn.slot, a),
                               arena.calls()[call].arguments[a].bytes());
    const auto told = [&](const OutputJudge& judge) {
      return judge.Accepts(got) ? std::string()
                                : output.name + " is wrong: " + judge.Judge(got).reason;
    };
    std::string fault;
    if (!moved.Changes(output.name)) {
      fault = told(*base.judges[a]);
    } else {
      ExpectedArray expected;
      expected.dtype = base.expected_in_f64 ? ReferenceDType(output) : output.dtype;
      std::string values(base.expected[a].size(), '\0'), scale;
      moved.Apply(output.name, expected.dtype, base.expected[a], {values.data(), values.size()});
      expected.values = values;
      if (!base.scales.empty()) {
        const std::string& from = base.scales[0][a];
        scale.resize(from.size());
        moved.Apply(output.name, DType::kF64, from, {scale.data(), scale.size()},
                    /*magnitudes=*/true);
        expected.scale = scale;
      }
      Result<OutputJudge> judge = OutputJudge::Make(task_, output, expected, base.bounds[a]);
      fault = judge.ok() ? told(*judge) : output.name + ": " + judge.error().message;
    }
    if (!fault.empty()) return fault;
  }
  return "";
}

bool TaskValues::SeemsUnwritten(const Arena& arena, size_t call, const DrawnCall& drawn) {
  const Arrays& poison = PoisonOf(pools_[call], drawn.draw);
  uint64_t state = Mix64(drawn.draw + salt_);
  for (size_t a = 0; a < arguments_.size(); ++a) {
    if (poison[a].empty()) continue;
    const uint64_t size = SizeOf(arguments_[a]->dtype);
    const uint64_t count = poison[a].size() / size;
    const char* at = arena.Array(call, drawn.slot, a);
    // One place changed is enough; where it is not known to the kernel.
    bool changed = false;
    for (uint64_t i = 0; i < std::min(kGlances, count) && !changed; ++i) {
      state = Mix64(state);
      const uint64_t element = count <= kGlances ? i : state % count;
      changed = std::memcmp(at + element * size, poison[a].data() + element * size, size) != 0;
    }
    if (!changed) return true;
  }
  return false;
}

}  // namespace kev
