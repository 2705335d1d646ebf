// A shipped task with its reference in double and its yardstick compiled and loaded into the test,
// judged as verify does, but without processes. Only for the tree's own sources, which are trusted.
// Requires cc in PATH.
#ifndef KEV_TESTS_STAGES_VERIFY_SHIPPED_TASK_H_
#define KEV_TESTS_STAGES_VERIFY_SHIPPED_TASK_H_

#include <dlfcn.h>
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "configs/load.h"
#include "stages/verify/output_judge.h"
#include "stages/verify/values.h"
#include "tests/runners/support/compiled_kernel.h"

namespace kev::test {

inline constexpr uint64_t kSecret = 11;

// Arrays as pointers and axes as int64_t: all that the shipped tasks pass.
using Word = int64_t;
using KernelFunction = void(Word, Word, Word, Word, Word, Word);

class ShippedTask {
 public:
  explicit ShippedTask(const std::string& name) {
    const char* source = std::getenv("KEVOLVE_SOURCE_DIR");
    const std::string root = source != nullptr ? source : ".";
    LoadTaskOutcome outcome = LoadTask(DiskFiles(), root + "/configs/tasks/" + name);
    REQUIRE_MESSAGE(outcome.task != nullptr, Format(outcome.diagnostics));
    task = *outcome.task;
    for (output = 0; !IsOutput(task.arguments[output]);) ++output;
    reference = Compile(task.reference);
    for (const SourceSpec& baseline : task.baselines) {
      if (task.measured && baseline.name == task.measured->yardstick) yardstick = Compile(baseline);
    }
  }

  KernelFunction* Compile(const std::string& text, const std::string& link = "") {
    const std::string name = std::to_string(++compiled_);
    const std::string flags = "-std=gnu11 -O3 -march=native " + link;
    const std::string library = CompileKernel(folder_, name, text, flags + " -lm");
    REQUIRE_FALSE(library.empty());
    void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    REQUIRE(handle != nullptr);
    return reinterpret_cast<KernelFunction*>(dlsym(handle, task.function.c_str()));
  }
  KernelFunction* Compile(const SourceSpec& source) {
    std::string link;
    for (const std::string& library : source.libraries) {
      for (const std::string& word : task.libraries.at(library).link) link += word + " ";
    }
    return Compile(source.text, link);
  }

  // The one output of a call; `wide`: floats as double.
  std::string Run(KernelFunction* kernel, const Arrays& inputs, const Axes& axes, bool wide) const {
    Arrays arrays = inputs;
    const Argument& out = task.arguments[output];
    arrays[output].assign(
        ElementCount(out, axes).value() * SizeOf(wide ? ReferenceDType(out) : out.dtype), '\x5A');
    Word words[6] = {};
    for (size_t a = 0; a < task.arguments.size(); ++a) {
      const Argument& argument = task.arguments[a];
      words[a] =
          IsArray(argument) ? reinterpret_cast<Word>(arrays[a].data()) : axes.at(argument.axis);
    }
    kernel(words[0], words[1], words[2], words[3], words[4], words[5]);
    return arrays[output];
  }

  Arrays Inputs(const Case& one) const { return InputArrays(task, one, kSecret).value(); }
  std::string Exact(const Arrays& inputs, const Axes& axes, bool absolute = false) const {
    Arrays wide(inputs.size());
    for (size_t a = 0; a < inputs.size(); ++a) {
      if (IsInput(task.arguments[a]))
        wide[a] = ReferenceInput(task.arguments[a], inputs[a], absolute);
    }
    return Run(reference, wide, axes, true);
  }

  // The judge of a case, with bounds from the yardstick's runs on all cases that bound it.
  OutputJudge JudgeOf(const Case& one) const {
    const Arrays inputs = Inputs(one);
    const std::string exact = Exact(inputs, one.axes);
    std::string scale;
    Quantiles bounds;
    if (task.measured) {
      scale = ScaleOf(inputs, one.axes);
      bounds = BoundsOf(one);
    }
    const Argument& out = task.arguments[output];
    Result<OutputJudge> judge =
        OutputJudge::Make(task, out, {ReferenceDType(out), exact, scale}, bounds);
    REQUIRE_MESSAGE(judge.ok(), (judge.ok() ? "" : judge.error().message));
    return *judge;
  }

  Quantiles BoundsOf(const Case& one) const {
    const Argument& out = task.arguments[output];
    Quantiles widest;
    for (const Case& other : YardstickCases(one, ElementCount(out, one.axes).value())) {
      const Arrays inputs = Inputs(other);
      const std::string exact = Exact(inputs, one.axes), scale = ScaleOf(inputs, one.axes);
      std::vector<float> errors =
          ScaledErrors(out, *task.measured, {ReferenceDType(out), exact, scale},
                       Run(yardstick, inputs, one.axes, false))
              .value();
      const Result<Quantiles> bounds = BoundsFrom(std::move(errors), *task.measured);
      REQUIRE_MESSAGE(bounds.ok(), (bounds.ok() ? "" : bounds.error().message));
      widest = Widest(widest, *bounds);
    }
    return widest;
  }

  // Small shapes and every value class: where tails, single rows and special values lie.
  std::vector<Case> SmallCases() const {
    std::vector<Case> cases = {{"least", {}, 1, true}, {"odd", {}, 1, true}};
    for (const auto& [axis, range] : task.domain) {
      cases[0].axes[axis] = range.first;
      cases[1].axes[axis] = std::min<int64_t>(range.second, axis == "cols" ? 1531 : 61);
    }
    for (const ValueClass values : task.values) {
      cases.push_back(cases[1]);
      cases.back().values = values;
    }
    return cases;
  }

  Task task;
  size_t output = 0;  // index of the one output
  KernelFunction* reference = nullptr;
  KernelFunction* yardstick = nullptr;

 private:
  std::string ScaleOf(const Arrays& inputs, const Axes& axes) const {
    if (task.measured->scale != MeasuredTolerance::Scale::kAbsolute) return "";
    return Exact(inputs, axes, true);
  }

  TemporaryFolder folder_;
  int compiled_ = 0;
};

}  // namespace kev::test

#endif  // KEV_TESTS_STAGES_VERIFY_SHIPPED_TASK_H_
