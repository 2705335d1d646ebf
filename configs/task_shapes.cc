#include <algorithm>
#include <set>
#include <utility>

#include "configs/expression_field.h"
#include "configs/suggestion.h"
#include "configs/task_sections.h"

namespace kev {
namespace {

const std::vector<std::string> kDTypeNames = {"f32", "f64", "i32", "i64", "u8"};

// [a, b] with two numbers.
void ReadPair(const YamlNode& node, Report& report, double* a, double* b) {
  if (!node.IsList() || node.items.size() != 2) {
    report.Error(node.at, "must be a list of two numbers, not " + Describe(node));
    return;
  }
  Number(a, -1.7e308)(node.items[0], report);
  Number(b, -1.7e308)(node.items[1], report);
}

void ReadPickFrom(const YamlNode& node, TaskContext& context, const Argument& argument,
                  Fill* fill) {
  if (!node.IsList() || node.items.size() != 2 || !node.items[0].IsScalar()) {
    context.report.Error(node.at, "must be [argument, rate], not " + Describe(node));
    return;
  }
  fill->argument = node.items[0].text;
  Number(&fill->a, 0)(node.items[1], context.report);
  if (fill->a > 1) context.report.Error(node.items[1].at, "a rate lies between 0 and 1");
  const auto& earlier = context.task.arguments;
  const auto source = std::find_if(earlier.begin(), earlier.end(), [&](const Argument& a) {
    return a.name == fill->argument && a.role != Argument::Role::kAxis &&
           a.role != Argument::Role::kOut;
  });
  if (source == earlier.end()) {
    std::vector<std::string> names;
    for (const Argument& a : earlier) {
      if (a.role == Argument::Role::kIn || a.role == Argument::Role::kInOut)
        names.push_back(a.name);
    }
    context.report.Error(node.items[0].at, "pick_from names no earlier input '" + fill->argument +
                                               "'" + DidYouMean(fill->argument, names));
  } else if (source->dtype != argument.dtype) {
    context.report.Error(node.items[0].at, "'" + fill->argument + "' is " + Name(source->dtype) +
                                               ", this is " + Name(argument.dtype));
  }
}

void ReadFill(const YamlNode& node, TaskContext& context, Argument* argument) {
  static const std::vector<std::pair<std::string, Fill::Kind>> kPlain = {
      {"zeros", Fill::Kind::kZeros},
      {"ones", Fill::Kind::kOnes},
      {"sorted_unique", Fill::Kind::kSortedUnique},
      {"permutation", Fill::Kind::kPermutation}};
  Report& report = context.report;
  Fill& fill = argument->fill;
  if (node.IsScalar()) {
    for (const auto& [name, kind] : kPlain) {
      if (name == node.text) fill.kind = kind;
    }
    if (fill.kind == Fill::Kind::kNone) {
      report.Error(node.at,
                   "unknown fill '" + node.text + "'" +
                       DidYouMean(node.text, {"zeros", "ones", "sorted_unique", "permutation"}));
    }
  } else if (node.IsMap() && node.entries.size() == 1) {
    const Reader uniform = [&](const YamlNode& pair, Report& r) {
      fill.kind = Fill::Kind::kUniform;
      ReadPair(pair, r, &fill.a, &fill.b);
      if (fill.a > fill.b) r.Error(pair.at, "the low end is above the high end");
    };
    const Reader normal = [&](const YamlNode& pair, Report& r) {
      fill.kind = Fill::Kind::kNormal;
      ReadPair(pair, r, &fill.a, &fill.b);
      if (fill.b < 0) r.Error(pair.at, "a standard deviation is not negative");
      if (!IsFloat(argument->dtype)) r.Error(pair.at, "a normal fill needs f32 or f64");
    };
    const Reader pick = [&](const YamlNode& pair, Report&) {
      fill.kind = Fill::Kind::kPickFrom;
      ReadPickFrom(pair, context, *argument, &fill);
    };
    ReadSection(node, "a fill", {{"uniform", uniform}, {"normal", normal}, {"pick_from", pick}},
                report, {"offsets_of", "file", "program"});
  } else {
    report.Error(node.at,
                 "must be one fill, like zeros or { uniform: [-1, 1] }, not " + Describe(node));
  }
  const bool integers =
      fill.kind == Fill::Kind::kSortedUnique || fill.kind == Fill::Kind::kPermutation;
  if (integers && IsFloat(argument->dtype))
    report.Error(node.at, "this fill needs an integer dtype");
}

void ReadArgument(const YamlNode& node, TaskContext& context) {
  Report& report = context.report;
  Argument argument;
  const YamlNode *name = nullptr, *role = nullptr, *dtype = nullptr, *dims = nullptr,
                 *axis = nullptr, *fill = nullptr;
  ReadSection(node, "an argument",
              {{"name", Keep(&name), true},
               {"role", Keep(&role)},
               {"dtype", Keep(&dtype)},
               {"dims", Keep(&dims)},
               {"axis", Keep(&axis)},
               {"fill", Keep(&fill)}},
              report);
  if (!node.IsMap()) return;
  if (name != nullptr) {
    Text (&argument.name)(*name, report);
    if (!IsIdentifier(argument.name))
      report.Error(name->at, "an argument's name must be a C identifier");
    for (const Argument& other : context.task.arguments) {
      if (other.name == argument.name)
        report.Error(name->at, "two arguments are called '" + argument.name + "'");
    }
  }
  if (axis != nullptr) {
    argument.role = Argument::Role::kAxis;
    argument.dtype = DType::kI64;
    Text (&argument.axis)(*axis, report);
    const auto& axes = context.task.axes;
    if (std::find(axes.begin(), axes.end(), argument.axis) == axes.end()) {
      report.Error(axis->at,
                   "unknown axis '" + argument.axis + "'" + DidYouMean(argument.axis, axes));
    }
    for (const YamlNode* other : {role, dtype, dims, fill}) {
      if (other != nullptr) report.Error(other->at, "an axis argument has only `name` and `axis`");
    }
    context.task.arguments.push_back(std::move(argument));
    return;
  }
  std::string word;
  if (role == nullptr || dtype == nullptr || dims == nullptr) {
    report.Error(node.at,
                 "an array argument needs `role`, `dtype` and `dims` (an axis argument: `axis`)");
  }
  if (role != nullptr) {
    TextIn(&word, {"in", "out", "inout"})(*role, report);
    argument.role = word == "out"     ? Argument::Role::kOut
                    : word == "inout" ? Argument::Role::kInOut
                                      : Argument::Role::kIn;
  }
  if (dtype != nullptr) {
    word.clear();
    TextIn(&word, kDTypeNames)(*dtype, report);
    argument.dtype = DTypeFrom(word).value_or(DType::kF32);
  }
  if (dims != nullptr && !dims->IsList())
    report.Error(dims->at, "must be a list, like [rows, cols]");
  if (dims != nullptr) {
    const Symbols symbols = AxisSymbols(context.task);
    for (const YamlNode& dim : dims->items) {
      Program program;
      if (ReadExpression(dim, symbols, Wanted::kInteger, report, &program))
        argument.dims.push_back(std::move(program));
    }
  }
  if (fill != nullptr && word.size() > 0 && argument.role == Argument::Role::kOut) {
    report.Error(fill->at, "an output is not filled; did you mean `role: inout`?");
  } else if (fill != nullptr) {
    ReadFill(*fill, context, &argument);
  } else if (role != nullptr && argument.role != Argument::Role::kOut) {
    report.Error(node.at, "an input needs a `fill`");
  }
  context.task.arguments.push_back(std::move(argument));
}

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
    if (argument.role == Argument::Role::kAxis) continue;
    const Result<uint64_t> count = ElementCount(argument, axes);
    if (!count) {
      context.report.Error(node.at, count.error().message);
    } else if (*count > kMostElements) {
      context.report.Error(node.at,
                           argument.name + " would have " + std::to_string(*count) + " elements");
    }
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

void ReadArguments(const YamlNode& node, TaskContext& context) {
  if (!node.IsList()) {
    context.report.Error(node.at,
                         "must be a list of arguments in call order, not " + Describe(node));
    return;
  }
  for (const YamlNode& item : node.items) ReadArgument(item, context);
  const auto& arguments = context.task.arguments;
  if (std::none_of(arguments.begin(), arguments.end(), [](const Argument& a) {
        return a.role == Argument::Role::kOut || a.role == Argument::Role::kInOut;
      })) {
    context.report.Error(node.at, "a task needs at least one argument with role out or inout");
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
