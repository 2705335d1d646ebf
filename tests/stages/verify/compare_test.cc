#include "stages/verify/compare.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

namespace kev {
namespace {

template <typename T>
std::string_view Bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

uint64_t WrongOf(float got, float expected) {
  const std::vector<float> g = {got}, e = {expected};
  return Compare(DType::kF32, Bytes(g), Bytes(e), {0.01, 0.5}).wrong;
}

TEST_CASE("floats may differ by atol + rtol * |expected|") {
  CHECK(WrongOf(101.4f, 100) == 0);
  CHECK(WrongOf(101.6f, 100) == 1);
  CHECK(WrongOf(-0.4f, 0) == 0);
  CHECK(WrongOf(0.0f, -0.0f) == 0);
}

TEST_CASE("NaN and infinities are right only where they are expected") {
  CHECK(WrongOf(kNaN, 1) == 1);
  CHECK(WrongOf(1, kNaN) == 1);
  CHECK(WrongOf(kNaN, kNaN) == 0);
  CHECK(WrongOf(kInfinity, kInfinity) == 0);
  CHECK(WrongOf(kInfinity, -kInfinity) == 1);
  CHECK(WrongOf(1e30f, kInfinity) == 1);
}

TEST_CASE("integers are exact, whatever the tolerance") {
  const std::vector<int64_t> got = {1, 2, 4}, expected = {1, 2, 3};
  const Comparison compared = Compare(DType::kI64, Bytes(got), Bytes(expected), {1, 1});
  CHECK(compared.elements == 3);
  CHECK(compared.wrong == 1);
  CHECK(compared.first_wrong == 2);
  CHECK(compared.got == "4");
  CHECK(compared.expected == "3");
}

TEST_CASE("an index is written row-major") {
  CHECK(IndexText(0, {4, 5}) == "[0,0]");
  CHECK(IndexText(17, {4, 5}) == "[3,2]");
  CHECK(IndexText(6, {10}) == "[6]");
}

TEST_CASE("bits are compared per element") {
  const std::vector<float> a = {0.0f, 1.0f}, b = {-0.0f, 1.0f};
  CHECK(BitDifferences(DType::kF32, Bytes(a), Bytes(b)) == 1);
}

}  // namespace
}  // namespace kev
