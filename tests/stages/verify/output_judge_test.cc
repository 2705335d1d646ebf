#include "stages/verify/output_judge.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/random.h"

namespace kev {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr double kEpsilon = 0x1p-23;

template <typename T>
std::string_view Bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

Argument Output(DType dtype = DType::kF32) {
  return {"y", Argument::Role::kOut, dtype, {}, "", {}, {}, false};
}

Task FixedTask(Tolerance tolerance) {
  Task task;
  task.tolerance["f32"] = tolerance;
  return task;
}

Task MeasuredTask(double factor = 2) {
  Task task;
  task.measured = MeasuredTolerance{"plain", factor, MeasuredTolerance::Scale::kResult, 0};
  return task;
}

OutputJudge FixedJudge(const std::vector<double>& expected, Tolerance tolerance,
                       bool nonfinite = false) {
  Task task = FixedTask(tolerance);
  task.allow_nonfinite = nonfinite;
  return OutputJudge::Make(task, Output(), {DType::kF64, Bytes(expected), {}}).value();
}

// Whether Judge and Accepts agree, and what they say.
bool Right(const OutputJudge& judge, const std::vector<float>& got) {
  const bool accepted = judge.Judge(Bytes(got)).accepted;
  CHECK(judge.Accepts(Bytes(got)) == accepted);
  return accepted;
}

// Exact values of magnitude about 1, and outputs with a relative error of `ulp` at most.
struct Sample {
  std::vector<double> exact;
  std::vector<float> got;
};
Sample Noisy(uint64_t count, double ulp, uint64_t seed) {
  Sample sample;
  CounterRandom random(seed, "noise");
  for (uint64_t i = 0; i < count; ++i) {
    sample.exact.push_back(1 + random.Unit());
    const double error = sample.exact.back() * ulp * kEpsilon * (2 * random.Unit() - 1);
    sample.got.push_back(static_cast<float>(sample.exact.back() + error));
  }
  return sample;
}

Quantiles BoundsOf(const Task& task, const Sample& yardstick) {
  const auto errors = ScaledErrors(Output(), *task.measured,
                                   {DType::kF64, Bytes(yardstick.exact), {}}, Bytes(yardstick.got));
  return BoundsFrom(errors.value(), *task.measured).value();
}

TEST_CASE("a fixed tolerance allows atol + rtol * |expected|") {
  const OutputJudge judge = FixedJudge({100, 0}, {0.01, 0.5});
  CHECK(Right(judge, {101.4f, -0.4f}));
  CHECK_FALSE(Right(judge, {101.6f, 0}));
  const ErrorStatistics wrong = judge.Judge(Bytes(std::vector<float>{101.6f, 0}));
  CHECK(wrong.wrong == 1);
  CHECK(wrong.worst == 0);
  CHECK(wrong.of_allowed.max == doctest::Approx(1.0667).epsilon(0.001));
  CHECK(wrong.reason == "1 of 2 elements outside rtol 0.01 atol 0.5");
}

TEST_CASE("a share of the elements may lie outside, but not by more than the cap") {
  const std::vector<double> expected(1000, 1.0);
  const OutputJudge judge = FixedJudge(expected, {0.01, 0, 0.999, 10});
  std::vector<float> got(1000, 1.0f);
  got[7] = 1.09f;
  CHECK(Right(judge, got));
  got[8] = 1.02f;
  CHECK_FALSE(Right(judge, got));
  got[8] = 1;
  got[7] = 1.2f;
  CHECK_FALSE(Right(judge, got));
}

TEST_CASE("without a tolerance only equal floats are right") {
  const OutputJudge judge = FixedJudge({1, 0}, {});
  CHECK(Right(judge, {1, -0.0f}));
  CHECK_FALSE(Right(judge, {std::nextafter(1.0f, 2.0f), 0}));
  CHECK_FALSE(Right(judge, {1, 1e-45f}));
}

TEST_CASE("NaN and infinity are right only where the same is expected, in every tolerance") {
  constexpr double kWide = 1e30;
  const OutputJudge finite = FixedJudge({1, 2}, {kWide, kWide, 0.1, 1e30});
  for (const float odd : {kNaN, kInfinity, -kInfinity}) {
    CAPTURE(odd);
    CHECK_FALSE(Right(finite, {odd, 2}));
    CHECK(finite.Judge(Bytes(std::vector<float>{odd, 2})).nonfinite == 1);
  }
  const OutputJudge mixed =
      FixedJudge({kInfinity, -kInfinity, kNaN, 1}, {kWide, kWide, 0.1, 1e30}, true);
  CHECK(Right(mixed, {kInfinity, -kInfinity, kNaN, 1.5f}));
  CHECK(Right(mixed, {kInfinity, -kInfinity, -kNaN, 1.5f}));
  CHECK_FALSE(Right(mixed, {-kInfinity, -kInfinity, kNaN, 1}));
  CHECK_FALSE(Right(mixed, {kInfinity, -kInfinity, 0, 1}));
  CHECK_FALSE(Right(mixed, {3e38f, -kInfinity, kNaN, 1}));
  CHECK_FALSE(Right(mixed, {kInfinity, -kInfinity, kNaN, kNaN}));
  CHECK_FALSE(Right(mixed, {kInfinity, kNaN, kNaN, 1}));
}

TEST_CASE("a reference that is not finite is an error unless the task allows it") {
  const std::vector<double> expected = {1, 1e39};  // no f32
  const auto judge =
      OutputJudge::Make(FixedTask({1, 1}), Output(), {DType::kF64, Bytes(expected), {}});
  REQUIRE_FALSE(judge.ok());
  CHECK(judge.error().message.find("nonfinite: allow") != std::string::npos);
}

TEST_CASE("a kernel with the yardstick's errors is right, one with larger errors is not") {
  const Task task = MeasuredTask();
  const Quantiles bounds = BoundsOf(task, Noisy(20000, 20, 1));
  CHECK(bounds.median == doctest::Approx(20).epsilon(0.05));
  CHECK(bounds.max == doctest::Approx(40).epsilon(0.05));
  const auto accepted = [&](double ulp) {
    const Sample sample = Noisy(20000, ulp, 2);
    const OutputJudge judge =
        OutputJudge::Make(task, Output(), {DType::kF64, Bytes(sample.exact), {}}, bounds).value();
    return Right(judge, sample.got);
  };
  CHECK(accepted(20));
  CHECK(accepted(35));
  CHECK_FALSE(accepted(45));
  CHECK_FALSE(accepted(0x1p14));  // what bf16 inside would give
}

TEST_CASE("a few larger errors are found at the tail, many small ones at the median") {
  const Task task = MeasuredTask();
  const Sample sample = Noisy(10000, 20, 1);
  const Quantiles bounds = BoundsOf(task, sample);
  const OutputJudge judge =
      OutputJudge::Make(task, Output(), {DType::kF64, Bytes(sample.exact), {}}, bounds).value();
  std::vector<float> got = sample.got;
  got[77] = static_cast<float>(sample.exact[77] * (1 + 50 * kEpsilon));
  const ErrorStatistics one = judge.Judge(Bytes(got));
  CHECK(one.worst == 77);
  CHECK(one.wrong == 1);
  CHECK(one.reason.starts_with("the largest error is "));
  CHECK(one.ulp.max == doctest::Approx(50).epsilon(0.02));
  CHECK_FALSE(judge.Accepts(Bytes(got)));
  got = sample.got;
  for (size_t i = 0; i < 6000; ++i)
    got[i] = static_cast<float>(sample.exact[i] * (1 + 25 * kEpsilon));
  const ErrorStatistics many = judge.Judge(Bytes(got));
  CHECK(many.wrong == 0);
  CHECK(many.reason.starts_with("the median error is "));
  CHECK(many.ulp.median == doctest::Approx(25).epsilon(0.02));
  CHECK_FALSE(judge.Accepts(Bytes(got)));
}

TEST_CASE("errors up to 2 ulp are right however exact the yardstick is") {
  const Task task = MeasuredTask();
  const Sample perfect = Noisy(5000, 0, 1);
  const Quantiles bounds = BoundsOf(task, perfect);
  CHECK(bounds == Quantiles{2, 2, 2});
  const OutputJudge judge =
      OutputJudge::Make(task, Output(), {DType::kF64, Bytes(perfect.exact), {}}, bounds).value();
  CHECK(Right(judge, Noisy(5000, 1.4, 1).got));
  CHECK_FALSE(Right(judge, Noisy(5000, 3, 1).got));
}

TEST_CASE("a yardstick that is not finite where the reference is gives no bounds") {
  const Task task = MeasuredTask();
  Sample sample = Noisy(100, 1, 1);
  sample.got[5] = kNaN;
  const auto errors = ScaledErrors(Output(), *task.measured, {DType::kF64, Bytes(sample.exact), {}},
                                   Bytes(sample.got));
  CHECK_FALSE(BoundsFrom(errors.value(), *task.measured).ok());
}

TEST_CASE("with absolute scales a cancelled sum may have the error of its terms") {
  Task task = MeasuredTask();
  task.measured->scale = MeasuredTolerance::Scale::kAbsolute;
  const std::vector<double> exact = {1e-6}, scale = {100.0};  // 50 - 50 + 1e-6
  const std::vector<float> got = {1.1e-5f};
  const auto judge =
      OutputJudge::Make(task, Output(), {DType::kF64, Bytes(exact), Bytes(scale)}, {2, 2, 2});
  CHECK(Right(judge.value(), got));
  CHECK_FALSE(Right(judge.value(), {4e-5f}));
  CHECK_FALSE(OutputJudge::Make(task, Output(), {DType::kF64, Bytes(exact), {}}, {2, 2, 2}).ok());
}

TEST_CASE("a lost subnormal is wrong unless flushing or the floor allows it") {
  const std::vector<double> exact = {1e-39, 1};
  const ExpectedArray expected = {DType::kF64, Bytes(exact), {}};
  Task task = MeasuredTask();
  const Quantiles bounds = {2, 2, 2};
  CHECK_FALSE(Right(OutputJudge::Make(task, Output(), expected, bounds).value(), {0, 1}));
  CHECK(Right(OutputJudge::Make(task, Output(), expected, bounds).value(), {1e-39f, 1}));
  task.measured->floor = 1e-30;
  CHECK(Right(OutputJudge::Make(task, Output(), expected, bounds).value(), {0, 1}));
  task.measured->floor = 0;
  task.allow_flush_to_zero = true;
  CHECK(Right(OutputJudge::Make(task, Output(), expected, bounds).value(), {0, 1}));
}

TEST_CASE("integers and bools are exact") {
  const std::vector<int64_t> expected = {1, 2, (int64_t{1} << 60) + 1};
  std::vector<int64_t> got = expected;
  const OutputJudge judge =
      OutputJudge::Make({}, Output(DType::kI64), {DType::kI64, Bytes(expected), {}}).value();
  CHECK(judge.Accepts(Bytes(got)));
  got[2] -= 1;
  CHECK_FALSE(judge.Accepts(Bytes(got)));
  const ErrorStatistics wrong = judge.Judge(Bytes(got));
  CHECK(wrong.wrong == 1);
  CHECK(wrong.got == "1152921504606846976");
  CHECK(wrong.expected == "1152921504606846977");
  const std::vector<uint8_t> truths = {0, 1, 1}, other = {0, 2, 1};
  const OutputJudge bools =
      OutputJudge::Make({}, Output(DType::kBool), {DType::kBool, Bytes(truths), {}}).value();
  CHECK(bools.Accepts(Bytes(truths)));
  CHECK_FALSE(bools.Accepts(Bytes(other)));
  CHECK_FALSE(OutputJudge::Make({}, Output(DType::kBool), {DType::kBool, Bytes(other), {}}).ok());
}

TEST_CASE("half floats are judged in their own ulps") {
  const Task task = MeasuredTask();
  const std::vector<double> exact = {1.0, 3.0};
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    const OutputJudge judge =
        OutputJudge::Make(task, Output(dtype), {DType::kF64, Bytes(exact), {}}, {2, 2, 2}).value();
    const double epsilon = FormatOf(dtype).Epsilon();
    const auto accepted = [&](double ulps) {
      const std::vector<double> values = {1 + ulps * epsilon, 3.0};
      std::string got(4, '\0');
      FromDoubles(dtype, values.data(), 2, got.data());
      CHECK(judge.Accepts(got) == judge.Judge(got).accepted);
      return judge.Accepts(got);
    };
    CHECK(accepted(2));
    CHECK_FALSE(accepted(3));
  }
}

TEST_CASE("untouched and zero elements are counted where they are wrong") {
  const OutputJudge judge = FixedJudge({0, 1, 2, 3}, {1e-5, 0});
  const std::vector<float> poison = {9, 9, 2, 9}, got = {0, 0, 2, 9};
  const ErrorStatistics statistics = judge.Judge(Bytes(got), Bytes(poison));
  CHECK(statistics.zeros == 0.25);
  CHECK(statistics.poison == 0.25);
}

TEST_CASE("an output of another size is wrong, an empty one can be right") {
  const OutputJudge judge = FixedJudge({1, 2}, {1, 1});
  CHECK_FALSE(judge.Accepts({}));
  CHECK_FALSE(judge.Judge({}).accepted);
  CHECK(FixedJudge({}, {}).Judge({}).accepted);
}

TEST_CASE("errors are found in every block of a long array, at its ends too") {
  const Sample sample = Noisy(5000, 0, 3);
  const OutputJudge judge =
      OutputJudge::Make(MeasuredTask(), Output(), {DType::kF64, Bytes(sample.exact), {}}, {2, 2, 2})
          .value();
  CHECK(Right(judge, sample.got));
  for (const size_t at : {0, 1023, 1024, 4095, 4999}) {
    std::vector<float> got = sample.got;
    got[at] *= 1.00001f;
    CHECK_FALSE(judge.Accepts(Bytes(got)));
  }
}

TEST_CASE("a record has the worst element and is small") {
  const OutputJudge judge = FixedJudge({0, 1, 2, 3}, {1e-5, 0});
  const ErrorStatistics statistics = judge.Judge(Bytes(std::vector<float>{0, 1, 2, 3.5f}));
  const Value value = ToValue(statistics, {2, 2});
  CHECK(value["worst"]["index"].AsString() == "[1,1]");
  CHECK(value["worst"]["got"].AsString() == "3.5");
  CHECK(value["wrong_share"].AsDouble() == 0.25);
  CHECK(ToJson(value).size() < 500);
}

}  // namespace
}  // namespace kev
