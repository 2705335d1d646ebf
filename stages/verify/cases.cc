#include "stages/verify/cases.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "engine/core/digest.h"
#include "engine/core/random.h"

namespace kev {
namespace {

constexpr uint32_t kDrawnShapes = 2;
constexpr double kMostElements = 4e6;  // of a drawn shape, all arrays together
constexpr double kMostFlops = 2e8;     // so that a plain reference answers within a second

ElementType ElementOf(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return ElementType::kF32;
    case DType::kF64:
      return ElementType::kF64;
    case DType::kI32:
      return ElementType::kI32;
    case DType::kI64:
      return ElementType::kI64;
    case DType::kU8:
      return ElementType::kU8;
  }
  return ElementType::kF32;
}

Result<double> TotalElements(const Task& task, const Axes& axes) {
  double total = 0;
  for (const Argument& argument : task.arguments) {
    if (argument.role == Argument::Role::kAxis) continue;
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
Axes DrawShape(const Task& task, CounterRandom* random) {
  Axes axes;
  for (int attempt = 0; attempt < 200; ++attempt) {
    for (const auto& [axis, range] : task.domain) {
      const double low = std::log(static_cast<double>(std::max<int64_t>(range.first, 1)));
      const double high = std::log(static_cast<double>(std::max<int64_t>(range.second, 1)) + 1);
      const auto value = static_cast<int64_t>(std::exp(low + (high - low) * random->Unit()));
      axes[axis] = std::clamp(value, range.first, range.second);
    }
    if (Fits(task, axes)) return axes;
  }
  for (const auto& [axis, range] : task.domain) axes[axis] = range.first;
  return axes;
}

template <typename T>
class Array {
 public:
  Array(char* bytes, uint64_t count) : data_(reinterpret_cast<T*>(bytes)), count_(count) {}

  void Fill(const kev::Fill& fill, CounterRandom* random) {
    switch (fill.kind) {
      case Fill::Kind::kNone:
      case Fill::Kind::kZeros:
        std::fill(data_, data_ + count_, T{0});
        break;
      case Fill::Kind::kOnes:
        std::fill(data_, data_ + count_, T{1});
        break;
      case Fill::Kind::kUniform:
        for (uint64_t i = 0; i < count_; ++i) data_[i] = Uniform(fill.a, fill.b, random);
        break;
      case Fill::Kind::kNormal:
        for (uint64_t i = 0; i < count_; ++i)
          data_[i] = static_cast<T>(fill.a + fill.b * random->Normal());
        break;
      case Fill::Kind::kSortedUnique: {
        double value = 0;
        for (uint64_t i = 0; i < count_; ++i) {
          value += static_cast<double>(1 + random->Below(8));
          data_[i] = static_cast<T>(value);
        }
        break;
      }
      case Fill::Kind::kPermutation:
        for (uint64_t i = 0; i < count_; ++i) data_[i] = static_cast<T>(i);
        for (uint64_t i = count_; i > 1; --i) std::swap(data_[i - 1], data_[random->Below(i)]);
        break;
      case Fill::Kind::kPickFrom:
        break;  // PickFrom, once the argument it picks from is filled
    }
  }

  void PickFrom(const T* from, uint64_t from_count, double rate, CounterRandom* random) {
    std::vector<T> sorted(from, from + from_count);
    std::sort(sorted.begin(), sorted.end());
    const double low = sorted.empty() ? 0 : static_cast<double>(sorted.front()) - 8;
    const double high = sorted.empty() ? 8 : static_cast<double>(sorted.back()) + 8;
    for (uint64_t i = 0; i < count_; ++i) {
      if (random->Unit() < rate && from_count > 0) {
        data_[i] = from[random->Below(from_count)];
        continue;
      }
      // A value that is not there; where all are there, the last one tried.
      for (int attempt = 0; attempt < 64; ++attempt) {
        data_[i] = Uniform(low, high, random);
        if (!std::binary_search(sorted.begin(), sorted.end(), data_[i])) break;
      }
    }
  }

 private:
  T Uniform(double low, double high, CounterRandom* random) const {
    if constexpr (std::is_floating_point_v<T>) {
      return static_cast<T>(low + (high - low) * random->Unit());
    } else {
      const double floor =
          std::max(std::ceil(low), static_cast<double>(std::numeric_limits<T>::min()));
      const double span = std::max(0.0, std::floor(high) - floor) + 1;
      return static_cast<T>(floor + std::floor(span * random->Unit()));
    }
  }

  T* data_;
  uint64_t count_;
};

template <typename Use>
void WithElementType(DType dtype, Use use) {
  switch (dtype) {
    case DType::kF32:
      use(float{});
      break;
    case DType::kF64:
      use(double{});
      break;
    case DType::kI32:
      use(int32_t{});
      break;
    case DType::kI64:
      use(int64_t{});
      break;
    case DType::kU8:
      use(uint8_t{});
      break;
  }
}

bool IsInput(const Argument& argument) {
  return argument.role == Argument::Role::kIn || argument.role == Argument::Role::kInOut;
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
  }
  return cases;
}

Result<CallSpec> CallFor(const Task& task, const Axes& axes) {
  CallSpec call;
  for (const Argument& argument : task.arguments) {
    CallArgument& made = call.arguments.emplace_back();
    made.name = argument.name;
    if (argument.role == Argument::Role::kAxis) {
      const auto axis = axes.find(argument.axis);
      if (axis == axes.end())
        return Error{Code::kInvalid, "axis " + argument.axis + " has no value"};
      made.scalar = axis->second;
      continue;
    }
    Result<uint64_t> count = ElementCount(argument, axes);
    if (!count.ok()) return count.error();
    made.count = *count;
    made.type = ElementOf(argument.dtype);
    made.kind = argument.role == Argument::Role::kIn    ? CallArgument::Kind::kIn
                : argument.role == Argument::Role::kOut ? CallArgument::Kind::kOut
                                                        : CallArgument::Kind::kInOut;
  }
  return call;
}

Status FillInputs(const Task& task, const Case& one, uint64_t secret_seed, size_t call,
                  RegionImage* image) {
  const std::string prefix = "input/" + one.workload + "/" + std::to_string(one.seed) + "/";
  const CallSpec& spec = image->calls()[call];
  for (size_t a = 0; a < task.arguments.size(); ++a) {
    const Argument& argument = task.arguments[a];
    if (!IsInput(argument)) continue;
    CounterRandom random(secret_seed, prefix + argument.name);
    WithElementType(argument.dtype, [&](auto zero) {
      Array<decltype(zero)>(image->MutableArray(call, a), spec.arguments[a].count)
          .Fill(argument.fill, &random);
    });
  }
  for (size_t a = 0; a < task.arguments.size(); ++a) {
    const Argument& argument = task.arguments[a];
    if (!IsInput(argument) || argument.fill.kind != Fill::Kind::kPickFrom) continue;
    size_t from = 0;
    while (from < task.arguments.size() && task.arguments[from].name != argument.fill.argument)
      ++from;
    if (from == task.arguments.size() || task.arguments[from].dtype != argument.dtype ||
        !IsInput(task.arguments[from])) {
      return Error{Code::kInvalid, "argument " + argument.name + " picks from " +
                                       argument.fill.argument +
                                       ", which is no input of the same dtype"};
    }
    CounterRandom random(secret_seed, prefix + argument.name);
    WithElementType(argument.dtype, [&](auto zero) {
      using T = decltype(zero);
      Array<T>(image->MutableArray(call, a), spec.arguments[a].count)
          .PickFrom(reinterpret_cast<const T*>(image->MutableArray(call, from)),
                    spec.arguments[from].count, argument.fill.a, &random);
    });
  }
  return {};
}

std::map<std::string, std::string> RunEnvironment(
    const Task& task, const std::map<std::string, std::string>& target) {
  std::map<std::string, std::string> environment = target;
  for (const auto& [name, library] : task.libraries) {
    environment.insert(library.environment.begin(), library.environment.end());
  }
  return environment;
}

}  // namespace kev
