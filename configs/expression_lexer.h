// Tokens of the expression language. Used by the parser only.
// Threads: plain values. Errors: a token of kind kBad, whose text says why.
#ifndef KEV_CONFIGS_EXPRESSION_LEXER_H_
#define KEV_CONFIGS_EXPRESSION_LEXER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kev {

struct Token {
  enum class Kind { kEnd, kBad, kInt, kDouble, kString, kName, kSymbol } kind = Kind::kEnd;
  std::string text;  // name, symbol ("<=", "//", "(") or the string's content
  size_t offset = 0;
  int64_t integer = 0;
  double number = 0;
  bool Is(std::string_view symbol) const { return kind == Kind::kSymbol && text == symbol; }
};

// All tokens of `text`; the last one is kEnd or kBad.
std::vector<Token> Tokenize(std::string_view text);

}  // namespace kev

#endif  // KEV_CONFIGS_EXPRESSION_LEXER_H_
