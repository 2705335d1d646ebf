#include "stages/verify/values.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/core/random.h"

namespace kev {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr uint64_t kOddShare = 16;  // one in so many is NaN or infinite in these classes

// One element of an integer dtype that has more bits than a double: stored without one.
void StoreInteger(DType dtype, int64_t value, char* to) {
  if (dtype == DType::kI64 || dtype == DType::kU64) {
    std::copy_n(reinterpret_cast<const char*>(&value), sizeof(value), to);
  } else {
    FromDouble(dtype, static_cast<double>(value), to);
  }
}

class Filler {
 public:
  Filler(const Argument& argument, std::span<char> bytes, CounterRandom random)
      : dtype_(argument.dtype),
        fill_(argument.fill),
        size_(SizeOf(argument.dtype)),
        bytes_(bytes),
        count_(bytes.size() / SizeOf(argument.dtype)),
        random_(random) {}

  Status Run(ValueClass values) {
    const bool free = fill_.kind == Fill::Kind::kUniform || fill_.kind == Fill::Kind::kNormal;
    if (!free || values == ValueClass::kFill) return ByFill();
    switch (values) {
      case ValueClass::kSorted:
        SetEach([this] { return Natural(); });
        Sort();
        break;
      case ValueClass::kRepeated:
        Repeat();
        break;
      case ValueClass::kInfinities:
      case ValueClass::kNans:
        SetEach([this, values] { return Odd(values); });
        break;
      default:
        SetEach([this, values] { return OfClass(values); });
    }
    return {};
  }

  // Values of `from` at the fill's rate, else values that are not in it.
  void PickFrom(std::string_view from) {
    const uint64_t source = from.size() / size_;
    std::vector<double> sorted(source);
    ToDoubles(dtype_, from, sorted.data());
    std::sort(sorted.begin(), sorted.end());
    const Limits limits = LimitsOf(dtype_);
    const double low = std::max(sorted.empty() ? 0 : sorted.front() - 8, limits.least);
    const double high = std::min(sorted.empty() ? 8 : sorted.back() + 8, limits.most);
    for (uint64_t i = 0; i < count_; ++i) {
      char* to = bytes_.data() + i * size_;
      if (random_.Unit() < fill_.a && source > 0) {
        std::copy_n(from.data() + random_.Below(source) * size_, size_, to);
        continue;
      }
      // A value that is not there; where all are there, the last one tried.
      for (int attempt = 0; attempt < 64; ++attempt) {
        FromDouble(dtype_, Between(low, high), to);
        if (!std::binary_search(sorted.begin(), sorted.end(), ToDouble(dtype_, to))) break;
      }
    }
  }

 private:
  template <typename Make>
  void SetEach(Make make) {
    for (uint64_t i = 0; i < count_; ++i) FromDouble(dtype_, make(), bytes_.data() + i * size_);
  }

  Status ByFill() {
    switch (fill_.kind) {
      case Fill::Kind::kNone:
      case Fill::Kind::kPickFrom:  // later, when what it picks from is there
      case Fill::Kind::kZeros:
        std::fill(bytes_.begin(), bytes_.end(), '\0');
        break;
      case Fill::Kind::kOnes:
        SetEach([] { return 1.0; });
        break;
      case Fill::Kind::kUniform:
      case Fill::Kind::kNormal:
        SetEach([this] { return Natural(); });
        break;
      case Fill::Kind::kSortedUnique:
        return SortedUnique();
      case Fill::Kind::kPermutation:
        return Permutation();
    }
    return {};
  }

  Status SortedUnique() {
    const double most = LimitsOf(dtype_).most;
    if (static_cast<double>(count_) > most) return TooMany();
    // Gaps of 4.5 on average, or as large as the dtype has room for.
    const double room = most / std::max(1.0, static_cast<double>(count_));
    const auto gap = static_cast<uint64_t>(std::clamp(room, 1.0, 8.0));
    int64_t value = 0;
    for (uint64_t i = 0; i < count_; ++i) {
      value += static_cast<int64_t>(1 + random_.Below(gap));
      StoreInteger(dtype_, value, bytes_.data() + i * size_);
    }
    return {};
  }

  Status Permutation() {
    if (static_cast<double>(count_) > LimitsOf(dtype_).most + 1) return TooMany();
    std::vector<uint64_t> order(count_);
    std::iota(order.begin(), order.end(), uint64_t{0});
    for (uint64_t i = count_; i > 1; --i) std::swap(order[i - 1], order[random_.Below(i)]);
    for (uint64_t i = 0; i < count_; ++i)
      StoreInteger(dtype_, static_cast<int64_t>(order[i]), bytes_.data() + i * size_);
    return {};
  }

  Error TooMany() const {
    return {Code::kInvalid, std::string(Name(dtype_)) +
                                " has not as many values as the array has "
                                "elements; take a wider dtype"};
  }

  double Between(double low, double high) {
    if (IsFloat(dtype_)) return low + (high - low) * random_.Unit();
    const double floor = std::ceil(low);
    const double span = std::max(0.0, std::floor(high) - floor) + 1;
    return floor + std::floor(span * random_.Unit());
  }

  // By the fill itself.
  double Natural() {
    if (fill_.kind == Fill::Kind::kUniform) return Between(fill_.a, fill_.b);
    return fill_.a + fill_.b * random_.Normal();
  }

  double Low() const {
    return fill_.kind == Fill::Kind::kUniform ? fill_.a : fill_.a - 2 * fill_.b;
  }
  double High() const {
    return fill_.kind == Fill::Kind::kUniform ? fill_.b : fill_.a + 2 * fill_.b;
  }

  // With the sign that the fill keeps to, where it keeps to one.
  double Signed(double value) const {
    if (fill_.kind != Fill::Kind::kUniform) return value;
    if (fill_.a >= 0) return std::fabs(value);
    return fill_.b <= 0 ? -std::fabs(value) : value;
  }

  double Magnitude(int exponent) {
    const double size = std::ldexp(1 + random_.Unit(), exponent);
    return Signed((random_.Next() & 1) != 0 ? size : -size);
  }

  double OfClass(ValueClass values) {
    switch (values) {
      case ValueClass::kUniform:
        return Between(Low(), High());
      case ValueClass::kNormal:
        if (!IsFloat(dtype_)) return Natural();
        return Signed((Low() + High()) / 2 + (High() - Low()) / 4 * random_.Normal());
      case ValueClass::kLarge:
        // A quarter of the exponents: the product of three such values is still finite.
        if (IsFloat(dtype_)) return Magnitude(FormatOf(dtype_).most_exponent / 4);
        return (random_.Next() & 1) != 0 ? std::ceil(Low()) : std::floor(High());
      case ValueClass::kTiny:
        return IsFloat(dtype_) ? Magnitude(FormatOf(dtype_).least_exponent / 4) : Natural();
      case ValueClass::kDenormal:
        if (!IsFloat(dtype_) || random_.Below(4) != 0) return Natural();
        return Subnormal();
      case ValueClass::kZeros:
        return 0;
      case ValueClass::kOnes:
        return 1;
      default:
        return Natural();
    }
  }

  double Subnormal() {
    const FloatFormat format = FormatOf(dtype_);
    const uint64_t steps = 1 + random_.Below((uint64_t{1} << format.fraction_bits) - 1);
    const double size =
        std::ldexp(static_cast<double>(steps), format.least_exponent - format.fraction_bits);
    return Signed((random_.Next() & 1) != 0 ? size : -size);
  }

  double Odd(ValueClass values) {
    if (!IsFloat(dtype_) || random_.Below(kOddShare) != 0) return Natural();
    if (values == ValueClass::kNans) return std::numeric_limits<double>::quiet_NaN();
    return Signed((random_.Next() & 1) != 0 ? kInfinity : -kInfinity);
  }

  void Sort() {
    std::vector<double> values(count_);
    ToDoubles(dtype_, {bytes_.data(), bytes_.size()}, values.data());
    std::sort(values.begin(), values.end());
    FromDoubles(dtype_, values.data(), count_, bytes_.data());
  }

  // Few different values: whoever takes a maximum, sorts or searches meets ties.
  void Repeat() {
    double kept[3];
    for (double& value : kept) value = Natural();
    SetEach([&] { return kept[random_.Below(3)]; });
  }

  const DType dtype_;
  const Fill& fill_;
  const uint32_t size_;
  const std::span<char> bytes_;
  const uint64_t count_;
  CounterRandom random_;
};

// What the values of an argument hang on: never on other cases. A constant input is the same for
// all seeds of a workload.
std::string StreamOf(const Case& one, const Argument& argument) {
  const std::string seed = argument.constant ? "constant" : std::to_string(one.seed);
  std::string stream = "input/" + one.workload + "/" + seed + "/";
  if (one.values != ValueClass::kFill) stream += std::string(Name(one.values)) + "/";
  return stream + argument.name;
}

Status FillOne(const Task& task, const Case& one, uint64_t secret_seed, size_t a,
               const std::vector<std::span<char>>& arrays) {
  const Argument& argument = task.arguments[a];
  Filler filler(argument, arrays[a], CounterRandom(secret_seed, StreamOf(one, argument)));
  if (argument.fill.kind != Fill::Kind::kPickFrom) return filler.Run(one.values);
  size_t from = 0;
  while (from < task.arguments.size() && task.arguments[from].name != argument.fill.argument)
    ++from;
  if (from == task.arguments.size() || task.arguments[from].dtype != argument.dtype ||
      !IsInput(task.arguments[from])) {
    return Error{Code::kInvalid, "argument " + argument.name + " picks from " +
                                     argument.fill.argument +
                                     ", which is no input of the same dtype"};
  }
  filler.PickFrom({arrays[from].data(), arrays[from].size()});
  return {};
}

}  // namespace

Limits LimitsOf(DType dtype) {
  if (IsFloat(dtype)) return {-FormatOf(dtype).Largest(), FormatOf(dtype).Largest()};
  if (dtype == DType::kBool) return {0, 1};
  const int bits = static_cast<int>(SizeOf(dtype)) * 8 - (IsSigned(dtype) ? 1 : 0);
  return {IsSigned(dtype) ? -std::ldexp(1.0, bits) : 0, std::ldexp(1.0, bits) - 1};
}

Status FillInputs(const Task& task, const Case& one, uint64_t secret_seed,
                  const std::vector<std::span<char>>& arrays) {
  if (arrays.size() != task.arguments.size())
    return Error{Code::kInternal, "inputs need one array per argument"};
  for (const bool picking : {false, true}) {
    for (size_t a = 0; a < task.arguments.size(); ++a) {
      const Argument& argument = task.arguments[a];
      if (!IsInput(argument) || (argument.fill.kind == Fill::Kind::kPickFrom) != picking) continue;
      const Result<uint64_t> count = ElementCount(argument, one.axes);
      if (!count.ok()) return count.error();
      if (arrays[a].size() != *count * SizeOf(argument.dtype))
        return Error{Code::kInternal, "the array of " + argument.name + " has another size"};
      if (Status filled = FillOne(task, one, secret_seed, a, arrays); !filled.ok())
        return Error{filled.error().code, argument.name + ": " + filled.error().message};
    }
  }
  return {};
}

Result<Arrays> InputArrays(const Task& task, const Case& one, uint64_t secret_seed) {
  Arrays arrays(task.arguments.size());
  std::vector<std::span<char>> spans;
  for (size_t a = 0; a < task.arguments.size(); ++a) {
    if (IsInput(task.arguments[a])) {
      const Result<uint64_t> count = ElementCount(task.arguments[a], one.axes);
      if (!count.ok()) return count.error();
      arrays[a].resize(*count * SizeOf(task.arguments[a].dtype));
    }
    spans.emplace_back(arrays[a]);
  }
  if (Status filled = FillInputs(task, one, secret_seed, spans); !filled.ok())
    return filled.error();
  return arrays;
}

DType ReferenceDType(const Argument& argument) {
  return IsFloat(argument.dtype) ? DType::kF64 : argument.dtype;
}

std::string ReferenceInput(const Argument& argument, std::string_view bytes, bool absolute) {
  if (!IsFloat(argument.dtype)) return std::string(bytes);
  std::vector<double> values(bytes.size() / SizeOf(argument.dtype));
  ToDoubles(argument.dtype, bytes, values.data());
  if (absolute) {
    for (double& value : values) value = std::fabs(value);
  }
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double)};
}

std::string CaseText(const Case& one) {
  if (one.hidden) return "held-out workload";
  std::string text = "workload " + one.workload + ", seed " + std::to_string(one.seed);
  if (one.values != ValueClass::kFill) text += std::string(", values ") + Name(one.values);
  return text;
}

}  // namespace kev
