#include "stages/verify/compare.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <type_traits>

namespace kev {
namespace {

template <typename T>
T At(std::string_view bytes, uint64_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
std::string Text(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    char text[40];
    std::snprintf(text, sizeof(text), sizeof(T) == 4 ? "%.7g" : "%.15g",
                  static_cast<double>(value));
    return text;
  } else {
    return std::to_string(value);
  }
}

// Error as a multiple of what is allowed; above 1 is wrong.
template <typename T>
double ErrorOf(T got, T expected, Tolerance tolerance) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(got) || std::isnan(expected))
      return std::isnan(got) && std::isnan(expected) ? 0 : kHopeless;
    if (got == expected) return 0;
    if (std::isinf(got) || std::isinf(expected)) return kHopeless;
    const double difference = std::fabs(static_cast<double>(got) - static_cast<double>(expected));
    const double allowed =
        tolerance.atol + tolerance.rtol * std::fabs(static_cast<double>(expected));
    return allowed > 0 ? std::min(difference / allowed, kHopeless) : kHopeless;
  } else {
    return got == expected ? 0 : kHopeless;
  }
}

template <typename T>
Comparison CompareAs(std::string_view got, std::string_view expected, Tolerance tolerance) {
  Comparison result;
  result.elements = expected.size() / sizeof(T);
  for (uint64_t i = 0; i < result.elements; ++i) {
    const T g = At<T>(got, i);
    const T e = At<T>(expected, i);
    if (std::memcmp(&g, &e, sizeof(T)) == 0) continue;
    const double error = ErrorOf(g, e, tolerance);
    result.worst_error = std::max(result.worst_error, error);
    if (error <= 1) continue;
    if (result.wrong++ == 0) {
      result.first_wrong = i;
      result.got = Text(g);
      result.expected = Text(e);
    }
  }
  return result;
}

}  // namespace

Comparison Compare(DType dtype, std::string_view got, std::string_view expected,
                   Tolerance tolerance) {
  switch (dtype) {
    case DType::kF32:
      return CompareAs<float>(got, expected, tolerance);
    case DType::kF64:
      return CompareAs<double>(got, expected, tolerance);
    case DType::kI32:
      return CompareAs<int32_t>(got, expected, tolerance);
    case DType::kI64:
      return CompareAs<int64_t>(got, expected, tolerance);
    default:  // u8, and what the runner cannot pass: byte by byte
      return CompareAs<uint8_t>(got, expected, tolerance);
  }
}

std::string IndexText(uint64_t index, const std::vector<uint64_t>& dims) {
  std::string text;
  for (size_t d = dims.size(); d-- > 0;) {
    const uint64_t dim = std::max<uint64_t>(dims[d], 1);
    text = std::to_string(index % dim) + (text.empty() ? "" : ",") + text;
    index /= dim;
  }
  return "[" + text + "]";
}

uint64_t BitDifferences(DType dtype, std::string_view a, std::string_view b) {
  const size_t size = SizeOf(dtype);
  uint64_t count = 0;
  for (size_t at = 0; at + size <= a.size() && at + size <= b.size(); at += size) {
    count += std::memcmp(a.data() + at, b.data() + at, size) != 0;
  }
  return count;
}

}  // namespace kev
