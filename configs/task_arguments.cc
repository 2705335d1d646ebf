#include <algorithm>
#include <cmath>
#include <utility>

#include "configs/expression_field.h"
#include "configs/suggestion.h"
#include "configs/task_sections.h"

namespace kev {
namespace {

// Least and most value of a dtype, as doubles.
std::pair<double, double> RangeOf(DType dtype) {
  if (IsFloat(dtype)) return {-FormatOf(dtype).Largest(), FormatOf(dtype).Largest()};
  if (dtype == DType::kBool) return {0, 1};
  const int bits = static_cast<int>(SizeOf(dtype)) * 8 - (IsSigned(dtype) ? 1 : 0);
  return {IsSigned(dtype) ? -std::ldexp(1.0, bits) : 0, std::ldexp(1.0, bits) - 1};
}

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
    return a.name == fill->argument && IsInput(a);
  });
  if (source == earlier.end()) {
    std::vector<std::string> names;
    for (const Argument& a : earlier) {
      if (IsInput(a)) names.push_back(a.name);
    }
    context.report.Error(node.items[0].at, "pick_from names no earlier input '" + fill->argument +
                                               "'" + DidYouMean(fill->argument, names));
  } else if (source->dtype != argument.dtype) {
    context.report.Error(node.items[0].at, "'" + fill->argument + "' is " + Name(source->dtype) +
                                               ", this is " + Name(argument.dtype));
  } else if (argument.constant && !source->constant) {
    context.report.Error(node.items[0].at,
                         "a constant input cannot follow '" + fill->argument + "', which changes");
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
      const auto [least, most] = RangeOf(argument->dtype);
      if (fill.a < least || fill.b > most) {
        r.Error(pair.at,
                std::string("this range has values that ") + Name(argument->dtype) + " has not");
      }
    };
    const Reader normal = [&](const YamlNode& pair, Report& r) {
      fill.kind = Fill::Kind::kNormal;
      ReadPair(pair, r, &fill.a, &fill.b);
      if (fill.b < 0) r.Error(pair.at, "a standard deviation is not negative");
      if (!IsFloat(argument->dtype)) r.Error(pair.at, "a normal fill needs a floating-point dtype");
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
  if (integers && (IsFloat(argument->dtype) || argument->dtype == DType::kBool))
    report.Error(node.at, "this fill needs an integer dtype");
}

// The keys of one argument, as they stand in the file.
struct ArgumentNodes {
  const YamlNode *name = nullptr, *role = nullptr, *dtype = nullptr, *dims = nullptr,
                 *axis = nullptr, *scalar = nullptr, *fill = nullptr, *constant = nullptr;
};

DType ReadDType(const YamlNode& node, const std::vector<std::string>& choices, Report& report) {
  std::string word;
  TextIn(&word, choices)(node, report);
  return DTypeFrom(word).value_or(DType::kF32);
}

void ReadName(const YamlNode& node, TaskContext& context, std::string* name) {
  Text(name)(node, context.report);
  if (!IsIdentifier(*name))
    context.report.Error(node.at, "an argument's name must be a C identifier");
  const auto& returned = context.task.returns;
  if (FindArgument(context.task, *name) != nullptr || (returned && returned->name == *name))
    context.report.Error(node.at, "two arguments are called '" + *name + "'");
}

void ReadAxisArgument(const ArgumentNodes& nodes, TaskContext& context, Argument* argument) {
  Report& report = context.report;
  argument->role = Argument::Role::kAxis;
  argument->dtype = DType::kI64;
  Text (&argument->axis)(*nodes.axis, report);
  const auto& axes = context.task.axes;
  if (std::find(axes.begin(), axes.end(), argument->axis) == axes.end()) {
    report.Error(nodes.axis->at,
                 "unknown axis '" + argument->axis + "'" + DidYouMean(argument->axis, axes));
  }
  if (nodes.dtype != nullptr) argument->dtype = ReadDType(*nodes.dtype, {"i64", "i32"}, report);
  for (const YamlNode* other : {nodes.role, nodes.dims, nodes.scalar, nodes.fill, nodes.constant}) {
    if (other != nullptr)
      report.Error(other->at, "an axis argument has only `name`, `axis` and `dtype`");
  }
}

void ReadScalarArgument(const YamlNode& at, const ArgumentNodes& nodes, TaskContext& context,
                        Argument* argument) {
  Report& report = context.report;
  argument->role = Argument::Role::kScalar;
  if (nodes.dtype == nullptr) {
    report.Error(at.at, "a scalar argument needs `dtype`");
  } else {
    std::vector<std::string> choices = DTypeNames();
    choices.pop_back();  // bool
    argument->dtype = ReadDType(*nodes.dtype, choices, report);
  }
  const Wanted wanted = IsFloat(argument->dtype) ? Wanted::kNumber : Wanted::kInteger;
  ReadExpression(*nodes.scalar, AxisSymbols(context.task), wanted, report, &argument->scalar);
  for (const YamlNode* other : {nodes.role, nodes.dims, nodes.fill, nodes.constant}) {
    if (other != nullptr)
      report.Error(other->at, "a scalar argument has only `name`, `scalar` and `dtype`");
  }
}

void ReadDims(const YamlNode& node, TaskContext& context, Argument* argument) {
  if (!node.IsList()) context.report.Error(node.at, "must be a list, like [rows, cols]");
  const Symbols symbols = AxisSymbols(context.task);
  for (const YamlNode& dim : node.items) {
    Program program;
    if (ReadExpression(dim, symbols, Wanted::kInteger, context.report, &program))
      argument->dims.push_back(std::move(program));
  }
}

void ReadArrayFill(const YamlNode& at, const ArgumentNodes& nodes, TaskContext& context,
                   Argument* argument) {
  Report& report = context.report;
  if (nodes.constant != nullptr) {
    Flag (&argument->constant)(*nodes.constant, report);
    if (argument->constant && argument->role != Argument::Role::kIn)
      report.Error(nodes.constant->at, "only an argument with `role: in` can be constant");
  }
  if (nodes.fill != nullptr && nodes.role != nullptr && !IsInput(*argument)) {
    report.Error(nodes.fill->at, argument->role == Argument::Role::kOut
                                     ? "an output is not filled; did you mean `role: inout`?"
                                     : "a workspace is not filled: its content is undefined");
  } else if (nodes.fill != nullptr) {
    ReadFill(*nodes.fill, context, argument);
  } else if (nodes.role != nullptr && IsInput(*argument)) {
    report.Error(at.at, "an input needs a `fill`");
  }
}

void ReadArrayArgument(const YamlNode& at, const ArgumentNodes& nodes, TaskContext& context,
                       Argument* argument) {
  static const std::vector<std::pair<std::string, Argument::Role>> kRoles = {
      {"in", Argument::Role::kIn},
      {"out", Argument::Role::kOut},
      {"inout", Argument::Role::kInOut},
      {"workspace", Argument::Role::kWorkspace}};
  Report& report = context.report;
  if (nodes.role == nullptr || nodes.dtype == nullptr || nodes.dims == nullptr) {
    report.Error(at.at,
                 "an array argument needs `role`, `dtype` and `dims` (an axis argument: `axis`, a "
                 "scalar: `scalar` and `dtype`)");
  }
  if (nodes.role != nullptr) {
    std::string word;
    TextIn(&word, {"in", "out", "inout", "workspace"})(*nodes.role, report);
    for (const auto& [name, role] : kRoles) {
      if (name == word) argument->role = role;
    }
  }
  if (nodes.dtype != nullptr) argument->dtype = ReadDType(*nodes.dtype, DTypeNames(), report);
  if (nodes.dims != nullptr) ReadDims(*nodes.dims, context, argument);
  ReadArrayFill(at, nodes, context, argument);
}

void ReadArgument(const YamlNode& node, TaskContext& context) {
  ArgumentNodes nodes;
  ReadSection(node, "an argument",
              {{"name", Keep(&nodes.name), true},
               {"role", Keep(&nodes.role)},
               {"dtype", Keep(&nodes.dtype)},
               {"dims", Keep(&nodes.dims)},
               {"axis", Keep(&nodes.axis)},
               {"scalar", Keep(&nodes.scalar)},
               {"fill", Keep(&nodes.fill)},
               {"constant", Keep(&nodes.constant)}},
              context.report);
  if (!node.IsMap()) return;
  Argument argument;
  if (nodes.name != nullptr) ReadName(*nodes.name, context, &argument.name);
  if (nodes.axis != nullptr) {
    ReadAxisArgument(nodes, context, &argument);
  } else if (nodes.scalar != nullptr) {
    ReadScalarArgument(node, nodes, context, &argument);
  } else {
    ReadArrayArgument(node, nodes, context, &argument);
  }
  context.task.arguments.push_back(std::move(argument));
}

// Set-up and tear-down see only what is the same in all calls.
void CheckHelperArgument(const YamlNode& item, TaskContext& context) {
  const auto fits = [](const Argument& a) {
    return a.role == Argument::Role::kAxis || a.role == Argument::Role::kScalar ||
           a.role == Argument::Role::kWorkspace || a.constant;
  };
  if (!item.IsScalar()) return;  // reported
  const Argument* argument = FindArgument(context.task, item.text);
  if (argument != nullptr && fits(*argument)) return;
  std::vector<std::string> names;
  for (const Argument& a : context.task.arguments) {
    if (fits(a)) names.push_back(a.name);
  }
  context.report.Error(item.at,
                       argument == nullptr
                           ? "unknown argument '" + item.text + "'" + DidYouMean(item.text, names)
                           : "'" + item.text +
                                 "' is not the same in all calls; this function gets "
                                 "axes, scalars, constant inputs and workspaces");
}

}  // namespace

void ReadArguments(const YamlNode& node, TaskContext& context) {
  if (!node.IsList()) {
    context.report.Error(node.at,
                         "must be a list of arguments in call order, not " + Describe(node));
    return;
  }
  for (const YamlNode& item : node.items) ReadArgument(item, context);
  const auto& arguments = context.task.arguments;
  if (std::none_of(arguments.begin(), arguments.end(),
                   [](const Argument& a) { return IsOutput(a); }) &&
      !context.task.returns) {
    context.report.Error(node.at,
                         "a task needs at least one argument with role out or inout, or `returns`");
  }
}

void ReadReturns(const YamlNode& node, TaskContext& context) {
  Argument returned;
  returned.role = Argument::Role::kReturn;
  const YamlNode *name = nullptr, *dtype = nullptr;
  ReadSection(node, "`returns`", {{"name", Keep(&name), true}, {"dtype", Keep(&dtype), true}},
              context.report);
  if (name != nullptr) ReadName(*name, context, &returned.name);
  if (dtype != nullptr) returned.dtype = ReadDType(*dtype, DTypeNames(), context.report);
  context.task.returns = std::move(returned);
}

void ReadHelperFunction(const YamlNode& node, const std::string& what, TaskContext& context,
                        std::optional<HelperFunction>* out) {
  HelperFunction helper;
  const YamlNode *function = nullptr, *arguments = nullptr;
  ReadSection(node, what,
              {{"function", Keep(&function), true}, {"arguments", Keep(&arguments), true}},
              context.report);
  if (function != nullptr) {
    Text (&helper.function)(*function, context.report);
    if (!IsIdentifier(helper.function)) {
      context.report.Error(function->at, "must be a C identifier");
    } else if (helper.function == context.task.function) {
      context.report.Error(function->at, "'" + helper.function + "' is the function itself");
    }
  }
  if (arguments != nullptr) {
    Texts (&helper.arguments)(*arguments, context.report);
    for (const YamlNode& item : arguments->items) CheckHelperArgument(item, context);
  }
  *out = std::move(helper);
}

}  // namespace kev
