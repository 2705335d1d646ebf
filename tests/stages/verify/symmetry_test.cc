#include "stages/verify/symmetry.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/core/dtype.h"
#include "tests/stages/support/kernel_task.h"

namespace kev {
namespace {

// g[n,n] (inout), x[n,2] and y[n] of one dtype.
Task GramTask(DType dtype, std::vector<Symmetry> symmetries) {
  Task task;
  const auto array = [&](const char* name, Argument::Role role, std::vector<Program> dims) {
    return Argument{name, role, dtype, std::move(dims), "", {}, {}, false};
  };
  Program two;
  two.code = {{Op::kConst, 0}};
  two.constants = {Value(2)};
  two.text.assign(1, '2');
  const Program n = test::Axis("n");
  task.arguments = {array("gram", Argument::Role::kInOut, {n, n}),
                    array("xs", Argument::Role::kIn, {n, two}),
                    array("ys", Argument::Role::kOut, {n})};
  task.symmetries = std::move(symmetries);
  return task;
}

std::string Elements(DType dtype, const std::vector<double>& values) {
  std::string bytes(values.size() * SizeOf(dtype), '\0');
  FromDoubles(dtype, values.data(), values.size(), bytes.data());
  return bytes;
}

std::vector<double> Applied(const FreshValues& fresh, const char* name, DType dtype,
                            const std::vector<double>& values, bool magnitudes = false) {
  const std::string from = Elements(dtype, values);
  std::string to(from.size(), '\0');
  fresh.Apply(name, dtype, from, to, magnitudes);
  std::vector<double> result(values.size());
  ToDoubles(dtype, to, result.data());
  return result;
}

Symmetries Make(const Task& task, int64_t n, const std::vector<double>& x,
                const std::vector<double>& y) {
  const DType dtype = task.arguments[0].dtype;
  const std::string gram(static_cast<size_t>(n * n) * SizeOf(dtype), '\0');
  const std::string xs = Elements(dtype, x), ys = Elements(DType::kF64, y);
  return Symmetries::Make(task, {{"n", n}}, {gram, xs, {}}, {{}, {}, ys}, true).value();
}

TEST_CASE("slices along an axis move alike in every array, in both dimensions where both are it") {
  for (const DType dtype : {DType::kF64, DType::kF32, DType::kF16, DType::kI8}) {
    CAPTURE(Name(dtype));
    const Task task = GramTask(dtype, {{"n", {}}});
    const FreshValues fresh = Make(task, 3, {1, 2, 3, 4, 5, 6}, {7, 8, 9}).Draw(4);
    const std::vector<double> y = Applied(fresh, "ys", dtype, {0, 1, 2});
    const std::vector<double> x = Applied(fresh, "xs", dtype, {0, 1, 10, 11, 20, 21});
    const std::vector<double> gram =
        Applied(fresh, "gram", dtype, {0, 1, 2, 10, 11, 12, 20, 21, 22});
    for (size_t i = 0; i < 3; ++i) {
      CHECK(x[2 * i] == 10 * y[i]);
      CHECK(x[2 * i + 1] == 10 * y[i] + 1);
      for (size_t j = 0; j < 3; ++j) CHECK(gram[3 * i + j] == 10 * y[i] + y[j]);
    }
    CHECK(std::set<double>(y.begin(), y.end()) == std::set<double>{0, 1, 2});
    CHECK(fresh.Changes("xs"));
    CHECK_FALSE(fresh.Changes("n"));
  }
}

TEST_CASE("a scale is a signed power of two with each argument's power, magnitudes without sign") {
  const Task task = GramTask(DType::kF32, {{"", {{"xs", 1}, {"ys", -2}}}});
  const Symmetries symmetries = Make(task, 1, {1, 2}, {3});
  std::set<double> factors;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const FreshValues fresh = symmetries.Draw(seed);
    const double factor = Applied(fresh, "xs", DType::kF32, {1, 1})[0];
    CHECK(Applied(fresh, "ys", DType::kF64, {1})[0] == 1 / (factor * factor));
    CHECK(Applied(fresh, "xs", DType::kF32, {1, 1}, true)[0] == std::fabs(factor));
    CHECK(std::log2(std::fabs(factor)) == std::round(std::log2(std::fabs(factor))));
    factors.insert(factor);
  }
  CHECK(factors.size() == 34);  // +-2^-8 … +-2^8
}

TEST_CASE("scales of one argument leave every value finite and normal together") {
  const Task task =
      GramTask(DType::kF16, {{"", {{"xs", 1}, {"ys", 1}}}, {"", {{"gram", 1}, {"ys", 1}}}});
  const Symmetries symmetries = Make(task, 1, {1, 0.25}, {4096});  // f16 ends at 2^16
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const double y = Applied(symmetries.Draw(seed), "ys", DType::kF64, {4096})[0];
    CHECK(std::fabs(y) <= 32768);
    CHECK(std::fabs(y) >= std::ldexp(1.0, -14));
  }
}

TEST_CASE("zeros, infinities and subnormals leave the sign to be drawn") {
  const Task task = GramTask(DType::kF32, {{"", {{"xs", 1}, {"ys", 1}}}});
  const Symmetries symmetries = Make(task, 1, {1e-40, HUGE_VAL}, {0});
  CHECK(symmetries.Any());
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const FreshValues fresh = symmetries.Draw(seed);
    CHECK(std::fabs(Applied(fresh, "xs", DType::kF32, {1, 1})[0]) == 1);
  }
}

// Outputs have no input bytes: a caller that goes over all arguments once wrote past the end.
TEST_CASE("an array that is not there is left alone") {
  const FreshValues fresh =
      Make(GramTask(DType::kF32, {{"n", {}}}), 2, {1, 2, 3, 4}, {1, 2}).Draw(1);
  std::string guard = "guard";
  fresh.Apply("ys", DType::kF32, {}, std::span<char>(guard.data(), 0));
  CHECK(guard == "guard");
}

TEST_CASE("without symmetries nothing changes") {
  const Task task = GramTask(DType::kF32, {});
  const Symmetries symmetries = Make(task, 2, {1, 2, 3, 4}, {1, 2});
  CHECK_FALSE(symmetries.Any());
  CHECK(Applied(symmetries.Draw(1), "ys", DType::kF32, {5, 6}) == std::vector<double>{5, 6});
  CHECK_FALSE(Make(GramTask(DType::kF32, {{"n", {}}}), 1, {1, 2}, {1}).Any());
}

}  // namespace
}  // namespace kev
