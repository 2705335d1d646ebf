#include "stages/verify/poison.h"

#include <algorithm>
#include <cmath>

#include "engine/core/dtype.h"
#include "engine/core/random.h"

namespace kev {
namespace {

struct Range {
  double low = 0;
  double high = 1;
};

// Between which values the expected ones lie.
Range RangeOf(DType dtype, const std::string& bytes) {
  std::vector<double> values(bytes.size() / SizeOf(dtype));
  ToDoubles(dtype, bytes, values.data());
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  if (values.empty()) return {};
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  if (*low < *high) return {*low, *high};
  return {*low + 1, *low * 1.5 + 3};  // nothing varies: other values than the right one
}

}  // namespace

Arrays PoisonFor(const std::vector<const Argument*>& arguments, const PreparedCase& prepared,
                 uint64_t seed) {
  Arrays poison(arguments.size());
  for (size_t a = 0; a < arguments.size(); ++a) {
    if (arguments[a]->role == Argument::Role::kInOut || !IsOutput(*arguments[a])) continue;
    const DType dtype = arguments[a]->dtype;
    const DType given = prepared.expected_in_f64 && IsFloat(dtype) ? DType::kF64 : dtype;
    const std::string& expected = prepared.expected[a];
    const Range range = RangeOf(given, expected);
    std::vector<double> values(expected.size() / SizeOf(given));
    for (uint64_t i = 0; i < values.size(); ++i) {
      const double unit = static_cast<double>(Mix64(seed + i) >> 11) * 0x1p-53;
      values[i] = range.low + (range.high - range.low) * unit;
    }
    poison[a].resize(values.size() * SizeOf(dtype));
    FromDoubles(dtype, values.data(), values.size(), poison[a].data());
  }
  return poison;
}

}  // namespace kev
