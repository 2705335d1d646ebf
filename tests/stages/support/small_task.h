// A small task and target for stage tests: softmax over rows, one visible and one held-out
// workload. Threads: functions that make values. Errors: a constraint that does not parse ends the
// test program.
#ifndef KEV_TESTS_STAGES_SUPPORT_SMALL_TASK_H_
#define KEV_TESTS_STAGES_SUPPORT_SMALL_TASK_H_

#include <cstdlib>
#include <string>
#include <vector>

#include "configs/expression_parser.h"
#include "configs/load.h"

namespace kev {

inline Program Constraint(const std::string& text, const std::vector<std::string>& names) {
  Symbols symbols;
  for (const std::string& name : names) symbols[name] = FieldType::kInt;
  CompiledExpression compiled = CompileExpression(text, symbols);
  if (compiled.error) std::abort();
  return compiled.program;
}

inline Parameter Numbers(const std::string& name, int count) {
  Parameter parameter{name, {}};
  for (int i = 0; i < count; ++i) parameter.values.push_back(Value(i));
  return parameter;
}

// "vector": WIDTH in {4, 8, 16}, UNROLL in {1, 2, 4} with WIDTH * UNROLL <= 32: 8 assignments;
// "scalar": 2.
inline std::vector<Variant> SmallVariants() {
  Variant vector;
  vector.name = "vector";
  vector.path = "variants/vector.c";
  vector.text = "void softmax(const float* x, float* y, long rows, long cols) {}\n";
  vector.parameters = {{"WIDTH", {Value(4), Value(8), Value(16)}},
                       {"UNROLL", {Value(1), Value(2), Value(4)}}};
  vector.constraints = {Constraint("WIDTH * UNROLL <= 32", {"WIDTH", "UNROLL"})};
  Variant scalar = vector;
  scalar.name = "scalar";
  scalar.path = "variants/scalar.c";
  scalar.parameters = {{"PASSES", {Value(2), Value(3)}}};
  scalar.constraints.clear();
  return {vector, scalar};
}

inline Target CpuTarget(const std::string& compiler = "cc") {
  Target target;
  target.name = "cpu";
  target.about = "The CPU of this machine.";
  target.artefact = "shared_library";
  target.languages[".c"].compile = {compiler, "-std=gnu11", "-O1",      "-fPIC",   "-shared",
                                    "-o",     "{output}",   "{source}", "{flags}", "{link}"};
  target.runner = "cpu";
  return target;
}

inline LoadedRun SmallRun() {
  LoadedRun run;
  Task& task = run.task;
  task.name = "softmax";
  task.about = "Row-wise softmax, float32.";
  task.function = "softmax";
  task.axes = {"rows", "cols"};
  Program rows = Constraint("rows", {"rows"}), cols = Constraint("cols", {"cols"});
  Argument x{"x", Argument::Role::kIn, DType::kF32, {rows, cols}, "", {}};
  Argument y{"y", Argument::Role::kOut, DType::kF32, {rows, cols}, "", {}};
  Argument r{"rows", Argument::Role::kAxis, DType::kI64, {}, "rows", {}};
  Argument c{"cols", Argument::Role::kAxis, DType::kI64, {}, "cols", {}};
  task.arguments = {x, y, r, c};
  task.workloads = {{"square", {{"rows", 512}, {"cols", 512}}, 2, false},
                    {"odd_shape", {{"rows", 77}, {"cols", 1013}}, 1, true}};
  task.domain = {{"rows", {1, 1024}}, {"cols", {1, 8192}}};
  task.tolerance["f32"] = {1e-5, 1e-7};
  task.reference.name = "reference";
  task.reference.text = "/* the clear reference */\n";
  task.variants = SmallVariants();
  run.targets = {CpuTarget()};
  run.files["targets/cpu.yaml"] = "kevolve_target: 1\n";
  return run;
}

}  // namespace kev

#endif  // KEV_TESTS_STAGES_SUPPORT_SMALL_TASK_H_
