// Byte code of conditions, constraints and size formulas, and the machine that runs it.
//
// The language (parsed and type-checked with positions in configs/expression_parser.h) has int64,
// double, bool and string; dotted names; + - * / // % and unary -; comparisons that chain (1 < x
// < 1.2); and/or/not; min, max, abs, ceil_div, log2, sqrt. `/` is real division, `//` floors, `%`
// follows the divisor's sign (as in Python). Threads: plain values. Errors: division by zero,
// overflow of int64, an unknown name.
#ifndef KEV_ENGINE_CORE_EXPRESSION_H_
#define KEV_ENGINE_CORE_EXPRESSION_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/result.h"
#include "engine/core/value.h"

namespace kev {

enum class Op : uint8_t {
  kConst,  // push constants[arg]
  kLoad,   // push the value of names[arg]
  kNeg,
  kNot,
  kAdd,
  kSub,
  kMul,
  kDiv,
  kFloorDiv,
  kMod,
  kLt,
  kLe,
  kGt,
  kGe,
  kEq,
  kNe,
  kDup,
  kSwap,
  kRot,
  kPop,              // kRot: a b c -> b c a   (used for chained comparison)
  kJumpIfFalseKeep,  // if top is false jump to arg and keep it, else pop it
  kJumpIfTrueKeep,
  kMin,
  kMax,
  kAbs,
  kCeilDiv,
  kLog2,
  kSqrt,
};

struct Instruction {
  Op op;
  uint32_t arg = 0;
  bool operator==(const Instruction&) const = default;
};

struct Program {
  std::vector<Instruction> code;
  std::vector<Value> constants;
  std::vector<std::string> names;  // dotted
  std::string text;                // as written, for messages
  bool empty() const { return code.empty(); }
  bool operator==(const Program&) const = default;
};

// What a name stands for. kMissing is not an error: see Truth.
enum class Lookup { kFound, kMissing, kUnknown };
using NameLookup = std::function<Lookup(std::string_view name, Value* out)>;

// Runs `program`. A name that is kMissing gives a null Value at once (the whole expression is then
// null).
Result<Value> Evaluate(const Program& program, const NameLookup& lookup);

Value ToValue(const Program&);
Result<Program> ProgramFrom(const Value&);

}  // namespace kev

#endif  // KEV_ENGINE_CORE_EXPRESSION_H_
