#include "configs/task.h"

#include <algorithm>
#include <array>
#include <utility>

namespace kev {
namespace {

constexpr std::array<std::pair<ValueClass, const char*>, 12> kValueClasses = {{
    {ValueClass::kFill, "fill"},
    {ValueClass::kUniform, "uniform"},
    {ValueClass::kNormal, "normal"},
    {ValueClass::kLarge, "large"},
    {ValueClass::kTiny, "tiny"},
    {ValueClass::kDenormal, "denormal"},
    {ValueClass::kZeros, "zeros"},
    {ValueClass::kOnes, "ones"},
    {ValueClass::kSorted, "sorted"},
    {ValueClass::kRepeated, "repeated"},
    {ValueClass::kInfinities, "infinities"},
    {ValueClass::kNans, "nans"},
}};

NameLookup LookupIn(const Axes& axes) {
  return [&axes](std::string_view name, Value* out) {
    const auto axis = axes.find(std::string(name));
    if (axis == axes.end()) return Lookup::kUnknown;
    *out = axis->second;
    return Lookup::kFound;
  };
}

std::string DeclareParameter(const Argument& argument) {
  std::string out = argument.role == Argument::Role::kIn ? "const " : "";
  out += CType(argument.dtype);
  return out + (IsArray(argument) ? "* " : " ") + argument.name;
}

std::string AsDefine(const Value& value) {
  if (value.IsBool()) return value.AsBool() ? "1" : "0";
  if (value.IsString()) return value.AsString();
  if (value.IsDouble()) {
    std::string text = FormatDouble(value.AsDouble());
    // 2 would be an int in C.
    if (text.find_first_of(".eE") == std::string::npos) text += ".0";
    return text;
  }
  return std::to_string(value.AsInt());
}

}  // namespace

bool IsInput(const Argument& argument) {
  return argument.role == Argument::Role::kIn || argument.role == Argument::Role::kInOut;
}

bool IsOutput(const Argument& argument) {
  return argument.role == Argument::Role::kOut || argument.role == Argument::Role::kInOut ||
         argument.role == Argument::Role::kReturn;
}

bool IsArray(const Argument& argument) {
  return argument.role == Argument::Role::kIn || argument.role == Argument::Role::kOut ||
         argument.role == Argument::Role::kInOut || argument.role == Argument::Role::kWorkspace;
}

const char* Name(ValueClass values) { return kValueClasses[static_cast<size_t>(values)].second; }

std::optional<ValueClass> ValueClassFrom(std::string_view name) {
  for (const auto& [values, text] : kValueClasses) {
    if (name == text && values != ValueClass::kFill) return values;
  }
  return std::nullopt;
}

Result<double> EvaluateOver(const Program& program, const Axes& axes) {
  Result<Value> value = Evaluate(program, LookupIn(axes));
  if (!value) return value.error();
  if (!value->IsNumber()) return Error{Code::kInvalid, "`" + program.text + "` is not a number"};
  return value->AsDouble();
}

Result<double> ScalarValue(const Argument& argument, const Axes& axes) {
  Result<double> value = EvaluateOver(argument.scalar, axes);
  if (!value) return value.error();
  return RoundTo(argument.dtype, *value);
}

Result<std::vector<uint64_t>> Dimensions(const Argument& argument, const Axes& axes) {
  std::vector<uint64_t> sizes;
  for (const Program& dim : argument.dims) {
    Result<Value> value = Evaluate(dim, LookupIn(axes));
    if (!value) return value.error();
    if (!value->IsInt() || value->AsInt() < 0) {
      return Error{Code::kInvalid, "dimension `" + dim.text + "` of " + argument.name + " is " +
                                       ToJson(*value) + ", not a whole number from 0"};
    }
    sizes.push_back(static_cast<uint64_t>(value->AsInt()));
  }
  return sizes;
}

Result<uint64_t> ElementCount(const Argument& argument, const Axes& axes) {
  const Result<std::vector<uint64_t>> sizes = Dimensions(argument, axes);
  if (!sizes) return sizes.error();
  uint64_t count = 1;
  for (const uint64_t size : *sizes) {
    if (__builtin_mul_overflow(count, size, &count)) {
      return Error{Code::kInvalid, "the size of " + argument.name + " overflows"};
    }
  }
  return count;
}

std::string Declaration(const Task& task) {
  std::string out = task.returns ? CType(task.returns->dtype) : "void";
  out += " " + task.function + "(";
  for (const Argument& argument : task.arguments) {
    if (&argument != &task.arguments.front()) out += ", ";
    out += DeclareParameter(argument);
  }
  return out + ")";
}

std::string Declaration(const Task& task, const HelperFunction& helper) {
  std::string out = "void " + helper.function + "(";
  for (const std::string& name : helper.arguments) {
    if (&name != &helper.arguments.front()) out += ", ";
    if (const Argument* argument = FindArgument(task, name)) out += DeclareParameter(*argument);
  }
  return out + ")";
}

const Argument* FindArgument(const Task& task, std::string_view name) {
  for (const Argument& argument : task.arguments) {
    if (argument.name == name) return &argument;
  }
  return nullptr;
}

Result<bool> MeetsConstraints(const Variant& variant, const Value& assignment) {
  const NameLookup lookup = [&](std::string_view name, Value* out) {
    if (!assignment.Has(name)) return Lookup::kUnknown;
    *out = assignment[name];
    return Lookup::kFound;
  };
  for (const Program& constraint : variant.constraints) {
    Result<Value> value = Evaluate(constraint, lookup);
    if (!value) return value.error();
    if (!value->AsBool()) return false;
  }
  return true;
}

std::string Instantiate(const Variant& variant, const Value& assignment) {
  std::string out;
  for (const Parameter& parameter : variant.parameters) {
    out += "#define " + parameter.name + " " + AsDefine(assignment[parameter.name]) + "\n";
  }
  return out + variant.text;
}

}  // namespace kev
