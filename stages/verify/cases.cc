#include "stages/verify/cases.h"

#include <algorithm>
#include <cmath>

#include "engine/core/digest.h"
#include "engine/core/random.h"

namespace kev {
namespace {

// Log-uniform ones, and one uniform: most of a domain's shapes are large.
constexpr uint32_t kDrawnShapes = 2;
constexpr size_t kMostEdges = 4;       // axes of which each is tried at its least alone
constexpr double kMostElements = 4e6;  // of a drawn shape, all arrays together
constexpr double kMostFlops = 2e8;     // so that a plain reference answers within a second

Result<double> TotalElements(const Task& task, const Axes& axes) {
  double total = 0;
  for (const Argument& argument : task.arguments) {
    if (!IsArray(argument)) continue;
    Result<uint64_t> count = ElementCount(argument, axes);
    if (!count.ok()) return count.error();
    total += static_cast<double>(*count);
  }
  return total;
}

// Whether the reference can be expected to answer for this shape in reasonable time.
bool Fits(const Task& task, const Axes& axes) {
  const Result<double> elements = TotalElements(task, axes);
  if (!elements.ok() || *elements > kMostElements) return false;
  if (task.flops.empty()) return true;
  const Result<double> flops = EvaluateOver(task.flops, axes);
  return flops.ok() && *flops <= kMostFlops;
}

// Log-uniform in each axis: small shapes, where tails and degenerate loops lie, as often as large
// ones.
Axes DrawShape(const Task& task, CounterRandom* random, bool uniform = false) {
  Axes axes;
  for (int attempt = 0; attempt < 200; ++attempt) {
    for (const auto& [axis, range] : task.domain) {
      const double low = std::log(static_cast<double>(std::max<int64_t>(range.first, 1)));
      const double high = std::log(static_cast<double>(std::max<int64_t>(range.second, 1)) + 1);
      const double unit = random->Unit();
      const double ends[] = {static_cast<double>(range.first), static_cast<double>(range.second)};
      const double drawn =
          uniform ? ends[0] + (ends[1] - ends[0] + 1) * unit : std::exp(low + (high - low) * unit);
      const auto value = static_cast<int64_t>(drawn);
      axes[axis] = std::clamp(value, range.first, range.second);
    }
    if (Fits(task, axes)) return axes;
  }
  for (const auto& [axis, range] : task.domain) axes[axis] = range.first;
  return axes;
}

// "n=1" or "n=1, k=1": the axes that are at an end of the domain.
std::string EdgeName(const Axes& axes, const std::vector<std::string>& at_end) {
  std::string name;
  for (const std::string& axis : at_end)
    name += (name.empty() ? "" : ", ") + axis + "=" + std::to_string(axes.at(axis));
  return name;
}

// Where loops that run not at all, or once, are wrong: every axis at its least, and each of them
// alone with the others drawn; and every axis at its most, where the reference can be asked that.
// Everybody can know these shapes, so what happens there is told.
std::vector<Case> EdgeCases(const Task& task, uint64_t secret_seed) {
  std::vector<std::string> all;
  for (const auto& [axis, range] : task.domain) all.push_back(axis);
  CounterRandom random(secret_seed, "verify/edges/" + task.name);
  std::vector<Case> cases;
  const auto add = [&](const Axes& axes, const std::vector<std::string>& at_end) {
    const bool known =
        std::any_of(cases.begin(), cases.end(), [&](const Case& c) { return c.axes == axes; });
    if (!known) cases.push_back({EdgeName(axes, at_end), axes, 1, false});
  };
  Axes least, most;
  for (const auto& [axis, range] : task.domain) {
    least[axis] = range.first;
    most[axis] = range.second;
  }
  add(least, all);
  for (size_t i = 0; i < std::min(all.size(), kMostEdges) && all.size() > 1; ++i) {
    Axes axes = DrawShape(task, &random);
    axes[all[i]] = least[all[i]];
    add(axes, {all[i]});
  }
  if (Fits(task, most)) add(most, all);
  return cases;
}

}  // namespace

uint64_t SecretSeed(const Job& job) {
  const Value& seed = job.secret["seed"];
  if (seed.IsInt()) return static_cast<uint64_t>(seed.AsInt());
  if (seed.IsString()) return DigestOf(seed.AsString()).lo;
  return job.seed;
}

Result<std::vector<Case>> SmokeCases(const Task& task) {
  const Workload* smallest = nullptr;
  double least = 0;
  for (const Workload& workload : task.workloads) {
    if (workload.held_out) continue;
    const Result<double> size = task.flops.empty() ? TotalElements(task, workload.axes)
                                                   : EvaluateOver(task.flops, workload.axes);
    if (!size.ok()) return size.error();
    if (smallest == nullptr || *size < least) {
      smallest = &workload;
      least = *size;
    }
  }
  if (smallest == nullptr)
    return Error{Code::kInvalid, "task " + task.name + " has no visible workload"};
  return std::vector<Case>{{smallest->name, smallest->axes, 1, false}};
}

Result<std::vector<Case>> FullCases(const Task& task, uint64_t secret_seed) {
  std::vector<Case> cases;
  for (const bool hidden : {false, true}) {
    if (hidden && !task.domain.empty()) {
      const std::vector<Case> edges = EdgeCases(task, secret_seed);
      cases.insert(cases.end(), edges.begin(), edges.end());
    }
    for (const Workload& workload : task.workloads) {
      if (workload.held_out != hidden) continue;
      for (uint32_t seed = 1; seed <= std::max(task.seeds, 1u); ++seed) {
        cases.push_back({workload.name, workload.axes, seed, hidden});
      }
    }
  }
  if (!task.domain.empty()) {
    CounterRandom random(secret_seed, "verify/shapes/" + task.name);
    for (uint32_t i = 1; i <= kDrawnShapes; ++i) {
      cases.push_back({"drawn" + std::to_string(i), DrawShape(task, &random), 1, true});
    }
    cases.push_back(
        {"drawn" + std::to_string(kDrawnShapes + 1), DrawShape(task, &random, true), 1, true});
  }
  return cases;
}

Result<std::vector<Case>> FullCasesWithValues(const Task& task, uint64_t secret_seed) {
  Result<std::vector<Case>> cases = FullCases(task, secret_seed);
  if (!cases.ok()) return cases;
  if (task.values.empty()) return cases;
  Result<std::vector<Case>> smallest = SmokeCases(task);
  if (!smallest.ok()) return smallest;
  std::vector<Case> bent;
  for (const ValueClass values : task.values) {
    bent.push_back(smallest->front());
    bent.back().values = values;
  }
  // Before hidden ones, so that what can be told in full is found first.
  const auto hidden =
      std::find_if(cases->begin(), cases->end(), [](const Case& one) { return one.hidden; });
  cases->insert(hidden, bent.begin(), bent.end());
  return cases;
}

std::vector<Case> YardstickCases(const Case& one, uint64_t elements) {
  // A row's elements share one scale or sum, so few elements mean few errors that are independent.
  const uint32_t seeds = elements < (1 << 14) ? 16 : elements < (1 << 17) ? 4 : 2;
  std::vector<Case> cases = {one};
  for (uint32_t seed = 1; seed <= seeds; ++seed) {
    if (seed != one.seed) cases.push_back({one.workload, one.axes, seed, one.hidden, one.values});
    if (one.values != ValueClass::kFill)
      cases.push_back({one.workload, one.axes, seed, one.hidden, ValueClass::kFill});
  }
  return cases;
}

}  // namespace kev
