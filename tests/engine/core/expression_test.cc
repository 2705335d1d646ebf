#include "engine/core/expression.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>

namespace kev {
namespace {

// `lhs op rhs` as byte code.
Program Binary(Op op, Value lhs, Value rhs) {
  return {{{Op::kConst, 0}, {Op::kConst, 1}, {op}}, {std::move(lhs), std::move(rhs)}, {}, "test"};
}
Program Loads(const std::string& name) { return {{{Op::kLoad, 0}}, {}, {name}, name}; }

Value Run(const Program& program) {
  const Result<Value> value = Evaluate(program, nullptr);
  return value ? *value : Value("error: " + value.error().message);
}

constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

TEST_CASE("integer division by / is real, // floors and % follows the divisor") {
  CHECK(Run(Binary(Op::kDiv, 7, 2)) == Value(3.5));
  CHECK(Run(Binary(Op::kFloorDiv, -7, 2)) == Value(-4));
  CHECK(Run(Binary(Op::kMod, -7, 2)) == Value(1));
  CHECK(Run(Binary(Op::kMod, 7, -2)) == Value(-1));
  CHECK(Run(Binary(Op::kCeilDiv, 7, 2)) == Value(4));
  CHECK(Run(Binary(Op::kCeilDiv, -7, 2)) == Value(-3));
  CHECK(Run(Binary(Op::kMod, -7.5, 2.0)) == Value(0.5));
}

TEST_CASE("overflow of int64 is an error, not a wrapped number") {
  const Value overflow("error: integer overflow in `test`");
  CHECK(Run(Binary(Op::kAdd, kMost, 1)) == overflow);
  CHECK(Run(Binary(Op::kSub, kLeast, 1)) == overflow);
  CHECK(Run(Binary(Op::kMul, kMost, 2)) == overflow);
  CHECK(Run(Binary(Op::kFloorDiv, kLeast, -1)) == overflow);
  CHECK(Run(Binary(Op::kMod, kLeast, -1)) == Value(0));
}

TEST_CASE("division by zero is an error for integers and doubles") {
  const Value zero("error: division by zero in `test`");
  for (const Op op : {Op::kDiv, Op::kFloorDiv, Op::kMod, Op::kCeilDiv})
    CHECK(Run(Binary(op, 1, 0)) == zero);
  CHECK(Run(Binary(Op::kDiv, 1.0, 0.0)) == zero);
}

TEST_CASE("a missing name makes the whole expression null, an unknown one is an error") {
  const NameLookup lookup = [](std::string_view name, Value*) {
    return name == "best.speedup" ? Lookup::kMissing : Lookup::kUnknown;
  };
  Program missing = Loads("best.speedup");
  missing.constants = {Value(2)};
  missing.code.push_back({Op::kConst, 0});
  missing.code.push_back({Op::kLt});
  const Result<Value> value = Evaluate(missing, lookup);
  REQUIRE(value);
  CHECK(value->IsNull());
  CHECK(Evaluate(Loads("nobody"), lookup).error().message == "unknown name 'nobody' in `nobody`");
}

TEST_CASE("broken byte code is an error and never reads outside") {
  CHECK(!Evaluate({{{Op::kAdd}}, {}, {}, "x"}, nullptr));
  CHECK(!Evaluate({{{Op::kConst, 3}}, {}, {}, "x"}, nullptr));
  CHECK(!Evaluate({{{Op::kConst, 0}, {Op::kJumpIfTrueKeep, 0}}, {Value(true)}, {}, "x"}, nullptr));
  CHECK(!Evaluate({{{Op::kConst, 0}, {Op::kConst, 0}}, {Value(1)}, {}, "x"}, nullptr));
  CHECK(!Evaluate({}, nullptr));
}

TEST_CASE("a program survives the way through a Value") {
  const Program program = Binary(Op::kMul, 2.5, "text");
  const Result<Program> back = ProgramFrom(ToValue(program));
  REQUIRE(back);
  CHECK(*back == program);
}

TEST_CASE("a stored program with a jump backwards or an unknown operation is refused") {
  CHECK(!ProgramFrom(
      ToValue(Program{{{Op::kConst, 0}, {Op::kJumpIfFalseKeep, 1}}, {Value(true)}, {}, "x"})));
  Value unknown = ToValue(Binary(Op::kAdd, 1, 2));
  unknown.Set("code", Value(Value::List{Value(250), Value(0)}));
  CHECK(!ProgramFrom(unknown));
  CHECK(!ProgramFrom(Value("text")));
}

}  // namespace
}  // namespace kev
