#include "configs/expression_parser.h"

#include <doctest/doctest.h>

#include <string>

namespace kev {
namespace {

const Symbols kSymbols = {{"n", FieldType::kInt},
                          {"x", FieldType::kDouble},
                          {"flag", FieldType::kBool},
                          {"task.name", FieldType::kString},
                          {"screen.speedup", FieldType::kDouble},
                          {"wait", FieldType::kDuration}};

Lookup Names(std::string_view name, Value* out) {
  if (name == "n") *out = 7;
  if (name == "x") *out = 1.5;
  if (name == "flag") *out = true;
  if (name == "task.name") *out = "softmax";
  if (name == "wait") *out = 2.0;
  return name == "screen.speedup" ? Lookup::kMissing : Lookup::kFound;
}

// The value as JSON, or "column N: message".
std::string Eval(const std::string& text) {
  const CompiledExpression compiled = CompileExpression(text, kSymbols);
  if (compiled.error)
    return "column " + std::to_string(compiled.error->offset + 1) + ": " + compiled.error->message;
  const Result<Value> value = Evaluate(compiled.program, Names);
  return value ? ToJson(*value) : value.error().message;
}

TEST_CASE("expressions have the value that their text says") {
  struct Row {
    const char* text;
    const char* value;
  };
  const Row rows[] = {
      {"1 + 2 * 3", "7"},
      {"(1 + 2) * 3", "9"},
      {"7 // 2 + 7 % 4", "6"},
      {"-7 // 2", "-4"},
      {"7 / 2", "3.5"},
      {"2 - 3 - 4", "-5"},
      {"-n", "-7"},
      {"min(3, n, 2) + max(1, 2)", "4"},
      {"abs(-3)", "3"},
      {"ceil_div(n, 2)", "4"},
      {"log2(8) == 3", "true"},
      {"sqrt(n + 2) == 3.0", "true"},
      {"n == 7 and not flag or x > 1", "true"},
      {"not flag", "false"},
      {"not n < 3", "true"},
      {"task.name == \"softmax\"", "true"},
      {"task.name != 'softmax'", "false"},
      {"flag == true", "true"},
      {"wait < 3", "true"},
      {"1e3 + .5", "1000.5"},
  };
  for (const auto& [text, value] : rows) {
    CAPTURE(text);
    CHECK(Eval(text) == value);
  }
}

// muParser takes 1 < x < 1.2 as (1 < x) < 1.2, which is true for 1.5.
TEST_CASE("comparisons chain") {
  CHECK(Eval("1 < x < 1.2") == "false");
  CHECK(Eval("1 < x < 2") == "true");
  CHECK(Eval("2 < x < 3") == "false");
  CHECK(Eval("1 < x <= 1.5 < n < 8") == "true");
  CHECK(Eval("1 < x <= 1.5 < n < 7") == "false");
  CHECK(Eval("(1 < 2 < 3) == (1 < x < 2)") == "true");
  CHECK(Eval("1 < 2 < 3 and 3 > 2 > 1 or 5 < 4 < 3") == "true");
}

TEST_CASE("and/or stop at the first operand that decides") {
  CHECK(Eval("n == 0 or 1 // n == 0") == "true");
  CHECK(Eval("n != 7 and 1 // (n - 7) == 0") == "false");
  CHECK(Eval("flag or screen.speedup > 1") == "true");
  CHECK(Eval("screen.speedup > 1 or flag") == "null");
}

TEST_CASE("errors name the column and what may be meant") {
  struct Row {
    const char* text;
    const char* error;
  };
  const Row rows[] = {
      {"n + flag", "column 3: '+' needs numbers, not bool"},
      {"n < task.name", "column 3: '<' between integer and string"},
      {"task.name < 'z'", "column 11: '<' needs numbers; a string knows only == and !="},
      {"flag and n", "column 10: `and` takes bools, this is integer"},
      {"not n", "column 5: `not` takes bools, this is integer"},
      {"-flag", "column 1: '-' needs a number, not bool"},
      {"screen.speedpu > 1",
       "column 1: unknown name 'screen.speedpu' (did you mean 'screen.speedup'?)"},
      {"n + mni(1, 2)", "column 5: unknown function 'mni' (did you mean 'min'?)"},
      {"ceil_div(x, 2)", "column 10: ceil_div takes integers, this is number"},
      {"min(1)", "column 1: min takes 2 or more arguments, not 1"},
      {"sqrt(1, 2)", "column 1: sqrt takes 1 arguments, not 2"},
      {"n = 7", "column 3: '=' is not an operator: use '=='"},
      {"flag && flag", "column 6: '&' is not an operator: use and, or, not"},
      {"n ** 2", "column 3: there is no power operator"},
      {"(n + 1", "column 7: the expression ends where ')' should follow"},
      {"n +", "column 4: the expression ends where a value should follow"},
      {"n n", "column 3: unexpected 'n' where an operator or the end should stand"},
      {"", "column 1: the expression ends where a value should follow"},
      {"task.name == 'x", "column 14: this string has no closing quote"},
      {"x < 30s",
       "column 5: units cannot be written here: use the plain number (a condition reads durations "
       "in seconds)"},
      {"99999999999999999999", "column 1: number out of range"},
  };
  for (const auto& [text, error] : rows) {
    CAPTURE(text);
    CHECK(Eval(text) == error);
  }
}

TEST_CASE("deep nesting is an error, not a crash") {
  CHECK(Eval(std::string(100'000, '(')).find("nested too deeply") != std::string::npos);
  CHECK(Eval(std::string(100'000, '-') + "1").find("nested too deeply") != std::string::npos);
}

}  // namespace
}  // namespace kev
