#include "engine/core/dtype.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace kev {
namespace {

struct Row {
  DType dtype;
  const char* name;
  const char* c_type;
  uint32_t size;
  bool is_signed;
  FloatFormat format;  // of floats; fraction_bits 0 for the others
};
constexpr FloatFormat kWhole = {0, 0, 0};
constexpr std::array<Row, 13> kRows = {{
    {DType::kF32, "f32", "float", 4, true, {23, -126, 127}},
    {DType::kF64, "f64", "double", 8, true, {52, -1022, 1023}},
    {DType::kI32, "i32", "int32_t", 4, true, kWhole},
    {DType::kI64, "i64", "int64_t", 8, true, kWhole},
    {DType::kU8, "u8", "uint8_t", 1, false, kWhole},
    {DType::kF16, "f16", "uint16_t", 2, true, {10, -14, 15}},
    {DType::kBF16, "bf16", "uint16_t", 2, true, {7, -126, 127}},
    {DType::kI8, "i8", "int8_t", 1, true, kWhole},
    {DType::kI16, "i16", "int16_t", 2, true, kWhole},
    {DType::kU16, "u16", "uint16_t", 2, false, kWhole},
    {DType::kU32, "u32", "uint32_t", 4, false, kWhole},
    {DType::kU64, "u64", "uint64_t", 8, false, kWhole},
    {DType::kBool, "bool", "uint8_t", 1, false, kWhole},
}};
const Row& RowOf(DType dtype) { return kRows[static_cast<size_t>(dtype)]; }

double PowerOfTwo(int exponent) {  // REQUIRES: a normal double
  return std::bit_cast<double>(static_cast<uint64_t>(exponent + 1023) << 52);
}

// 16-bit formats: sign, exponent, fraction.
double FromBits(uint16_t bits, FloatFormat format) {
  const int fraction_bits = format.fraction_bits;
  const uint64_t sign = static_cast<uint64_t>(bits & 0x8000) << 48;
  const int magnitude = bits & 0x7FFF;
  if (magnitude >> fraction_bits == 0) {
    const double value = magnitude * PowerOfTwo(format.least_exponent - fraction_bits);
    return std::bit_cast<double>(std::bit_cast<uint64_t>(value) | sign);
  }
  uint64_t wide = static_cast<uint64_t>(magnitude) << (52 - fraction_bits);
  if (magnitude >> fraction_bits == 0x7FFF >> fraction_bits) {
    wide |= uint64_t{0x7FF} << 52;
  } else {
    wide += static_cast<uint64_t>(1023 - 1 + format.least_exponent) << 52;
  }
  return std::bit_cast<double>(wide | sign);
}

// Rounds once, straight from double: by way of float, ties would be rounded twice.
uint16_t ToBits(double value, FloatFormat format) {
  const auto bits = std::bit_cast<uint64_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 48 & 0x8000);
  const int fraction_bits = format.fraction_bits;
  const auto infinity = static_cast<uint16_t>(0x7FFF >> fraction_bits << fraction_bits);
  if (std::isnan(value)) return static_cast<uint16_t>(sign | infinity | 1 << (fraction_bits - 1));
  const int exponent = static_cast<int>(bits >> 52 & 0x7FF) - 1023;
  // Doubles that are subnormal are far below half of either format's least value.
  if (exponent < format.least_exponent - fraction_bits - 1) return sign;
  if (exponent > format.most_exponent) return sign | infinity;
  const uint64_t significand = (bits & ((uint64_t{1} << 52) - 1)) | uint64_t{1} << 52;
  const int below = std::max(0, format.least_exponent - exponent);
  const int shift = 52 - fraction_bits + below;  // at most 53
  const uint64_t rest = significand & ((uint64_t{1} << shift) - 1);
  const uint64_t half = uint64_t{1} << (shift - 1);
  uint64_t rounded = significand >> shift;
  if (rest > half || (rest == half && (rounded & 1) != 0)) ++rounded;
  // The leading one, where there is one, carries into the exponent; so does rounding up.
  if (below == 0) {
    rounded += static_cast<uint64_t>(exponent - format.least_exponent) << fraction_bits;
  }
  return static_cast<uint16_t>(sign | rounded);
}

template <typename T>
T Saturated(double value) {
  if (std::isnan(value)) return 0;
  const double whole = std::nearbyint(value);
  // Both limits as doubles: the least is exact, one above the most is a power of two.
  if (whole <= static_cast<double>(std::numeric_limits<T>::min()))
    return std::numeric_limits<T>::min();
  if (whole >= std::ldexp(1.0, std::numeric_limits<T>::digits))
    return std::numeric_limits<T>::max();
  return static_cast<T>(whole);
}

struct Half {
  static constexpr FloatFormat kFormat = {10, -14, 15};
};
struct Brain {
  static constexpr FloatFormat kFormat = {7, -126, 127};
};
struct Truth {};

template <typename T>
double Load(const char* from) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, Brain>) {
    uint16_t bits = 0;
    std::memcpy(&bits, from, sizeof(bits));
    return FromBits(bits, T::kFormat);
  } else if constexpr (std::is_same_v<T, Truth>) {
    return *from != 0 ? 1 : 0;
  } else {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return static_cast<double>(value);
  }
}

template <typename T>
void Store(double value, char* to) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, Brain>) {
    const uint16_t bits = ToBits(value, T::kFormat);
    std::memcpy(to, &bits, sizeof(bits));
  } else if constexpr (std::is_same_v<T, Truth>) {
    *to = value != 0 && !std::isnan(value) ? 1 : 0;
  } else {
    T element;
    if constexpr (std::is_floating_point_v<T>) {
      element = static_cast<T>(value);
    } else {
      element = Saturated<T>(value);
    }
    std::memcpy(to, &element, sizeof(T));
  }
}

template <typename T>
struct Type {
  using Element = T;
};

// Calls `use` with the Type that stands for `dtype`.
template <typename Use>
auto WithType(DType dtype, Use use) {
  switch (dtype) {
    case DType::kF64:
      return use(Type<double>());
    case DType::kI32:
      return use(Type<int32_t>());
    case DType::kI64:
      return use(Type<int64_t>());
    case DType::kU8:
      return use(Type<uint8_t>());
    case DType::kF16:
      return use(Type<Half>());
    case DType::kBF16:
      return use(Type<Brain>());
    case DType::kI8:
      return use(Type<int8_t>());
    case DType::kI16:
      return use(Type<int16_t>());
    case DType::kU16:
      return use(Type<uint16_t>());
    case DType::kU32:
      return use(Type<uint32_t>());
    case DType::kU64:
      return use(Type<uint64_t>());
    case DType::kBool:
      return use(Type<Truth>());
    case DType::kF32:
      break;
  }
  return use(Type<float>());
}

}  // namespace

const char* Name(DType dtype) { return RowOf(dtype).name; }
const char* CType(DType dtype) { return RowOf(dtype).c_type; }
uint32_t SizeOf(DType dtype) { return RowOf(dtype).size; }
bool IsFloat(DType dtype) { return RowOf(dtype).format.fraction_bits > 0; }
bool IsSigned(DType dtype) { return RowOf(dtype).is_signed; }
FloatFormat FormatOf(DType dtype) { return RowOf(dtype).format; }

std::optional<DType> DTypeFrom(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

const std::vector<std::string>& DTypeNames() {
  static const std::vector<std::string> kNames = {"f64", "f32", "f16", "bf16", "i8",  "i16", "i32",
                                                  "i64", "u8",  "u16", "u32",  "u64", "bool"};
  return kNames;
}

double FloatFormat::Epsilon() const { return std::ldexp(1.0, -fraction_bits); }
double FloatFormat::SmallestNormal() const { return std::ldexp(1.0, least_exponent); }
double FloatFormat::Largest() const {
  return std::ldexp(2.0 - std::ldexp(1.0, -fraction_bits), most_exponent);
}

double UlpAt(DType dtype, double value) {
  if (!std::isfinite(value)) return std::numeric_limits<double>::infinity();
  if (!IsFloat(dtype)) return 1;
  const FloatFormat format = FormatOf(dtype);
  const int exponent = value == 0 ? format.least_exponent : std::ilogb(value);
  return std::ldexp(1.0, std::max(exponent, format.least_exponent) - format.fraction_bits);
}

double ToDouble(DType dtype, const void* from) {
  return WithType(dtype, [from](auto type) {
    return Load<typename decltype(type)::Element>(static_cast<const char*>(from));
  });
}

void FromDouble(DType dtype, double value, void* to) {
  WithType(dtype, [value, to](auto type) {
    Store<typename decltype(type)::Element>(value, static_cast<char*>(to));
  });
}

double RoundTo(DType dtype, double value) {
  char element[8];
  FromDouble(dtype, value, element);
  return ToDouble(dtype, element);
}

void ToDoubles(DType dtype, std::string_view bytes, double* to) {
  WithType(dtype, [bytes, to, size = SizeOf(dtype)](auto type) {
    const uint64_t count = bytes.size() / size;
    for (uint64_t i = 0; i < count; ++i)
      to[i] = Load<typename decltype(type)::Element>(bytes.data() + i * size);
  });
}

void FromDoubles(DType dtype, const double* from, uint64_t count, char* to) {
  WithType(dtype, [from, count, to, size = SizeOf(dtype)](auto type) {
    for (uint64_t i = 0; i < count; ++i)
      Store<typename decltype(type)::Element>(from[i], to + i * size);
  });
}

}  // namespace kev
