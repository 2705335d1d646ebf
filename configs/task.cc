#include "configs/task.h"

#include <algorithm>
#include <array>

namespace kev {
namespace {

struct DTypeRow {
  DType dtype;
  const char* name;
  const char* c_type;
  uint32_t size;
  bool real;
};
constexpr std::array<DTypeRow, 5> kDTypes = {{
    {DType::kF32, "f32", "float", 4, true},
    {DType::kF64, "f64", "double", 8, true},
    {DType::kI32, "i32", "int32_t", 4, false},
    {DType::kI64, "i64", "int64_t", 8, false},
    {DType::kU8, "u8", "uint8_t", 1, false},
}};
const DTypeRow& Row(DType dtype) { return kDTypes[static_cast<size_t>(dtype)]; }

NameLookup LookupIn(const Axes& axes) {
  return [&axes](std::string_view name, Value* out) {
    const auto axis = axes.find(std::string(name));
    if (axis == axes.end()) return Lookup::kUnknown;
    *out = axis->second;
    return Lookup::kFound;
  };
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

const char* Name(DType dtype) { return Row(dtype).name; }

std::optional<DType> DTypeFrom(std::string_view name) {
  for (const DTypeRow& row : kDTypes) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

uint32_t SizeOf(DType dtype) { return Row(dtype).size; }
bool IsFloat(DType dtype) { return Row(dtype).real; }

Result<double> EvaluateOver(const Program& program, const Axes& axes) {
  Result<Value> value = Evaluate(program, LookupIn(axes));
  if (!value) return value.error();
  if (!value->IsNumber()) return Error{Code::kInvalid, "`" + program.text + "` is not a number"};
  return value->AsDouble();
}

Result<uint64_t> ElementCount(const Argument& argument, const Axes& axes) {
  uint64_t count = 1;
  for (const Program& dim : argument.dims) {
    Result<Value> value = Evaluate(dim, LookupIn(axes));
    if (!value) return value.error();
    if (!value->IsInt() || value->AsInt() < 0) {
      return Error{Code::kInvalid, "dimension `" + dim.text + "` of " + argument.name + " is " +
                                       ToJson(*value) + ", not a whole number from 0"};
    }
    if (__builtin_mul_overflow(count, static_cast<uint64_t>(value->AsInt()), &count)) {
      return Error{Code::kInvalid, "the size of " + argument.name + " overflows"};
    }
  }
  return count;
}

std::string Declaration(const Task& task) {
  std::string out = "void " + task.function + "(";
  for (const Argument& argument : task.arguments) {
    if (&argument != &task.arguments.front()) out += ", ";
    if (argument.role == Argument::Role::kAxis) {
      out += "int64_t " + argument.name;
    } else {
      if (argument.role == Argument::Role::kIn) out += "const ";
      out += std::string(Row(argument.dtype).c_type) + "* " + argument.name;
    }
  }
  return out + ")";
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
