#include <algorithm>
#include <cctype>
#include <utility>

#include "configs/expression_field.h"
#include "configs/load.h"
#include "configs/task_sections.h"

namespace kev {
namespace {

void ReadTaskName(const YamlNode& node, TaskContext& context) {
  std::string& name = context.task.name;
  Text (&name)(node, context.report);
  // Runs and files are called after it.
  const bool good = !name.empty() && name.size() <= 64 &&
                    std::all_of(name.begin(), name.end(), [](unsigned char c) {
                      return std::isalnum(c) != 0 || c == '-' || c == '_';
                    });
  if (!good) {
    context.report.Error(node.at,
                         "a task's name is made of letters, digits, '-' and '_', 64 at most");
  }
}

void ReadCache(const YamlNode& node, TaskContext& context) {
  std::string word;
  TextIn(&word, {"warm", "cold"})(node, context.report);
  context.task.cold_cache = word == "cold";
}

void ReadTask(const YamlNode& root, TaskContext& context) {
  Task& task = context.task;
  Report& report = context.report;
  // Sections that speak of others are kept and read in the order of what they need.
  const YamlNode *axes = nullptr, *arguments = nullptr, *workloads = nullptr, *domain = nullptr,
                 *reference = nullptr, *flops = nullptr, *bytes = nullptr, *baselines = nullptr,
                 *variants = nullptr, *libraries = nullptr, *function = nullptr, *name = nullptr,
                 *returns = nullptr, *setup = nullptr, *teardown = nullptr, *cache = nullptr;
  CorrectnessNodes correctness;
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
               {"tolerance", Keep(&correctness.tolerance)},
               {"values", Keep(&correctness.values)},
               {"symmetries", Keep(&correctness.symmetries)},
               {"nonfinite", Keep(&correctness.nonfinite)},
               {"flush_to_zero", Keep(&correctness.flush_to_zero)},
               {"returns", Keep(&returns)},
               {"setup", Keep(&setup)},
               {"teardown", Keep(&teardown)},
               {"cache", Keep(&cache)},
               {"flops", Keep(&flops)},
               {"bytes", Keep(&bytes)},
               {"baselines", Keep(&baselines), true},
               {"variants", Keep(&variants)},
               {"libraries", Keep(&libraries)}},
              report, {"include", "rewrites"});
  if (!root.IsMap()) return;
  if (name != nullptr) ReadTaskName(*name, context);
  if (function != nullptr) {
    Text (&task.function)(*function, report);
    if (!IsIdentifier(task.function)) report.Error(function->at, "must be a C identifier");
  }
  if (axes != nullptr) ReadAxes(*axes, context);
  if (returns != nullptr) ReadReturns(*returns, context);
  if (arguments != nullptr) ReadArguments(*arguments, context);
  if (setup != nullptr) ReadHelperFunction(*setup, "`setup`", context, &task.setup);
  if (teardown != nullptr) ReadHelperFunction(*teardown, "`teardown`", context, &task.teardown);
  if (cache != nullptr) ReadCache(*cache, context);
  if (domain != nullptr) ReadDomain(*domain, context);
  const Symbols symbols = AxisSymbols(task);
  if (flops != nullptr) ReadExpression(*flops, symbols, Wanted::kNumber, report, &task.flops);
  if (bytes != nullptr) ReadExpression(*bytes, symbols, Wanted::kNumber, report, &task.bytes);
  if (workloads != nullptr) ReadWorkloads(*workloads, context);
  if (libraries != nullptr) ReadLibraries(*libraries, context);
  if (reference != nullptr) ReadReference(*reference, context);
  if (baselines != nullptr) ReadBaselines(*baselines, context);
  ReadCorrectness(root, correctness, context);
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
