#include <algorithm>
#include <cctype>
#include <utility>

#include "configs/expression_field.h"
#include "configs/load.h"
#include "configs/suggestion.h"
#include "configs/task_sections.h"

namespace kev {
namespace {

void ReadTolerance(const YamlNode& node, TaskContext& context) {
  ReadEach(node, "`tolerance`", context.report, [&](const YamlNode& key, const YamlNode& value) {
    const std::optional<DType> dtype = DTypeFrom(key.text);
    if (!dtype) {
      context.report.Error(
          key.at, "unknown dtype '" + key.text + "'" + DidYouMean(key.text, {"f32", "f64"}));
    } else if (!IsFloat(*dtype)) {
      context.report.Error(key.at,
                           "integers are compared exactly: " + key.text + " takes no tolerance");
    }
    Tolerance tolerance;
    ReadSection(value, "a tolerance",
                {{"rtol", Number(&tolerance.rtol, 0)}, {"atol", Number(&tolerance.atol, 0)}},
                context.report);
    context.task.tolerance[key.text] = tolerance;
  });
}

void CheckTolerances(const YamlNode& at, TaskContext& context) {
  for (const Argument& argument : context.task.arguments) {
    const bool output =
        argument.role == Argument::Role::kOut || argument.role == Argument::Role::kInOut;
    if (!output || !IsFloat(argument.dtype) || context.task.tolerance.count(Name(argument.dtype)))
      continue;
    context.report.Error(at.at, std::string("the output '") + argument.name + "' is " +
                                    Name(argument.dtype) + ", but `tolerance` says nothing of " +
                                    Name(argument.dtype));
  }
}

void ReadTask(const YamlNode& root, TaskContext& context) {
  Task& task = context.task;
  Report& report = context.report;
  // Sections that speak of others are kept and read in the order of what they need.
  const YamlNode *axes = nullptr, *arguments = nullptr, *workloads = nullptr, *domain = nullptr,
                 *reference = nullptr, *tolerance = nullptr, *flops = nullptr, *bytes = nullptr,
                 *baselines = nullptr, *variants = nullptr, *libraries = nullptr,
                 *function = nullptr, *name = nullptr;
  ReadSection(root, "a task",
              {{"kevolve_task", FormatVersion(), true},
               {"name", Keep(&name), true},
               {"about", Text(&task.about)},
               {"function", Keep(&function), true},
               {"axes", Keep(&axes), true},
               {"arguments", Keep(&arguments), true},
               {"workloads", Keep(&workloads), true},
               {"domain", Keep(&domain), true},
               {"seeds", Count32(&task.seeds, 1, 1000)},
               {"reference", Keep(&reference), true},
               {"tolerance", Keep(&tolerance)},
               {"flops", Keep(&flops)},
               {"bytes", Keep(&bytes)},
               {"baselines", Keep(&baselines), true},
               {"variants", Keep(&variants)},
               {"libraries", Keep(&libraries)}},
              report, {"symmetries", "include", "rewrites"});
  if (!root.IsMap()) return;
  if (name != nullptr) {
    Text (&task.name)(*name, report);
    // Runs and files are called after it.
    const bool good = !task.name.empty() && task.name.size() <= 64 &&
                      std::all_of(task.name.begin(), task.name.end(), [](unsigned char c) {
                        return std::isalnum(c) != 0 || c == '-' || c == '_';
                      });
    if (!good) {
      report.Error(name->at, "a task's name is made of letters, digits, '-' and '_', 64 at most");
    }
  }
  if (function != nullptr) {
    Text (&task.function)(*function, report);
    if (!IsIdentifier(task.function)) report.Error(function->at, "must be a C identifier");
  }
  if (axes != nullptr) ReadAxes(*axes, context);
  if (arguments != nullptr) ReadArguments(*arguments, context);
  if (domain != nullptr) ReadDomain(*domain, context);
  const Symbols symbols = AxisSymbols(task);
  if (flops != nullptr) ReadExpression(*flops, symbols, Wanted::kNumber, report, &task.flops);
  if (bytes != nullptr) ReadExpression(*bytes, symbols, Wanted::kNumber, report, &task.bytes);
  if (workloads != nullptr) ReadWorkloads(*workloads, context);
  if (tolerance != nullptr) ReadTolerance(*tolerance, context);
  CheckTolerances(tolerance != nullptr ? *tolerance : root, context);
  if (libraries != nullptr) ReadLibraries(*libraries, context);
  if (reference != nullptr) ReadReference(*reference, context);
  if (baselines != nullptr) ReadBaselines(*baselines, context);
  if (variants != nullptr) ReadVariants(*variants, context);
}

}  // namespace

LoadTaskOutcome LoadTask(const FileSource& files, const std::string& folder) {
  const std::string path = folder + "/task.yaml";
  Result<std::string> text = files.Read(path);
  Report report(path, text ? *text : "");
  if (!text) {
    report.Error({}, text.error().message);
    return {report.Take(), nullptr};
  }
  const std::optional<YamlNode> root = ParseYaml(*text, &report);
  if (!root) return {report.Take(), nullptr};
  auto task = std::make_unique<Task>();
  TaskContext context{files, folder, report, *task};
  ReadTask(*root, context);
  const bool good = !report.HasErrors();
  return {report.Take(), good ? std::move(task) : nullptr};
}

}  // namespace kev
