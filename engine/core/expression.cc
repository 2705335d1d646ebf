#include "engine/core/expression.h"

#include <cmath>
#include <utility>

namespace kev {
namespace {

Error Broken(const Program& program, const char* what) {
  return Error{Code::kCorrupt,
               std::string("broken byte code (") + what + ") in `" + program.text + "`"};
}
Error Failed(const Program& program, const std::string& what) {
  return Error{Code::kInvalid, what + " in `" + program.text + "`"};
}

// Floor division and the remainder that goes with it; REQUIRES b != 0 and not (INT64_MIN, -1).
int64_t FloorDiv(int64_t a, int64_t b) {
  const int64_t q = a / b;
  return (a % b != 0 && ((a < 0) != (b < 0))) ? q - 1 : q;
}
int64_t FloorMod(int64_t a, int64_t b) {
  const int64_t r = a % b;
  return (r != 0 && ((r < 0) != (b < 0))) ? r + b : r;
}

// One operation; `why` is set when it has no result.
struct Outcome {
  Value value;
  const char* why = nullptr;
};
Outcome Fail(const char* why) { return {Value(), why}; }

Outcome ArithmeticInt(Op op, int64_t a, int64_t b) {
  int64_t out = 0;
  switch (op) {
    case Op::kAdd:
      return __builtin_add_overflow(a, b, &out) ? Fail("integer overflow") : Outcome{out};
    case Op::kSub:
      return __builtin_sub_overflow(a, b, &out) ? Fail("integer overflow") : Outcome{out};
    case Op::kMul:
      return __builtin_mul_overflow(a, b, &out) ? Fail("integer overflow") : Outcome{out};
    case Op::kMin:
      return {a < b ? a : b};
    case Op::kMax:
      return {a > b ? a : b};
    default:
      break;
  }
  if (b == 0) return Fail("division by zero");
  if (op == Op::kDiv) return {static_cast<double>(a) / static_cast<double>(b)};
  if (b == -1) {  // a // -1 overflows for the least integer; a % -1 is always 0
    if (op == Op::kMod) return {int64_t{0}};
    return __builtin_sub_overflow(int64_t{0}, a, &out) ? Fail("integer overflow") : Outcome{out};
  }
  if (op == Op::kFloorDiv) return {FloorDiv(a, b)};
  if (op == Op::kMod) return {FloorMod(a, b)};
  return {FloorDiv(a, b) + (a % b != 0 ? 1 : 0)};  // kCeilDiv
}

Outcome ArithmeticDouble(Op op, double a, double b) {
  switch (op) {
    case Op::kAdd:
      return {a + b};
    case Op::kSub:
      return {a - b};
    case Op::kMul:
      return {a * b};
    case Op::kMin:
      return {b < a ? b : a};
    case Op::kMax:
      return {a < b ? b : a};
    case Op::kCeilDiv:
      return Fail("ceil_div of something that is not an integer");
    default:
      break;
  }
  if (b == 0) return Fail("division by zero");
  if (op == Op::kDiv) return {a / b};
  if (op == Op::kFloorDiv) return {std::floor(a / b)};
  const double r = std::fmod(a, b);
  return {(r != 0 && ((r < 0) != (b < 0))) ? r + b : r};  // kMod
}

Outcome Arithmetic(Op op, const Value& a, const Value& b) {
  if (a.IsInt() && b.IsInt()) return ArithmeticInt(op, a.AsInt(), b.AsInt());
  if (a.IsNumber() && b.IsNumber()) return ArithmeticDouble(op, a.AsDouble(), b.AsDouble());
  return Fail("arithmetic on something that is not a number");
}

template <typename T>
bool Ordered(Op op, const T& a, const T& b) {
  switch (op) {
    case Op::kLt:
      return a < b;
    case Op::kLe:
      return a <= b;
    case Op::kGt:
      return a > b;
    case Op::kGe:
      return a >= b;
    case Op::kEq:
      return a == b;
    default:
      return a != b;
  }
}

Outcome Compare(Op op, const Value& a, const Value& b) {
  if (a.IsInt() && b.IsInt()) return {Ordered(op, a.AsInt(), b.AsInt())};
  if (a.IsNumber() && b.IsNumber()) return {Ordered(op, a.AsDouble(), b.AsDouble())};
  const bool equality = op == Op::kEq || op == Op::kNe;
  if (equality && a.IsString() && b.IsString()) return {Ordered(op, a.AsString(), b.AsString())};
  if (equality && a.IsBool() && b.IsBool()) return {Ordered(op, a.AsBool(), b.AsBool())};
  return Fail("comparison of values of different kinds");
}

Outcome Unary(Op op, const Value& a) {
  if (op == Op::kNot)
    return a.IsBool() ? Outcome{!a.AsBool()} : Fail("`not` of something that is not a bool");
  if (!a.IsNumber()) return Fail("arithmetic on something that is not a number");
  if (op == Op::kLog2) {
    return a.AsDouble() > 0 ? Outcome{std::log2(a.AsDouble())}
                            : Fail("log2 of a number that is not above 0");
  }
  if (op == Op::kSqrt) {
    return a.AsDouble() >= 0 ? Outcome{std::sqrt(a.AsDouble())} : Fail("sqrt of a negative number");
  }
  if (a.IsDouble()) return {op == Op::kAbs ? std::fabs(a.AsDouble()) : -a.AsDouble()};
  if (op == Op::kAbs && a.AsInt() >= 0) return {a.AsInt()};
  int64_t out = 0;
  return __builtin_sub_overflow(int64_t{0}, a.AsInt(), &out) ? Fail("integer overflow")
                                                             : Outcome{out};
}

bool IsJump(Op op) { return op == Op::kJumpIfFalseKeep || op == Op::kJumpIfTrueKeep; }

// How many values `op` takes from the stack.
size_t Operands(Op op) {
  switch (op) {
    case Op::kConst:
    case Op::kLoad:
      return 0;
    case Op::kNeg:
    case Op::kNot:
    case Op::kAbs:
    case Op::kLog2:
    case Op::kSqrt:
    case Op::kDup:
    case Op::kPop:
    case Op::kJumpIfFalseKeep:
    case Op::kJumpIfTrueKeep:
      return 1;
    case Op::kRot:
      return 3;
    default:
      return 2;
  }
}

bool IsComparison(Op op) { return op >= Op::kLt && op <= Op::kNe; }

}  // namespace

Result<Value> Evaluate(const Program& program, const NameLookup& lookup) {
  std::vector<Value> stack;
  for (size_t pc = 0; pc < program.code.size(); ++pc) {
    const auto [op, arg] = program.code[pc];
    if (stack.size() < Operands(op)) return Broken(program, "stack underflow");
    const size_t top = stack.size() - 1;
    switch (op) {
      case Op::kConst:
        if (arg >= program.constants.size()) return Broken(program, "no such constant");
        stack.push_back(program.constants[arg]);
        continue;
      case Op::kLoad: {
        if (arg >= program.names.size()) return Broken(program, "no such name");
        Value value;
        const Lookup found = lookup ? lookup(program.names[arg], &value) : Lookup::kUnknown;
        if (found == Lookup::kMissing) return Value();
        if (found == Lookup::kUnknown) {
          return Failed(program, "unknown name '" + program.names[arg] + "'");
        }
        stack.push_back(std::move(value));
        continue;
      }
      case Op::kDup:
        stack.push_back(Value(stack[top]));
        continue;
      case Op::kSwap:
        std::swap(stack[top], stack[top - 1]);
        continue;
      case Op::kRot: {
        Value lowest = std::move(stack[top - 2]);
        stack[top - 2] = std::move(stack[top - 1]);
        stack[top - 1] = std::move(stack[top]);
        stack[top] = std::move(lowest);
        continue;
      }
      case Op::kPop:
        stack.pop_back();
        continue;
      case Op::kJumpIfFalseKeep:
      case Op::kJumpIfTrueKeep:
        if (!stack[top].IsBool())
          return Failed(program, "`and`/`or` of something that is not a bool");
        if (arg <= pc || arg > program.code.size()) return Broken(program, "jump out of bounds");
        if (stack[top].AsBool() == (op == Op::kJumpIfTrueKeep)) {
          pc = arg - 1;
        } else {
          stack.pop_back();
        }
        continue;
      default:
        break;
    }
    Outcome outcome;
    if (Operands(op) == 1) {
      outcome = Unary(op, stack[top]);
    } else {
      outcome = IsComparison(op) ? Compare(op, stack[top - 1], stack[top])
                                 : Arithmetic(op, stack[top - 1], stack[top]);
      stack.pop_back();
    }
    if (outcome.why != nullptr) return Failed(program, outcome.why);
    stack.back() = std::move(outcome.value);
  }
  if (stack.size() != 1) return Broken(program, "not one value left");
  return std::move(stack.front());
}

Value ToValue(const Program& program) {
  Value code{Value::List{}};
  for (const Instruction& instruction : program.code) {
    code.Append(static_cast<int64_t>(instruction.op));
    code.Append(instruction.arg);
  }
  Value names{Value::List{}};
  for (const std::string& name : program.names) names.Append(name);
  Value out;
  out.Set("code", std::move(code));
  out.Set("constants", Value(program.constants));
  out.Set("names", std::move(names));
  out.Set("text", program.text);
  return out;
}

Result<Program> ProgramFrom(const Value& value) {
  Program program;
  program.text = value["text"].AsString();
  const Value::List& code = value["code"].AsList();
  if (!value.IsMap() || code.size() % 2 != 0) return Broken(program, "not a program");
  program.constants = value["constants"].AsList();
  for (const Value& name : value["names"].AsList()) program.names.push_back(name.AsString());
  for (size_t i = 0; i < code.size(); i += 2) {
    const int64_t op = code[i].AsInt(-1);
    const int64_t arg = code[i + 1].AsInt(-1);
    if (op < 0 || op > static_cast<int64_t>(Op::kSqrt)) return Broken(program, "no such operation");
    if (arg < 0 || arg > UINT32_MAX) return Broken(program, "operand out of range");
    program.code.push_back({static_cast<Op>(op), static_cast<uint32_t>(arg)});
  }
  for (size_t pc = 0; pc < program.code.size(); ++pc) {
    const auto [op, arg] = program.code[pc];
    if (op == Op::kConst && arg >= program.constants.size()) {
      return Broken(program, "no such constant");
    }
    if (op == Op::kLoad && arg >= program.names.size()) return Broken(program, "no such name");
    if (IsJump(op) && (arg <= pc || arg > program.code.size())) {
      return Broken(program, "jump out of bounds");
    }
  }
  return program;
}

}  // namespace kev
