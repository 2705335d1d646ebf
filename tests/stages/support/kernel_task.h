// A small task and its artefacts for tests of verify and profile: y = 2 x over n floats, kernels
// compiled from C. Requires cc in PATH.
#ifndef KEV_TESTS_STAGES_SUPPORT_KERNEL_TASK_H_
#define KEV_TESTS_STAGES_SUPPORT_KERNEL_TASK_H_

#include <doctest/doctest.h>

#include <string>
#include <utility>

#include "tests/runners/support/compiled_kernel.h"
#include "tests/stages/support/fake_stage_context.h"

namespace kev::test {

inline Program Axis(const std::string& name) {
  Program program;
  program.code = {{Op::kLoad, 0}};
  program.names = {name};
  program.text = name;
  return program;
}

// void twice(const float* x, float* y, int64_t rows, int64_t cols)
inline Task TwiceTask() {
  Task task;
  task.name = "twice";
  task.function = "twice";
  task.axes = {"rows", "cols"};
  const auto array = [](const char* name, Argument::Role role) {
    Argument argument;
    argument.name = name;
    argument.role = role;
    argument.dims = {Axis("rows"), Axis("cols")};
    argument.fill = {Fill::Kind::kUniform, -4, 4, ""};
    return argument;
  };
  const auto axis = [](const char* name) {
    Argument argument;
    argument.name = name;
    argument.role = Argument::Role::kAxis;
    argument.axis = name;
    return argument;
  };
  task.arguments = {array("x", Argument::Role::kIn), array("y", Argument::Role::kOut), axis("rows"),
                    axis("cols")};
  task.workloads = {{"square", {{"rows", 64}, {"cols", 64}}, 2, false},
                    {"long", {{"rows", 4}, {"cols", 2000}}, 1, false},
                    {"odd", {{"rows", 7}, {"cols", 131}}, 1, true}};
  task.domain = {{"rows", {1, 100}}, {"cols", {1, 300}}};
  task.seeds = 2;
  task.tolerance = {{"f32", {1e-5, 1e-7}}};
  return task;
}

class KernelTask {
 public:
  explicit KernelTask(Task task = TwiceTask()) {
    LoadedRun run;
    run.task = std::move(task);
    run.plan.task = run.task.name;
    run.plan.target = "cpu";
    run.targets.emplace_back();
    run.targets[0].name = "cpu";
    run.targets[0].cores = "last";
    run_ = run;
    context.SetRun(std::move(run));
    job.run = "test-run";
    job.label = "c1/step#1";
    job.target = "cpu";
    job.seed = 7;
  }
  // Changes the run that the stage sees.
  void Change(const std::function<void(LoadedRun*)>& change) {
    change(&run_);
    context.SetRun(run_);
  }
  // Adds an artefact whose function has this body; `before` stands before the function.
  void Add(const std::string& role, const std::string& name, const std::string& body,
           const std::string& before = "", const std::string& function = "twice") {
    const std::string path =
        CompileKernel(folder_, role + "-" + name,
                      before + "\nvoid " + function +
                          "(const float* x, float* y, int64_t rows, int64_t cols) {\n"
                          "  int64_t n = rows * cols; (void)x; (void)y; (void)n;\n" +
                          body + "\n}\n");
    REQUIRE_FALSE(path.empty());
    Artefact artefact;
    artefact.role = role;
    artefact.name = name;
    artefact.kind = "shared_library";
    artefact.blob = context.Put(ReadFile(path));
    artefact.launch.Set("symbol", "twice");
    job.artefacts.push_back(std::move(artefact));
  }
  std::string Blob(const JobResult& result, const std::string& name) {
    const auto found = result.blobs.find(name);
    if (found == result.blobs.end()) return "";
    const Result<std::string> bytes = context.Fetch(found->second);
    return bytes.ok() ? *bytes : "";
  }

  FakeStageContext context;
  Job job;

 private:
  TemporaryFolder folder_;
  LoadedRun run_;
};

inline constexpr const char* kTwiceRight = "for (int64_t i = 0; i < n; i++) y[i] = 2 * x[i];";

}  // namespace kev::test

#endif  // KEV_TESTS_STAGES_SUPPORT_KERNEL_TASK_H_
