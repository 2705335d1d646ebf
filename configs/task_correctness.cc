#include <algorithm>
#include <utility>

#include "configs/suggestion.h"
#include "configs/task_sections.h"

namespace kev {
namespace {

using Role = Argument::Role;

// Arguments, then what is returned.
std::vector<const Argument*> AllArguments(const Task& task) {
  std::vector<const Argument*> all;
  for (const Argument& argument : task.arguments) all.push_back(&argument);
  if (task.returns) all.push_back(&*task.returns);
  return all;
}

// Value classes bend only values that are free: those of uniform and normal fills.
bool TakesClasses(const Argument& argument) {
  return IsInput(argument) &&
         (argument.fill.kind == Fill::Kind::kUniform || argument.fill.kind == Fill::Kind::kNormal);
}

void ReadMeasured(const YamlNode& node, TaskContext& context) {
  MeasuredTolerance measured;
  const YamlNode* yardstick = nullptr;
  std::string scale;
  ReadSection(node, "`measured`",
              {{"yardstick", Keep(&yardstick), true},
               {"factor", Number(&measured.factor, 1)},
               {"scale", TextIn(&scale, {"result", "absolute"})},
               {"floor", Number(&measured.floor, 0)}},
              context.report);
  if (yardstick != nullptr) {
    Text (&measured.yardstick)(*yardstick, context.report);
    std::vector<std::string> names;
    for (const SourceSpec& baseline : context.task.baselines) names.push_back(baseline.name);
    if (std::find(names.begin(), names.end(), measured.yardstick) == names.end()) {
      context.report.Error(yardstick->at, "the yardstick is a baseline; there is no '" +
                                              measured.yardstick + "'" +
                                              DidYouMean(measured.yardstick, names));
    }
  }
  if (scale == "absolute") measured.scale = MeasuredTolerance::Scale::kAbsolute;
  if (!context.task.reference_in_f64) {
    context.report.Error(node.at,
                         "a measured tolerance needs a reference in double: "
                         "`reference: { source: FILE, precision: f64 }`");
  }
  context.task.measured = std::move(measured);
}

void ReadFixed(const YamlNode& key, const YamlNode& node, TaskContext& context) {
  const std::optional<DType> dtype = DTypeFrom(key.text);
  if (!dtype) {
    context.report.Error(key.at,
                         "unknown dtype '" + key.text + "'" +
                             DidYouMean(key.text, {"f64", "f32", "f16", "bf16", "measured"}));
  } else if (!IsFloat(*dtype)) {
    context.report.Error(key.at,
                         "integers are compared exactly: " + key.text + " takes no tolerance");
  }
  Tolerance tolerance;
  const Reader share = [&](const YamlNode& value, Report& report) {
    Positive (&tolerance.matched)(value, report);
    if (tolerance.matched > 1) report.Error(value.at, "a share of the elements is at most 1");
  };
  ReadSection(node, "a tolerance",
              {{"rtol", Number(&tolerance.rtol, 0)},
               {"atol", Number(&tolerance.atol, 0)},
               {"matched", share},
               {"cap", Number(&tolerance.cap, 1)}},
              context.report);
  context.task.tolerance[key.text] = tolerance;
}

void ReadTolerance(const YamlNode& node, TaskContext& context) {
  ReadEach(node, "`tolerance`", context.report, [&](const YamlNode& key, const YamlNode& value) {
    if (key.text == "measured") {
      ReadMeasured(value, context);
    } else {
      ReadFixed(key, value, context);
    }
  });
}

void CheckTolerances(const YamlNode& at, TaskContext& context) {
  if (context.task.measured) return;
  for (const Argument* argument : AllArguments(context.task)) {
    if (!IsOutput(*argument) || !IsFloat(argument->dtype) ||
        context.task.tolerance.count(Name(argument->dtype)))
      continue;
    context.report.Error(at.at, std::string("the output '") + argument->name + "' is " +
                                    Name(argument->dtype) + ", but `tolerance` says nothing of " +
                                    Name(argument->dtype));
  }
}

bool IsFloatClass(ValueClass values) {
  return values == ValueClass::kNormal || values == ValueClass::kTiny ||
         values == ValueClass::kDenormal || values == ValueClass::kInfinities ||
         values == ValueClass::kNans;
}

// Whether every fill of the task has `value` in its range.
bool AllTake(const Task& task, double value) {
  return std::all_of(task.arguments.begin(), task.arguments.end(), [&](const Argument& a) {
    return !TakesClasses(a) || a.fill.kind == Fill::Kind::kNormal ||
           (a.fill.a <= value && value <= a.fill.b);
  });
}

// What every operator on these fills can take. A fixed tolerance was chosen for the fills' own
// magnitudes and says nothing of others.
std::vector<ValueClass> DefaultValues(const Task& task) {
  bool any = false, floats = false;
  for (const Argument& argument : task.arguments) {
    any = any || TakesClasses(argument);
    floats = floats || (TakesClasses(argument) && IsFloat(argument.dtype));
  }
  std::vector<ValueClass> values;
  if (!any) return values;
  values.push_back(ValueClass::kUniform);
  if (floats) values.push_back(ValueClass::kNormal);
  if (task.measured) {
    values.push_back(ValueClass::kLarge);
    if (floats) values.push_back(ValueClass::kTiny);
    if (floats && !task.allow_flush_to_zero) values.push_back(ValueClass::kDenormal);
  }
  if (AllTake(task, 0)) values.push_back(ValueClass::kZeros);
  if (AllTake(task, 1)) values.push_back(ValueClass::kOnes);
  values.push_back(ValueClass::kSorted);
  values.push_back(ValueClass::kRepeated);
  return values;
}

void CheckValueClass(const YamlNode& item, ValueClass values, TaskContext& context) {
  const Task& task = context.task;
  const bool floats =
      std::any_of(task.arguments.begin(), task.arguments.end(),
                  [](const Argument& a) { return TakesClasses(a) && IsFloat(a.dtype); });
  const bool nonfinite = values == ValueClass::kInfinities || values == ValueClass::kNans;
  if (IsFloatClass(values) && !floats) {
    context.report.Error(item.at, "'" + item.text +
                                      "' needs an input of a floating-point dtype with a uniform "
                                      "or normal fill");
  } else if (nonfinite && !task.allow_nonfinite) {
    context.report.Error(item.at, "'" + item.text + "' needs `nonfinite: allow`");
  } else if (std::count(task.values.begin(), task.values.end(), values) > 0) {
    context.report.Error(item.at, "'" + item.text + "' stands here twice");
  }
}

void ReadValues(const YamlNode& node, TaskContext& context) {
  if (!node.IsList()) {
    context.report.Error(node.at, "must be a list, like [uniform, zeros], not " + Describe(node));
    return;
  }
  std::vector<std::string> names;
  for (int i = 1; i <= static_cast<int>(ValueClass::kNans); ++i)
    names.push_back(Name(static_cast<ValueClass>(i)));
  const auto& arguments = context.task.arguments;
  if (!node.items.empty() && std::none_of(arguments.begin(), arguments.end(), TakesClasses)) {
    context.report.Error(node.at,
                         "no input has a uniform or normal fill, which classes could bend");
  }
  for (const YamlNode& item : node.items) {
    std::string word;
    TextIn(&word, names)(item, context.report);
    const std::optional<ValueClass> values = ValueClassFrom(word);
    if (!values) continue;
    CheckValueClass(item, *values, context);
    context.task.values.push_back(*values);
  }
}

void CheckPermuted(const YamlNode& item, const std::string& axis, TaskContext& context) {
  Report& report = context.report;
  const auto& axes = context.task.axes;
  if (std::find(axes.begin(), axes.end(), axis) == axes.end()) {
    report.Error(item.at, "unknown axis '" + axis + "'" + DidYouMean(axis, axes));
    return;
  }
  bool input = false;
  for (const Argument* argument : AllArguments(context.task)) {
    if (argument->role == Role::kWorkspace) continue;
    for (const Program& dim : argument->dims) {
      if (std::find(dim.names.begin(), dim.names.end(), axis) == dim.names.end()) continue;
      if (dim.text != axis) {
        report.Error(item.at, argument->name + " has the dimension `" + dim.text +
                                  "`, so its slices along " + axis + " cannot be permuted");
      }
      if (argument->constant)
        report.Error(item.at, "'" + argument->name + "' is constant, and has the axis " + axis);
      if (argument->fill.kind == Fill::Kind::kSortedUnique)
        report.Error(item.at, "'" + argument->name + "' is sorted along " + axis);
      input = input || IsInput(*argument);
    }
  }
  // An output without the axis stays as it is.
  if (!input) report.Error(item.at, "no input has the axis " + axis);
}

void ReadScale(const YamlNode& node, TaskContext& context, Symmetry* symmetry) {
  bool input = false, output = false;
  ReadEach(node, "`scale`", context.report, [&](const YamlNode& key, const YamlNode& value) {
    int64_t power = 0;
    Integer (&power)(value, context.report);
    if (power == 0 || power < -4 || power > 4)
      context.report.Error(value.at, "a power is a whole number from -4 to 4, and not 0");
    std::vector<std::string> names;
    const Argument* found = nullptr;
    for (const Argument* argument : AllArguments(context.task)) {
      if (!IsInput(*argument) && !IsOutput(*argument)) continue;
      if (argument->name == key.text) found = argument;
      names.push_back(argument->name);
    }
    if (found == nullptr) {
      context.report.Error(
          key.at, "no input or output is called '" + key.text + "'" + DidYouMean(key.text, names));
      return;
    }
    if (!IsFloat(found->dtype))
      context.report.Error(key.at, "'" + key.text + "' is " + Name(found->dtype) +
                                       "; only floats can be scaled exactly");
    if (found->constant) context.report.Error(key.at, "'" + key.text + "' is constant");
    input = input || IsInput(*found);
    output = output || IsOutput(*found);
    symmetry->scale[key.text] = static_cast<int>(power);
  });
  if (node.IsMap() && (!input || !output))
    context.report.Error(node.at, "`scale` names at least one input and one output");
}

void ReadSymmetry(const YamlNode& item, TaskContext& context) {
  Symmetry symmetry;
  const YamlNode *permute = nullptr, *scale = nullptr;
  ReadSection(item, "a symmetry", {{"permute", Keep(&permute)}, {"scale", Keep(&scale)}},
              context.report);
  if (!item.IsMap()) return;
  if ((permute == nullptr) == (scale == nullptr)) {
    context.report.Error(item.at, "a symmetry is either `permute` or `scale`");
    return;
  }
  if (permute != nullptr) {
    Text (&symmetry.permute)(*permute, context.report);
    CheckPermuted(*permute, symmetry.permute, context);
  } else {
    ReadScale(*scale, context, &symmetry);
  }
  context.task.symmetries.push_back(std::move(symmetry));
}

void ReadAllowed(const YamlNode* node, Report& report, bool* out) {
  if (node == nullptr) return;
  std::string word;
  TextIn(&word, {"allow", "refuse"})(*node, report);
  *out = word == "allow";
}

}  // namespace

void ReadCorrectness(const YamlNode& root, const CorrectnessNodes& nodes, TaskContext& context) {
  ReadAllowed(nodes.nonfinite, context.report, &context.task.allow_nonfinite);
  ReadAllowed(nodes.flush_to_zero, context.report, &context.task.allow_flush_to_zero);
  if (nodes.tolerance != nullptr) ReadTolerance(*nodes.tolerance, context);
  CheckTolerances(nodes.tolerance != nullptr ? *nodes.tolerance : root, context);
  if (nodes.values != nullptr) {
    ReadValues(*nodes.values, context);
  } else {
    context.task.values = DefaultValues(context.task);
  }
  if (nodes.symmetries == nullptr) return;
  if (!nodes.symmetries->IsList()) {
    context.report.Error(nodes.symmetries->at, "must be a list, like [{ permute: rows }], not " +
                                                   Describe(*nodes.symmetries));
    return;
  }
  for (const YamlNode& item : nodes.symmetries->items) ReadSymmetry(item, context);
}

}  // namespace kev
