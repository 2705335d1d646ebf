#include "stages/verify/symmetry.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "engine/core/random.h"

namespace kev {
namespace {

constexpr int kMostDoublings = 8;  // of a scale, up and down
constexpr int kNoValue = 1 << 20;  // above every exponent

double PowerOf(double factor, int power) {
  double result = 1;
  for (int i = 0; i < std::abs(power); ++i) result *= factor;
  return power < 0 ? 1 / result : result;  // exact: a power of two
}

template <typename T>
void ScaleAs(std::span<char> bytes, double factor) {
  const T narrow = static_cast<T>(factor);
  for (size_t at = 0; at < bytes.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof(T));
    value *= narrow;
    std::memcpy(bytes.data() + at, &value, sizeof(T));
  }
}

void Scale(DType dtype, std::span<char> bytes, double factor) {
  if (factor == 1) return;
  if (dtype == DType::kF32) return ScaleAs<float>(bytes, factor);
  if (dtype == DType::kF64) return ScaleAs<double>(bytes, factor);
  for (size_t at = 0; at < bytes.size(); at += SizeOf(dtype))
    FromDouble(dtype, ToDouble(dtype, bytes.data() + at) * factor, bytes.data() + at);
}

// [outer][slices of `length` bytes]: slice i comes from order[i].
void Permute(const char* from, char* to, uint64_t outer, uint64_t length,
             const std::vector<uint32_t>& order) {
  const uint64_t whole = order.size() * length;
  for (uint64_t o = 0; o < outer; ++o) {
    for (uint64_t i = 0; i < order.size(); ++i)
      std::memcpy(to + o * whole + i * length, from + o * whole + order[i] * length, length);
  }
}

// The usual sizes without a call of memcpy for each element.
template <typename T>
void PermuteElements(const char* from, char* to, uint64_t outer,
                     const std::vector<uint32_t>& order) {
  for (uint64_t o = 0; o < outer; ++o) {
    const char* row = from + o * order.size() * sizeof(T);
    char* out = to + o * order.size() * sizeof(T);
    for (uint64_t i = 0; i < order.size(); ++i)
      std::memcpy(out + i * sizeof(T), row + order[i] * sizeof(T), sizeof(T));
  }
}

}  // namespace

bool FreshValues::Changes(std::string_view name) const {
  return changes_.find(name) != changes_.end();
}

void FreshValues::Apply(std::string_view name, DType dtype, std::string_view from,
                        std::span<char> to, bool magnitudes) const {
  if (from.empty() || from.size() != to.size()) return;
  const auto change = changes_.find(name);
  std::string between;  // where more than one dimension is permuted
  std::string_view now = from;
  if (change != changes_.end()) {
    for (const Step& step : change->second.steps) {
      if (now.data() == to.data()) {
        between.assign(now);
        now = between;
      }
      const uint64_t length = step.inner * SizeOf(dtype);
      if (length == 4) {
        PermuteElements<uint32_t>(now.data(), to.data(), step.outer, orders_[step.order]);
      } else if (length == 8) {
        PermuteElements<uint64_t>(now.data(), to.data(), step.outer, orders_[step.order]);
      } else {
        Permute(now.data(), to.data(), step.outer, length, orders_[step.order]);
      }
      now = {to.data(), to.size()};
    }
  }
  if (now.data() != to.data() && !now.empty()) std::memcpy(to.data(), now.data(), now.size());
  if (change == changes_.end()) return;
  const double factor = change->second.factor;
  Scale(dtype, to, magnitudes ? std::fabs(factor) : factor);
}

// Narrows the scale's exponents to those that keep all values of its arguments normal and finite,
// and widens the extents by what the scale can then do, for scales of the same arguments to come.
void Symmetries::Narrow(Scale* scale, Extents* extents) {
  const auto fits = [&](int k) {
    for (const auto& [name, power] : scale->powers) {
      const auto [begin, end] = extents->equal_range(name);
      for (auto at = begin; at != end; ++at) {
        const Extent& extent = at->second;
        if (extent.least + k * power < extent.format.least_exponent ||
            extent.most + k * power >= extent.format.most_exponent)
          return false;
      }
    }
    return true;
  };
  while (scale->most < kMostDoublings && fits(scale->most + 1)) ++scale->most;
  while (scale->least > -kMostDoublings && fits(scale->least - 1)) --scale->least;
  for (const auto& [name, power] : scale->powers) {
    const auto [begin, end] = extents->equal_range(name);
    for (auto at = begin; at != end; ++at) {
      at->second.least += std::min(scale->least * power, scale->most * power);
      at->second.most += std::max(scale->least * power, scale->most * power);
    }
  }
}

Status Symmetries::AddLayout(const Argument& argument, const Axes& axes, Symmetries* made) {
  const Result<std::vector<uint64_t>> sizes = Dimensions(argument, axes);
  if (!sizes.ok()) return sizes.error();
  Layout layout{argument.name, *sizes, {}};
  for (const Program& dim : argument.dims)
    layout.axes.push_back(axes.count(dim.text) != 0 ? dim.text : "");
  made->layouts_.push_back(std::move(layout));
  return {};
}

Result<Symmetries> Symmetries::Make(const Task& task, const Axes& axes,
                                    const std::vector<std::string_view>& inputs,
                                    const std::vector<std::string_view>& outputs,
                                    bool outputs_in_f64) {
  std::vector<const Argument*> all;
  for (const Argument& argument : task.arguments) all.push_back(&argument);
  if (task.returns) all.push_back(&*task.returns);
  if (inputs.size() != all.size() || outputs.size() != all.size())
    return Error{Code::kInternal, "symmetries need one array per argument"};
  Symmetries made;
  Extents extents;
  for (size_t a = 0; a < all.size(); ++a) {
    const Argument& argument = *all[a];
    if (!IsInput(argument) && !IsOutput(argument)) continue;
    if (Status added = AddLayout(argument, axes, &made); !added.ok()) return added.error();
    if (!IsFloat(argument.dtype)) continue;
    for (const bool output : {false, true}) {
      const DType dtype = output && outputs_in_f64 ? DType::kF64 : argument.dtype;
      std::vector<double> values((output ? outputs : inputs)[a].size() / SizeOf(dtype));
      ToDoubles(dtype, (output ? outputs : inputs)[a], values.data());
      Extent extent{FormatOf(argument.dtype), kNoValue, -kNoValue};
      for (const double value : values) {
        if (value == 0 || !std::isfinite(value)) continue;
        extent.least = std::min(extent.least, std::ilogb(value));
        extent.most = std::max(extent.most, std::ilogb(value));
      }
      if (extent.least <= extent.most) extents.emplace(argument.name, extent);
    }
  }
  for (const Symmetry& symmetry : task.symmetries) {
    if (!symmetry.permute.empty()) {
      made.permuted_[symmetry.permute] = static_cast<uint64_t>(axes.at(symmetry.permute));
      continue;
    }
    Scale scale{symmetry.scale, 0, 0};
    Narrow(&scale, &extents);
    made.scales_.push_back(std::move(scale));
  }
  return made;
}

bool Symmetries::Any() const {
  if (!scales_.empty()) return true;  // the sign alone is a change
  return std::any_of(permuted_.begin(), permuted_.end(),
                     [](const auto& axis) { return axis.second > 1; });
}

FreshValues Symmetries::Draw(uint64_t seed) const {
  FreshValues fresh;
  CounterRandom random(seed, "symmetry");
  for (const auto& [axis, size] : permuted_) {
    std::vector<uint32_t> order(size);
    std::iota(order.begin(), order.end(), 0u);
    for (uint64_t i = size; i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
    for (const Layout& layout : layouts_) {
      for (size_t d = 0; d < layout.axes.size(); ++d) {
        if (layout.axes[d] != axis) continue;
        FreshValues::Step step;
        for (size_t o = 0; o < d; ++o) step.outer *= layout.sizes[o];
        for (size_t i = d + 1; i < layout.sizes.size(); ++i) step.inner *= layout.sizes[i];
        step.order = fresh.orders_.size();
        fresh.changes_[layout.name].steps.push_back(step);
      }
    }
    fresh.orders_.push_back(std::move(order));
  }
  for (const Scale& scale : scales_) {
    const auto span = static_cast<uint64_t>(scale.most - scale.least + 1);
    const int exponent = scale.least + static_cast<int>(random.Below(span));
    const double factor = std::ldexp((random.Next() & 1) != 0 ? 1.0 : -1.0, exponent);
    for (const auto& [name, power] : scale.powers)
      fresh.changes_[name].factor *= PowerOf(factor, power);
  }
  return fresh;
}

}  // namespace kev
