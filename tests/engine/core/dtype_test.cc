#include "engine/core/dtype.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace kev {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

uint16_t Bits(DType dtype, double value) {
  uint16_t bits = 0;
  FromDouble(dtype, value, &bits);
  return bits;
}

TEST_CASE("names, sizes and C types agree for every dtype") {
  CHECK(DTypeNames().size() == 13);
  for (const std::string& name : DTypeNames()) {
    const DType dtype = DTypeFrom(name).value();
    CHECK(Name(dtype) == name);
    const size_t digit = name.find_first_of("0123456789");
    CHECK(SizeOf(dtype) == (name == "bool" ? 1 : std::stoul(name.substr(digit)) / 8));
    CHECK(IsFloat(dtype) == (name[0] == 'f' || name == "bf16"));
  }
  CHECK(std::string(CType(DType::kBF16)) == "uint16_t");
  CHECK_FALSE(DTypeFrom("f8").has_value());
}

// The numbers are those that the runner's own enumeration gives them; the region's bytes depend on
// it.
TEST_CASE("the first five dtypes keep their numbers") {
  CHECK(static_cast<int>(DType::kF32) == 0);
  CHECK(static_cast<int>(DType::kF64) == 1);
  CHECK(static_cast<int>(DType::kI32) == 2);
  CHECK(static_cast<int>(DType::kI64) == 3);
  CHECK(static_cast<int>(DType::kU8) == 4);
}

TEST_CASE("every 16-bit float goes to double and back unchanged, and in order") {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    double last = -1;
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      const auto element = static_cast<uint16_t>(bits);
      const double value = ToDouble(dtype, &element);
      if (std::isnan(value)) {
        REQUIRE(std::isnan(RoundTo(dtype, value)));
        continue;
      }
      REQUIRE(Bits(dtype, value) == element);
      if (bits < 0x8000) {
        REQUIRE(value > last);
        last = value;
      }
    }
    CHECK(last == kInfinity);
  }
}

TEST_CASE("between two 16-bit floats the nearer is taken, and the even one half way") {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    const uint16_t infinity = Bits(dtype, kInfinity);
    for (uint16_t bits = 0; bits + 1 < infinity; ++bits) {
      const auto next = static_cast<uint16_t>(bits + 1);
      const double low = ToDouble(dtype, &bits);
      const double high = ToDouble(dtype, &next);
      const double half = low + (high - low) / 2;
      REQUIRE(Bits(dtype, half) == ((bits & 1) == 0 ? bits : next));
      REQUIRE(Bits(dtype, std::nextafter(half, 0.0)) == bits);
      REQUIRE(Bits(dtype, -std::nextafter(half, kInfinity)) == (next | 0x8000));
    }
  }
}

TEST_CASE("known 16-bit values") {
  CHECK(Bits(DType::kF16, 1) == 0x3C00);
  CHECK(Bits(DType::kF16, -2) == 0xC000);
  CHECK(Bits(DType::kF16, 65504) == 0x7BFF);
  CHECK(Bits(DType::kF16, 65519.99) == 0x7BFF);
  CHECK(Bits(DType::kF16, 65520) == 0x7C00);
  CHECK(Bits(DType::kF16, std::ldexp(1.0, -24)) == 1);
  CHECK(Bits(DType::kF16, std::ldexp(1.0, -25)) == 0);
  CHECK(Bits(DType::kF16, 1e-320) == 0);
  CHECK(Bits(DType::kBF16, 1) == 0x3F80);
  CHECK(Bits(DType::kBF16, 3.4e38) == 0x7F80);
  CHECK(Bits(DType::kBF16, -0.0) == 0x8000);
  // 1 + 2^-11 + 2^-30: by way of float the last bit would be lost, and the tie go to even.
  CHECK(Bits(DType::kF16, 1 + std::ldexp(1.0, -11) + std::ldexp(1.0, -30)) == 0x3C01);
}

TEST_CASE("integers saturate and round to the nearest") {
  CHECK(RoundTo(DType::kI8, 200) == 127);
  CHECK(RoundTo(DType::kI8, -200) == -128);
  CHECK(RoundTo(DType::kU16, -1) == 0);
  CHECK(RoundTo(DType::kI32, 2.5) == 2);
  CHECK(RoundTo(DType::kI32, std::nan("")) == 0);
  CHECK(RoundTo(DType::kU64, 1e30) == std::ldexp(1.0, 64));
  int64_t most = 0;
  FromDouble(DType::kI64, 1e30, &most);
  CHECK(most == std::numeric_limits<int64_t>::max());
  CHECK(RoundTo(DType::kBool, -0.5) == 1);
}

TEST_CASE("an ulp is the distance to the next value") {
  CHECK(UlpAt(DType::kF32, 1) == std::ldexp(1.0, -23));
  CHECK(UlpAt(DType::kF32, -3) == std::ldexp(1.0, -22));
  CHECK(UlpAt(DType::kF32, 0) == std::numeric_limits<float>::denorm_min());
  CHECK(UlpAt(DType::kF32, 1e-42) == std::numeric_limits<float>::denorm_min());
  CHECK(UlpAt(DType::kF16, 1024) == 1);
  CHECK(UlpAt(DType::kBF16, 1) == std::ldexp(1.0, -7));
  CHECK(UlpAt(DType::kI64, 1e6) == 1);
  CHECK(UlpAt(DType::kF64, kInfinity) == kInfinity);
  CHECK(FormatOf(DType::kF32).Largest() == std::numeric_limits<float>::max());
  CHECK(FormatOf(DType::kF16).Largest() == 65504);
  CHECK(FormatOf(DType::kF32).SmallestNormal() == std::numeric_limits<float>::min());
}

TEST_CASE("arrays are converted element by element, aligned or not") {
  const std::vector<double> values = {1, -0.5, 7, 100};
  for (const std::string& name : DTypeNames()) {
    const DType dtype = *DTypeFrom(name);
    CAPTURE(name);
    std::string bytes(1 + values.size() * SizeOf(dtype), '\0');
    FromDoubles(dtype, values.data(), values.size(), bytes.data() + 1);
    std::vector<double> back(values.size());
    ToDoubles(dtype, std::string_view(bytes).substr(1), back.data());
    for (size_t i = 0; i < values.size(); ++i) CHECK(back[i] == RoundTo(dtype, values[i]));
  }
}

}  // namespace
}  // namespace kev
