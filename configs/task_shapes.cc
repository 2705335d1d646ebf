#include <algorithm>
#include <set>
#include <utility>

#include "configs/expression_field.h"
#include "configs/suggestion.h"
#include "configs/task_sections.h"

namespace kev {
namespace {

void ReadAxisValues(const YamlNode& node, TaskContext& context, Axes* out) {
  const auto& axes = context.task.axes;
  ReadEach(node, "`axes`", context.report, [&](const YamlNode& key, const YamlNode& value) {
    if (std::find(axes.begin(), axes.end(), key.text) == axes.end()) {
      context.report.Error(key.at, "unknown axis '" + key.text + "'" + DidYouMean(key.text, axes));
      return;
    }
    int64_t size = 0;
    Integer (&size)(value, context.report);
    (*out)[key.text] = size;
    const auto range = context.task.domain.find(key.text);
    if (range == context.task.domain.end()) return;
    if (size < range->second.first || size > range->second.second) {
      context.report.Error(value.at, key.text + " = " + std::to_string(size) +
                                         " is outside the domain [" +
                                         std::to_string(range->second.first) + ", " +
                                         std::to_string(range->second.second) + "]");
    }
  });
  for (const std::string& axis : axes) {
    if (node.IsMap() && node.Find(axis) == nullptr) {
      context.report.Error(node.at, "this workload gives no value for the axis '" + axis + "'");
    }
  }
}

// Sizes and formulas must have a value for the workload's shape.
void CheckShape(const YamlNode& node, TaskContext& context, const Axes& axes) {
  constexpr uint64_t kMostElements = uint64_t{1} << 40;
  for (const Argument& argument : context.task.arguments) {
    if (!IsArray(argument)) continue;
    const Result<uint64_t> count = ElementCount(argument, axes);
    if (!count) {
      context.report.Error(node.at, count.error().message);
    } else if (*count > kMostElements) {
      context.report.Error(node.at,
                           argument.name + " would have " + std::to_string(*count) + " elements");
    }
  }
  for (const Argument& argument : context.task.arguments) {
    if (argument.scalar.empty()) continue;
    const Result<double> value = ScalarValue(argument, axes);
    if (!value) context.report.Error(node.at, value.error().message);
  }
  for (const Program* formula : {&context.task.flops, &context.task.bytes}) {
    if (formula->empty()) continue;
    const Result<double> value = EvaluateOver(*formula, axes);
    if (!value) {
      context.report.Error(node.at, value.error().message);
    } else if (*value < 0) {
      context.report.Error(node.at, "`" + formula->text + "` is negative for this workload");
    }
  }
}

}  // namespace

bool IsIdentifier(std::string_view text) {
  static const std::set<std::string_view> kTaken = {"and", "or",    "not",    "true",  "false",
                                                    "int", "float", "double", "void",  "return",
                                                    "if",  "else",  "for",    "while", "const"};
  if (text.empty() || text.size() > 63 || (text[0] >= '0' && text[0] <= '9')) return false;
  return !kTaken.count(text) && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

Symbols AxisSymbols(const Task& task) {
  Symbols symbols;
  for (const std::string& axis : task.axes) symbols.emplace(axis, FieldType::kInt);
  return symbols;
}

void ReadAxes(const YamlNode& node, TaskContext& context) {
  Texts (&context.task.axes)(node, context.report);
  std::set<std::string_view> seen;
  for (const YamlNode& item : node.items) {
    if (!item.IsScalar()) continue;
    if (!IsIdentifier(item.text))
      context.report.Error(item.at, "an axis' name must be an identifier");
    if (!seen.insert(item.text).second)
      context.report.Error(item.at, "two axes are called '" + item.text + "'");
  }
}

void ReadDomain(const YamlNode& node, TaskContext& context) {
  const auto& axes = context.task.axes;
  ReadEach(node, "`domain`", context.report, [&](const YamlNode& key, const YamlNode& value) {
    if (std::find(axes.begin(), axes.end(), key.text) == axes.end()) {
      context.report.Error(key.at, "unknown axis '" + key.text + "'" + DidYouMean(key.text, axes));
      return;
    }
    if (!value.IsList() || value.items.size() != 2) {
      context.report.Error(value.at, "must be [least, most], not " + Describe(value));
      return;
    }
    std::pair<int64_t, int64_t> range{0, 0};
    Integer (&range.first)(value.items[0], context.report);
    Integer (&range.second)(value.items[1], context.report);
    if (range.first > range.second) context.report.Error(value.at, "the least is above the most");
    if (range.first < 0) context.report.Error(value.at, "an axis is never negative");
    context.task.domain[key.text] = range;
  });
  for (const std::string& axis : axes) {
    if (node.IsMap() && node.Find(axis) == nullptr) {
      context.report.Error(node.at, "the domain says nothing of the axis '" + axis + "'");
    }
  }
}

void ReadWorkloads(const YamlNode& node, TaskContext& context) {
  if (!node.IsList()) {
    context.report.Error(node.at, "must be a list of workloads, not " + Describe(node));
    return;
  }
  bool visible = false;
  for (const YamlNode& item : node.items) {
    Workload workload;
    const YamlNode *name = nullptr, *axes = nullptr;
    ReadSection(item, "a workload",
                {{"name", Keep(&name), true},
                 {"axes", Keep(&axes), true},
                 {"weight", Positive(&workload.weight)},
                 {"held_out", Flag(&workload.held_out)}},
                context.report);
    if (name != nullptr) Text (&workload.name)(*name, context.report);
    for (const Workload& other : context.task.workloads) {
      if (name != nullptr && other.name == workload.name) {
        context.report.Error(name->at, "two workloads are called '" + workload.name + "'");
      }
    }
    if (axes != nullptr) {
      ReadAxisValues(*axes, context, &workload.axes);
      if (workload.axes.size() == context.task.axes.size())
        CheckShape(*axes, context, workload.axes);
    }
    visible = visible || !workload.held_out;
    context.task.workloads.push_back(std::move(workload));
  }
  if (!visible)
    context.report.Error(node.at, "a task needs at least one workload that is not held out");
}

}  // namespace kev
