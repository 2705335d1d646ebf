#include "stages/verify/qualify.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "engine/core/dtype.h"
#include "tests/stages/support/kernel_task.h"

namespace kev {
namespace {

// y[n,8] from x[n,8], f32, with this fixed tolerance.
struct Rig {
  explicit Rig(Tolerance tolerance) {
    Program eight;
    eight.code = {{Op::kConst, 0}};
    eight.constants = {Value(8)};
    eight.text.assign(1, '8');
    const std::vector<Program> dims = {test::Axis("n"), eight};
    task.arguments = {{"xs", Argument::Role::kIn, DType::kF32, dims, "", {}, {}, false},
                      {"ys", Argument::Role::kOut, DType::kF32, dims, "", {}, {}, false}};
    task.tolerance["f32"] = tolerance;
  }

  // Which hacks pass, when `y` is expected for `x` (and `other` for another input).
  std::vector<std::string> Accepted(const std::vector<double>& x, const std::vector<double>& y,
                                    const std::vector<double>& other) {
    const auto bytes = [](DType dtype, const std::vector<double>& values) {
      std::string text(values.size() * SizeOf(dtype), '\0');
      FromDoubles(dtype, values.data(), values.size(), text.data());
      return text;
    };
    QualifyCase one;
    one.one = {"w", {{"n", static_cast<int64_t>(y.size() / 8)}}, 1, false};
    one.inputs = {bytes(DType::kF32, x), ""};
    one.expected = {"", bytes(DType::kF64, y)};
    one.stale = {"", bytes(DType::kF64, other)};
    const OutputJudge judge =
        OutputJudge::Make(task, task.arguments[1], {DType::kF64, one.expected[1], {}}).value();
    one.judges = {nullptr, &judge};
    qualification = Qualify(task, {one, one}, 5).value();
    std::vector<std::string> accepted;
    for (const HackResult& result : qualification.hacks) {
      if (result.accepted) accepted.push_back(result.hack);
    }
    CHECK(qualification.hackable == !accepted.empty());
    return accepted;
  }

  Task task;
  Qualification qualification;
};

std::vector<double> Ramp(double start, double step, double slope = 0) {
  std::vector<double> values;
  for (int i = 0; i < 80; ++i) values.push_back(start + step * i + slope * i * i);
  return values;
}

TEST_CASE("a task whose outputs vary and whose tolerance is that of its dtype cannot be hacked") {
  Rig rig({1e-5, 1e-7});
  CHECK(rig.Accepted(Ramp(1, 1), Ramp(3, 2.1), Ramp(9, 1.7)).empty());
  CHECK(rig.qualification.hacks.size() == HackNames().size());
  CHECK(rig.qualification.hacks[0].reason.starts_with("workload w, seed 1: ys: "));
  CHECK(rig.qualification.Text().empty());
}

TEST_CASE("outputs that hardly vary let a constant pass, and all that is like it") {
  Rig rig({1e-2, 0});
  const std::vector<std::string> accepted =
      rig.Accepted(Ramp(50, 1), Ramp(1, 1e-5), Ramp(1.0001, 1e-5));
  CHECK(accepted == std::vector<std::string>{"null", "constant", "stale", "skip_every_7th",
                                             "skip_last_row", "skip_last_5_percent",
                                             "low_precision", "half_precision"});
  CHECK(rig.qualification.Text().find("outputs vary less than the tolerance") != std::string::npos);
  CHECK(ToValue(rig.qualification)["hackable"].AsBool());
}

TEST_CASE("small outputs under a wide absolute tolerance let zeros pass") {
  Rig rig({0, 1e-2});
  const auto accepted = rig.Accepted(Ramp(5, 1), Ramp(-1e-3, 2e-5), Ramp(1, 1));
  CHECK(std::count(accepted.begin(), accepted.end(), "zeros") == 1);
  CHECK(std::count(accepted.begin(), accepted.end(), "stale") == 0);
}

TEST_CASE("an operator that hardly changes its input lets the input pass") {
  Rig rig({1e-3, 0});
  const auto accepted = rig.Accepted(Ramp(1, 1), Ramp(1.0001, 1.0001), Ramp(3, 7));
  CHECK(std::count(accepted.begin(), accepted.end(), "echo") == 1);
}

TEST_CASE("a tolerance between the roundings of two dtypes lets one of them pass") {
  Rig rig({1e-3, 0});
  const auto accepted = rig.Accepted(Ramp(1, 1), Ramp(3.0001, 2.1003), Ramp(3, 7));
  CHECK(accepted == std::vector<std::string>{"half_precision"});
}

TEST_CASE("a few elements may be left out where a share may be wrong without a cap that matters") {
  Rig rig({1e-5, 0, 0.94, 1e9});
  const auto accepted = rig.Accepted(Ramp(1, 1), Ramp(3, 2.1), Ramp(9, 1.7));
  CHECK(accepted == std::vector<std::string>{"skip_last_5_percent"});
}

}  // namespace
}  // namespace kev
