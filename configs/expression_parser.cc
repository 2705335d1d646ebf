#include "configs/expression_parser.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "configs/expression_lexer.h"
#include "configs/suggestion.h"

namespace kev {
namespace {

constexpr int kDeepest = 200;  // nested brackets and operators; guards the stack

struct Function {
  std::string_view name;
  Op op;
  size_t least;  // arguments
  size_t most;
  bool integers;  // takes integers only
  bool real;      // always gives a double
};
constexpr std::array<Function, 6> kFunctions = {{
    {"min", Op::kMin, 2, 64, false, false},
    {"max", Op::kMax, 2, 64, false, false},
    {"abs", Op::kAbs, 1, 1, false, false},
    {"ceil_div", Op::kCeilDiv, 2, 2, true, false},
    {"log2", Op::kLog2, 1, 1, false, true},
    {"sqrt", Op::kSqrt, 1, 1, false, true},
}};

bool IsNumber(FieldType type) { return type == FieldType::kInt || type == FieldType::kDouble; }

std::optional<Op> ComparisonOf(const Token& token) {
  static constexpr std::array<std::pair<std::string_view, Op>, 6> kTable = {{{"<", Op::kLt},
                                                                             {"<=", Op::kLe},
                                                                             {">", Op::kGt},
                                                                             {">=", Op::kGe},
                                                                             {"==", Op::kEq},
                                                                             {"!=", Op::kNe}}};
  for (const auto& [symbol, op] : kTable) {
    if (token.Is(symbol)) return op;
  }
  return std::nullopt;
}

// Recursive descent; emits code as it goes. The first error stops it.
class Compiler {
 public:
  Compiler(std::string_view text, const Symbols& symbols, const ExplainName& explain)
      : symbols_(symbols), explain_(explain), tokens_(Tokenize(text)) {
    program_.text = std::string(text);
  }

  CompiledExpression Run() {
    FieldType type = FieldType::kBool;
    if (tokens_.back().kind == Token::Kind::kBad) {
      Fail(tokens_.back().offset, tokens_.back().text);
    } else {
      type = Or();
    }
    if (!error_ && Now().kind != Token::Kind::kEnd) Unexpected("an operator or the end");
    if (error_) return {Program{}, FieldType::kBool, std::move(error_)};
    return {std::move(program_), type, std::nullopt};
  }

 private:
  // --- tokens and errors
  const Token& Now() const { return tokens_[at_]; }
  void Advance() {
    if (at_ + 1 < tokens_.size()) ++at_;
  }
  bool Word(std::string_view word) {
    if (error_ || Now().kind != Token::Kind::kName || Now().text != word) return false;
    Advance();
    return true;
  }
  bool Symbol(std::string_view symbol) {
    if (error_ || !Now().Is(symbol)) return false;
    Advance();
    return true;
  }
  FieldType Fail(size_t offset, std::string message) {
    if (!error_) error_ = ExpressionError{offset, std::move(message)};
    return FieldType::kBool;
  }
  FieldType Unexpected(const std::string& wanted) {
    const Token& token = Now();
    if (token.kind == Token::Kind::kEnd) {
      return Fail(token.offset, "the expression ends where " + wanted + " should follow");
    }
    return Fail(token.offset, "unexpected '" + token.text + "' where " + wanted + " should stand");
  }

  // --- code
  size_t Emit(Op op, size_t arg = 0) {
    program_.code.push_back({op, static_cast<uint32_t>(arg)});
    return program_.code.size() - 1;
  }
  void Constant(Value value) {
    program_.constants.push_back(std::move(value));
    Emit(Op::kConst, program_.constants.size() - 1);
  }
  void Load(const std::string& name) {
    auto it = std::find(program_.names.begin(), program_.names.end(), name);
    if (it == program_.names.end()) it = program_.names.insert(it, name);
    Emit(Op::kLoad, static_cast<size_t>(it - program_.names.begin()));
  }
  void LandHere(const std::vector<size_t>& jumps) {
    for (const size_t jump : jumps) {
      program_.code[jump].arg = static_cast<uint32_t>(program_.code.size());
    }
  }

  // --- grammar, loosest first
  FieldType Or() { return Logic("or", Op::kJumpIfTrueKeep, &Compiler::And); }
  FieldType And() { return Logic("and", Op::kJumpIfFalseKeep, &Compiler::Not); }

  FieldType Logic(std::string_view word, Op jump, FieldType (Compiler::*operand)()) {
    size_t start = Now().offset;
    FieldType type = (this->*operand)();
    std::vector<size_t> jumps;
    while (!error_ && Now().kind == Token::Kind::kName && Now().text == word) {
      NeedBool(type, start, word);
      Advance();
      jumps.push_back(Emit(jump));
      start = Now().offset;
      type = (this->*operand)();
      NeedBool(type, start, word);
    }
    LandHere(jumps);
    return type;
  }
  void NeedBool(FieldType type, size_t offset, std::string_view word) {
    if (type != FieldType::kBool) {
      Fail(offset, "`" + std::string(word) + "` takes bools, this is " + Name(type));
    }
  }

  FieldType Not() {
    if (!Word("not")) return Comparison();
    const Depth depth(this);
    if (error_) return FieldType::kBool;
    const size_t start = Now().offset;
    const FieldType type = Not();
    NeedBool(type, start, "not");
    Emit(Op::kNot);
    return FieldType::kBool;
  }

  // a < b < c: each inner operand is computed once and kept below the result so far; see the end.
  FieldType Comparison() {
    FieldType left = Sum();
    std::optional<Op> op = ComparisonOf(Now());
    if (error_ || !op) return left;
    std::vector<size_t> jumps;
    while (!error_ && op) {
      const size_t offset = Now().offset;
      const std::string symbol = Now().text;
      Advance();
      const FieldType right = Sum();
      CheckComparable(*op, left, right, offset, symbol);
      const Op compare = *op;
      op = ComparisonOf(Now());
      if (op) {  // a b -> b (a?b)
        Emit(Op::kDup);
        Emit(Op::kRot);
        Emit(Op::kSwap);
        Emit(compare);
        jumps.push_back(Emit(Op::kJumpIfFalseKeep));
      } else {
        Emit(compare);
      }
      left = right;
    }
    if (!jumps.empty()) {  // both ways meet with one value too many under the result
      Constant(Value(false));
      Emit(Op::kSwap);
      LandHere(jumps);
      Emit(Op::kSwap);
      Emit(Op::kPop);
    }
    return FieldType::kBool;
  }
  void CheckComparable(Op op, FieldType a, FieldType b, size_t offset, const std::string& symbol) {
    if (IsNumber(a) && IsNumber(b)) return;
    if (a != b) {
      Fail(offset, std::string("'") + symbol + "' between " + Name(a) + " and " + Name(b));
    } else if (op != Op::kEq && op != Op::kNe) {
      Fail(offset,
           std::string("'") + symbol + "' needs numbers; a " + Name(a) + " knows only == and !=");
    }
  }

  FieldType Sum() {
    FieldType type = Product();
    while (!error_ && (Now().Is("+") || Now().Is("-"))) {
      const Token token = Now();
      Advance();
      type = Arithmetic(token, token.text == "+" ? Op::kAdd : Op::kSub, type, Product());
    }
    return type;
  }
  FieldType Product() {
    static constexpr std::array<std::pair<std::string_view, Op>, 4> kTable = {
        {{"*", Op::kMul}, {"/", Op::kDiv}, {"//", Op::kFloorDiv}, {"%", Op::kMod}}};
    FieldType type = Factor();
    while (!error_) {
      const Token token = Now();
      const auto* entry = std::find_if(kTable.begin(), kTable.end(),
                                       [&](const auto& row) { return token.Is(row.first); });
      if (entry == kTable.end()) break;
      Advance();
      type = Arithmetic(token, entry->second, type, Factor());
    }
    return type;
  }
  FieldType Arithmetic(const Token& token, Op op, FieldType a, FieldType b) {
    if (!IsNumber(a) || !IsNumber(b)) {
      return Fail(token.offset,
                  "'" + token.text + "' needs numbers, not " + Name(IsNumber(a) ? b : a));
    }
    Emit(op);
    const bool integer = a == FieldType::kInt && b == FieldType::kInt && op != Op::kDiv;
    return integer ? FieldType::kInt : FieldType::kDouble;
  }

  FieldType Factor() {
    const Depth depth(this);
    if (error_) return FieldType::kBool;
    const Token token = Now();
    if (Symbol("-")) {
      const FieldType type = Factor();
      if (!IsNumber(type))
        return Fail(token.offset, std::string("'-' needs a number, not ") + Name(type));
      Emit(Op::kNeg);
      return type;
    }
    if (Symbol("(")) {
      const FieldType type = Or();
      if (!error_ && !Symbol(")")) Unexpected("')'");
      return type;
    }
    switch (token.kind) {
      case Token::Kind::kInt:
        Advance();
        Constant(token.integer);
        return FieldType::kInt;
      case Token::Kind::kDouble:
        Advance();
        Constant(token.number);
        return FieldType::kDouble;
      case Token::Kind::kString:
        Advance();
        Constant(token.text);
        return FieldType::kString;
      case Token::Kind::kName:
        return NameOrCall(token);
      default:
        return Unexpected("a value");
    }
  }

  FieldType NameOrCall(const Token& token) {
    if (token.text == "and" || token.text == "or" || token.text == "not") {
      return Unexpected("a value");
    }
    Advance();
    if (Now().Is("(")) return Call(token);
    if (token.text == "true" || token.text == "false") {
      Constant(Value(token.text == "true"));
      return FieldType::kBool;
    }
    const auto symbol = symbols_.find(token.text);
    if (symbol == symbols_.end()) return Fail(token.offset, UnknownName(token.text));
    Load(token.text);
    return symbol->second == FieldType::kDuration ? FieldType::kDouble : symbol->second;
  }
  std::string UnknownName(const std::string& name) const {
    const std::string explained = explain_ ? explain_(name) : "";
    if (!explained.empty()) return explained;
    std::vector<std::string> known;
    for (const auto& [symbol, type] : symbols_) known.push_back(symbol);
    return "unknown name '" + name + "'" + DidYouMean(name, known);
  }

  FieldType Call(const Token& name) {
    const auto* function = std::find_if(kFunctions.begin(), kFunctions.end(),
                                        [&](const Function& f) { return f.name == name.text; });
    if (function == kFunctions.end()) {
      std::vector<std::string> known;
      for (const Function& f : kFunctions) known.emplace_back(f.name);
      return Fail(name.offset,
                  "unknown function '" + name.text + "'" + DidYouMean(name.text, known));
    }
    Advance();  // (
    size_t count = 0;
    FieldType result = FieldType::kInt;
    while (!error_ && !Now().Is(")")) {
      if (count > 0 && !Symbol(",")) return Unexpected("',' or ')'");
      const size_t start = Now().offset;
      const FieldType type = Or();
      if (error_) return result;
      if (!IsNumber(type) || (function->integers && type != FieldType::kInt)) {
        return Fail(start, name.text +
                               (function->integers ? " takes integers, this is "
                                                   : " takes numbers, this is ") +
                               Name(type));
      }
      if (type == FieldType::kDouble) result = FieldType::kDouble;
      if (++count > 1) Emit(function->op);
    }
    if (error_) return result;
    if (count < function->least || count > function->most) {
      return Fail(name.offset, name.text + " takes " + std::to_string(function->least) +
                                   (function->most > function->least ? " or more" : "") +
                                   " arguments, not " + std::to_string(count));
    }
    Advance();  // )
    if (function->most == 1) Emit(function->op);
    return function->real ? FieldType::kDouble : result;
  }

  class Depth {
   public:
    explicit Depth(Compiler* compiler) : compiler_(compiler) {
      if (++compiler_->depth_ > kDeepest) {
        compiler_->Fail(compiler_->Now().offset, "the expression is nested too deeply");
      }
    }
    ~Depth() { --compiler_->depth_; }
    Depth(const Depth&) = delete;
    Depth& operator=(const Depth&) = delete;

   private:
    Compiler* compiler_;
  };

  const Symbols& symbols_;
  const ExplainName& explain_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  Program program_;
  std::optional<ExpressionError> error_;
};

}  // namespace

CompiledExpression CompileExpression(std::string_view text, const Symbols& symbols,
                                     const ExplainName& explain) {
  return Compiler(text, symbols, explain).Run();
}

}  // namespace kev
