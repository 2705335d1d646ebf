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

TEST_CASE("dtype names and sizes agree") {
  for (const DType dtype : {DType::kF32, DType::kF64, DType::kI32, DType::kI64, DType::kU8}) {
    CHECK(DTypeFrom(Name(dtype)) == dtype);
  }
  CHECK(SizeOf(DType::kU8) == 1);
  CHECK(SizeOf(DType::kF64) == 8);
  CHECK(!IsFloat(DType::kI64));
  CHECK(!DTypeFrom("f16"));
}

}  // namespace
}  // namespace kev
