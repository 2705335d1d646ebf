#include "configs/task.h"

#include <doctest/doctest.h>

#include "configs/expression_parser.h"
#include "configs/load.h"

namespace kev {
namespace {

constexpr const char* kTask = R"(kevolve_task: 1
name: scale
function: scale
axes: [rows, cols]
arguments:
  - { name: x, role: in, dtype: f32, dims: [rows, cols + 1], fill: { uniform: [-8, 8] } }
  - { name: keys, role: in, dtype: i32, dims: [rows], fill: sorted_unique }
  - { name: picks, role: inout, dtype: i32, dims: [cols], fill: { pick_from: [keys, 0.9] } }
  - { name: y, role: out, dtype: f64, dims: [] }
  - { name: n, axis: rows }
workloads:
  - { name: small, axes: { rows: 2, cols: 3 }, weight: 2 }
  - { name: hidden, axes: { rows: 5, cols: 7 }, held_out: true }
domain: { rows: [1, 64], cols: [0, 64] }
reference: { source: reference.c }
tolerance: { f64: { rtol: 1.0e-5, atol: 1.0e-7 } }
flops: 5 * rows * cols
baselines:
  plain: { source: reference.c, flags: [-O1], libraries: [m] }
variants:
  - name: vector
    source: variants/vector.c
    parameters: { WIDTH: [4, 8, 16], FAST: [true, false], GAIN: [0.5, 2.0], KIND: [row, tile] }
    constraints: [WIDTH * 2 <= 16, KIND == "row" or FAST]
libraries:
  m: { link: [-lm], environment: { THREADS: "1" } }
)";

Task Load() {
  const MemoryFiles files(
      {{"t/task.yaml", kTask}, {"t/reference.c", "ref\n"}, {"t/variants/vector.c", "body\n"}});
  LoadTaskOutcome outcome = LoadTask(files, "t");
  REQUIRE_MESSAGE(outcome.task != nullptr, Format(outcome.diagnostics));
  return *outcome.task;
}

TEST_CASE("a task file is read as it is written") {
  const Task task = Load();
  CHECK(task.arguments.size() == 5);
  CHECK(task.arguments[2].fill.kind == Fill::Kind::kPickFrom);
  CHECK(task.arguments[2].fill.argument == "keys");
  CHECK(task.arguments[2].fill.a == 0.9);
  CHECK(task.workloads[0].weight == 2);
  CHECK(task.workloads[1].held_out);
  CHECK(task.domain.at("cols") == std::pair<int64_t, int64_t>(0, 64));
  CHECK(task.seeds == 2);
  CHECK(task.reference.text == "ref\n");
  CHECK(task.baselines[0].flags == std::vector<std::string>{"-O1"});
  CHECK(task.libraries.at("m").environment.at("THREADS") == "1");
  CHECK(task.variants[0].parameters[0].values == std::vector<Value>{Value(4), Value(8), Value(16)});
  CHECK(task.variants[0].parameters[3].values == std::vector<Value>{Value("row"), Value("tile")});
}

// Runs and files are called after the task: a name with slashes once led out of the home folder.
TEST_CASE("a task's name cannot be a path") {
  for (const char* name : {"../../evil", "a b", "a/b", "..", "\"\""}) {
    CAPTURE(name);
    std::string text = kTask;
    text.replace(text.find("scale"), 5, name);
    const MemoryFiles files(
        {{"t/task.yaml", text}, {"t/reference.c", "ref\n"}, {"t/variants/vector.c", "body\n"}});
    const LoadTaskOutcome outcome = LoadTask(files, "t");
    CHECK(outcome.task == nullptr);
    CHECK(Format(outcome.diagnostics).find("t/task.yaml:2:7: error: ") != std::string::npos);
  }
}

TEST_CASE("the declaration has inputs const and axes as int64_t") {
  CHECK(Declaration(Load()) ==
        "void scale(const float* x, const int32_t* keys, int32_t* picks, double* y, int64_t n)");
}

constexpr const char* kRichTask = R"(kevolve_task: 1
name: rich
function: rich
axes: [rows, cols]
arguments:
  - { name: x, role: in, dtype: bf16, dims: [rows, cols], fill: { normal: [0, 1] } }
  - { name: gamma, role: in, dtype: f32, dims: [cols], fill: { uniform: [1, 2] }, constant: true }
  - { name: packed, role: workspace, dtype: f32, dims: [2 * cols] }
  - { name: y, role: inout, dtype: f16, dims: [rows, cols], fill: zeros }
  - { name: eps, scalar: 1 / (10 * cols), dtype: f32 }
  - { name: cols, axis: cols, dtype: i32 }
returns: { name: norm, dtype: f64 }
setup: { function: rich_setup, arguments: [gamma, packed, cols] }
teardown: { function: rich_end, arguments: [] }
workloads: [{ name: small, axes: { rows: 2, cols: 4 } }]
domain: { rows: [1, 64], cols: [1, 64] }
reference: { source: exact.c, precision: f64 }
tolerance:
  f16: { rtol: 0.01, matched: 0.999, cap: 5 }
  measured: { yardstick: plain, factor: 3, scale: absolute, floor: 1.0e-20 }
nonfinite: allow
flush_to_zero: allow
symmetries: [{ permute: rows }, { scale: { x: 1, y: 1, norm: 2 } }]
cache: cold
baselines: { plain: { source: reference.c } }
)";

Result<Task> LoadRich(const std::string& from = "", const std::string& to = "") {
  std::string text = kRichTask;
  if (!from.empty()) text.replace(text.find(from), from.size(), to);
  const MemoryFiles files({{"t/task.yaml", text}, {"t/reference.c", "f\n"}, {"t/exact.c", "d\n"}});
  LoadTaskOutcome outcome = LoadTask(files, "t");
  if (outcome.task == nullptr) return Error{Code::kInvalid, Format(outcome.diagnostics)};
  return *outcome.task;
}

TEST_CASE("scalars, workspaces, constants, a returned value and helper functions are declared") {
  const Task task = LoadRich().value();
  CHECK(Declaration(task) ==
        "double rich(const uint16_t* x, const float* gamma, float* packed, uint16_t* y, float eps, "
        "int32_t cols)");
  CHECK(Declaration(task, *task.setup) ==
        "void rich_setup(const float* gamma, float* packed, int32_t cols)");
  CHECK(Declaration(task, *task.teardown) == "void rich_end()");
  CHECK(task.arguments[1].constant);
  CHECK(*ScalarValue(task.arguments[4], {{"rows", 1}, {"cols", 1}}) == double{0.1f});
  CHECK(*Dimensions(task.arguments[0], {{"rows", 3}, {"cols", 5}}) == std::vector<uint64_t>{3, 5});
  CHECK(*ElementCount(*task.returns, {}) == 1);
  CHECK(IsOutput(*task.returns));
}

TEST_CASE("what is right is read as it is written") {
  const Task task = LoadRich().value();
  CHECK(task.reference.text == "d\n");
  CHECK(task.reference_in_f64);
  CHECK(task.tolerance.at("f16").matched == 0.999);
  CHECK(task.tolerance.at("f16").cap == 5);
  CHECK(task.measured->yardstick == "plain");
  CHECK(task.measured->factor == 3);
  CHECK(task.measured->scale == MeasuredTolerance::Scale::kAbsolute);
  CHECK(task.measured->floor == 1e-20);
  CHECK(task.allow_nonfinite);
  CHECK(task.allow_flush_to_zero);
  CHECK(task.cold_cache);
  CHECK(task.symmetries[0].permute == "rows");
  CHECK(task.symmetries[1].scale == std::map<std::string, int>{{"norm", 2}, {"x", 1}, {"y", 1}});
}

TEST_CASE("classes that are not asked for are those that fills and tolerance allow") {
  using enum ValueClass;
  // gamma's range leaves zero out; flushing makes subnormals meaningless.
  CHECK(LoadRich().value().values ==
        std::vector<ValueClass>{kUniform, kNormal, kLarge, kTiny, kOnes, kSorted, kRepeated});
  CHECK(LoadRich("flush_to_zero: allow\n", "").value().values ==
        std::vector<ValueClass>{kUniform, kNormal, kLarge, kTiny, kDenormal, kOnes, kSorted,
                                kRepeated});
  CHECK(LoadRich("cache: cold", "values: [nans, zeros]").value().values ==
        std::vector<ValueClass>{kNans, kZeros});
  CHECK(Load().values ==
        std::vector<ValueClass>{kUniform, kNormal, kZeros, kOnes, kSorted, kRepeated});
}

TEST_CASE("a task may return its only output") {
  const Result<Task> task = LoadRich("role: inout, dtype: f16", "role: in, dtype: f16");
  CHECK_MESSAGE(task.ok(), (task.ok() ? "" : task.error().message));
  CHECK_FALSE(LoadRich("tolerance:\n", "tolerances:\n").ok());
}

TEST_CASE("sizes and formulas follow the axes") {
  const Task task = Load();
  const Axes axes = task.workloads[0].axes;
  CHECK(*ElementCount(task.arguments[0], axes) == 8);
  CHECK(*ElementCount(task.arguments[3], axes) == 1);
  CHECK(*EvaluateOver(task.flops, axes) == 30);
  CHECK(!ElementCount(task.arguments[0], {{"rows", int64_t{1} << 62}, {"cols", 7}}));
  CHECK(!ElementCount(task.arguments[0], {{"rows", 1}, {"cols", -2}}));
  CHECK(!EvaluateOver(task.flops, {{"rows", 1}}));
}

TEST_CASE("a template gets its parameters as defines, typed so that C reads them as meant") {
  const Variant variant = Load().variants[0];
  Value assignment;
  assignment.Set("WIDTH", 8);
  assignment.Set("FAST", true);
  assignment.Set("GAIN", 2.0);
  assignment.Set("KIND", "tile");
  CHECK(Instantiate(variant, assignment) ==
        "#define WIDTH 8\n#define FAST 1\n#define GAIN 2.0\n#define KIND tile\nbody\n");
  CHECK(*MeetsConstraints(variant, assignment));
  assignment.Set("FAST", false);
  CHECK(!*MeetsConstraints(variant, assignment));
  CHECK(!MeetsConstraints(variant, Value(Value::Map{})));
}

}  // namespace
}  // namespace kev
