#include "stages/verify/values.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "engine/core/dtype.h"

namespace kev {
namespace {

Task OneInput(DType dtype, Fill fill) {
  Task task;
  task.name = "one";
  Argument x;
  x.name = "xs";
  x.dtype = dtype;
  x.fill = std::move(fill);
  Program length;
  length.code = {{Op::kLoad, 0}};
  length.names = {"n"};
  length.text.assign(1, 'n');
  x.dims = {length};
  task.arguments = {x};
  return task;
}

std::vector<double> Values(const Task& task, ValueClass values, uint64_t secret = 3,
                           int64_t n = 1000, uint32_t seed = 1) {
  const Case one = {"w", {{"n", n}}, seed, false, values};
  const Arrays arrays = InputArrays(task, one, secret).value();
  std::vector<double> result(static_cast<size_t>(n));
  ToDoubles(task.arguments[0].dtype, arrays[0], result.data());
  return result;
}

bool All(const std::vector<double>& values, const std::function<bool(double)>& is) {
  return std::all_of(values.begin(), values.end(), is);
}

const std::vector<DType> kFloats = {DType::kF64, DType::kF32, DType::kF16, DType::kBF16};

TEST_CASE("every class of every float dtype is what its name says") {
  for (const DType dtype : kFloats) {
    CAPTURE(Name(dtype));
    const FloatFormat format = FormatOf(dtype);
    const Task task = OneInput(dtype, {Fill::Kind::kNormal, 0, 1, ""});
    const double large = std::ldexp(1.0, format.most_exponent / 4);
    const double tiny = std::ldexp(1.0, format.least_exponent / 4);
    CHECK(All(Values(task, ValueClass::kUniform), [](double x) { return std::fabs(x) <= 2; }));
    CHECK(All(Values(task, ValueClass::kLarge),
              [&](double x) { return std::fabs(x) >= large && std::fabs(x) <= 2 * large; }));
    CHECK(All(Values(task, ValueClass::kTiny),
              [&](double x) { return std::fabs(x) >= tiny && std::fabs(x) <= 2 * tiny; }));
    CHECK(All(Values(task, ValueClass::kZeros), [](double x) { return x == 0; }));
    CHECK(All(Values(task, ValueClass::kOnes), [](double x) { return x == 1; }));
    const std::vector<double> sorted = Values(task, ValueClass::kSorted);
    CHECK(std::is_sorted(sorted.begin(), sorted.end()));
    const std::vector<double> repeated = Values(task, ValueClass::kRepeated);
    CHECK(std::set<double>(repeated.begin(), repeated.end()).size() <= 3);
    const std::vector<double> denormal = Values(task, ValueClass::kDenormal);
    const auto subnormal = std::count_if(denormal.begin(), denormal.end(), [&](double x) {
      return x != 0 && std::fabs(x) < format.SmallestNormal();
    });
    CHECK(subnormal > 200);
    CHECK(subnormal < 300);
  }
}

TEST_CASE("infinities and NaNs stand among ordinary values") {
  const Task task = OneInput(DType::kF32, {Fill::Kind::kNormal, 0, 1, ""});
  const std::vector<double> infinities = Values(task, ValueClass::kInfinities);
  CHECK(std::count(infinities.begin(), infinities.end(), HUGE_VAL) > 10);
  CHECK(std::count(infinities.begin(), infinities.end(), -HUGE_VAL) > 10);
  const std::vector<double> nans = Values(task, ValueClass::kNans);
  const auto count =
      std::count_if(nans.begin(), nans.end(), [](double x) { return std::isnan(x); });
  CHECK(count > 30);
  CHECK(count < 120);
}

TEST_CASE("a range that excludes a sign excludes it in every class") {
  const Task task = OneInput(DType::kF32, {Fill::Kind::kUniform, 0, 1, ""});
  for (const ValueClass values : {ValueClass::kUniform, ValueClass::kNormal, ValueClass::kLarge,
                                  ValueClass::kTiny, ValueClass::kDenormal, ValueClass::kSorted,
                                  ValueClass::kRepeated, ValueClass::kInfinities}) {
    CAPTURE(Name(values));
    CHECK(All(Values(task, values), [](double x) { return x >= 0; }));
  }
}

TEST_CASE("classes of integers stay within the fill's range; large ones are its ends") {
  const Task task = OneInput(DType::kI8, {Fill::Kind::kUniform, -7, 100, ""});
  CHECK(All(Values(task, ValueClass::kLarge), [](double x) { return x == -7 || x == 100; }));
  for (const ValueClass values : {ValueClass::kFill, ValueClass::kUniform, ValueClass::kSorted,
                                  ValueClass::kRepeated, ValueClass::kTiny}) {
    CHECK(All(Values(task, values), [](double x) { return x >= -7 && x <= 100; }));
  }
}

TEST_CASE("structured fills are the same in every class, for every integer dtype") {
  for (const DType dtype : {DType::kI8, DType::kI16, DType::kI32, DType::kI64, DType::kU8,
                            DType::kU16, DType::kU32, DType::kU64}) {
    CAPTURE(Name(dtype));
    const Task sorted = OneInput(dtype, {Fill::Kind::kSortedUnique, 0, 0, ""});
    const std::vector<double> table = Values(sorted, ValueClass::kZeros, 3, 100);
    CHECK(std::adjacent_find(table.begin(), table.end(), std::greater_equal<>()) == table.end());
    const Task order = OneInput(dtype, {Fill::Kind::kPermutation, 0, 0, ""});
    std::vector<double> permutation = Values(order, ValueClass::kLarge, 3, 100);
    CHECK_FALSE(std::is_sorted(permutation.begin(), permutation.end()));
    std::sort(permutation.begin(), permutation.end());
    for (size_t i = 0; i < permutation.size(); ++i) CHECK(permutation[i] == static_cast<double>(i));
  }
}

TEST_CASE("a dtype with too few values for a table is an error, not a table with repeats") {
  const Task task = OneInput(DType::kU8, {Fill::Kind::kSortedUnique, 0, 0, ""});
  const Result<Arrays> arrays = InputArrays(task, {"w", {{"n", 300}}, 1, false}, 1);
  REQUIRE_FALSE(arrays.ok());
  CHECK(arrays.error().message.starts_with("xs: u8 has not as many values"));
}

TEST_CASE("inputs follow from secret, seed and class, constants not from the seed") {
  Task task = OneInput(DType::kF32, {Fill::Kind::kNormal, 0, 1, ""});
  const auto fill = Values(task, ValueClass::kFill);
  CHECK(fill == Values(task, ValueClass::kFill));
  CHECK(fill != Values(task, ValueClass::kFill, 4));
  CHECK(fill != Values(task, ValueClass::kFill, 3, 1000, 2));
  CHECK(fill != Values(task, ValueClass::kNormal));
  task.arguments[0].constant = true;
  CHECK(Values(task, ValueClass::kFill) == Values(task, ValueClass::kFill, 3, 1000, 2));
}

TEST_CASE("a reference in double gets the same values, or their absolute ones") {
  for (const DType dtype : kFloats) {
    const Task task = OneInput(dtype, {Fill::Kind::kNormal, 0, 1, ""});
    const Argument& x = task.arguments[0];
    CHECK(ReferenceDType(x) == DType::kF64);
    const Arrays arrays = InputArrays(task, {"w", {{"n", 50}}, 1, false}, 1).value();
    for (const bool absolute : {false, true}) {
      const std::string wide = ReferenceInput(x, arrays[0], absolute);
      REQUIRE(wide.size() == 50 * sizeof(double));
      for (size_t i = 0; i < 50; ++i) {
        const double value = ToDouble(dtype, arrays[0].data() + i * SizeOf(dtype));
        CHECK(ToDouble(DType::kF64, wide.data() + i * 8) == (absolute ? std::fabs(value) : value));
      }
    }
  }
}

TEST_CASE("a full check has every class on the smallest visible workload") {
  Task task = OneInput(DType::kF32, {Fill::Kind::kNormal, 0, 1, ""});
  task.workloads = {
      {"a", {{"n", 4}}, 1, false}, {"b", {{"n", 9}}, 1, false}, {"odd", {{"n", 7}}, 1, true}};
  task.domain = {{"n", {1, 100}}};
  task.values = {ValueClass::kTiny, ValueClass::kZeros};
  for (uint64_t secret = 0; secret < 20; ++secret) {
    const std::vector<Case> cases = FullCasesWithValues(task, secret).value();
    // Two workloads, the domain's two ends, the classes, what is held out, drawn shapes.
    REQUIRE(cases.size() == 2 * 2 + 2 + 2 + 2 + 3);
    CHECK(cases[6].values == ValueClass::kTiny);
    CHECK(cases[7].values == ValueClass::kZeros);
    CHECK_FALSE(cases[6].hidden);
    CHECK(cases[8].hidden);
    CHECK(cases[6].workload == "a");
    CHECK(cases[7].workload == "a");
  }
}

TEST_CASE("small outputs are bounded by more runs of the yardstick, and classes by fills too") {
  const Case one = {"w", {{"n", 4}}, 1, true, ValueClass::kZeros};
  CHECK(YardstickCases(one, 100).size() == 1 + 15 + 16);
  CHECK(YardstickCases({"w", {{"n", 4}}, 1, true}, 1 << 20).size() == 2);
  for (const Case& other : YardstickCases(one, 100)) CHECK(other.axes == one.axes);
}

}  // namespace
}  // namespace kev
