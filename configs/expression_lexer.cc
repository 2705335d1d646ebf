#include "configs/expression_lexer.h"

#include <array>
#include <charconv>

namespace kev {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

Token Bad(size_t offset, std::string why) { return {Token::Kind::kBad, std::move(why), offset}; }

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Token Next() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != text_.npos) ++at_;
    if (at_ == text_.size()) return {Token::Kind::kEnd, "", at_};
    const char c = text_[at_];
    if (IsDigit(c) || (c == '.' && IsDigit(Peek(1)))) return Number();
    if (IsLetter(c)) return Name();
    if (c == '"' || c == '\'') return String();
    return Symbol();
  }

 private:
  char Peek(size_t ahead) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  Token Number() {
    const size_t start = at_;
    bool real = false;
    while (IsDigit(Peek(0))) ++at_;
    if (Peek(0) == '.') {
      real = true;
      for (++at_; IsDigit(Peek(0));) ++at_;
    }
    if (Peek(0) == 'e' || Peek(0) == 'E') {
      const size_t sign = Peek(1) == '+' || Peek(1) == '-' ? 1 : 0;
      if (IsDigit(Peek(1 + sign))) {
        real = true;
        for (at_ += 1 + sign; IsDigit(Peek(0));) ++at_;
      }
    }
    const std::string_view word = text_.substr(start, at_ - start);
    if (IsLetter(Peek(0))) {
      return Bad(start,
                 "units cannot be written here: use the plain number (a condition reads "
                 "durations in seconds)");
    }
    Token token{real ? Token::Kind::kDouble : Token::Kind::kInt, std::string(word), start};
    const char* const end = word.data() + word.size();
    const std::errc error = real ? std::from_chars(word.data(), end, token.number).ec
                                 : std::from_chars(word.data(), end, token.integer).ec;
    if (error != std::errc()) return Bad(start, "number out of range");
    return token;
  }

  Token Name() {  // dotted
    const size_t start = at_;
    while (IsLetter(Peek(0)) || IsDigit(Peek(0)) || (Peek(0) == '.' && IsLetter(Peek(1)))) ++at_;
    return {Token::Kind::kName, std::string(text_.substr(start, at_ - start)), start};
  }

  Token String() {
    const size_t start = at_;
    const size_t end = text_.find(text_[at_], at_ + 1);
    if (end == text_.npos) return Bad(start, "this string has no closing quote");
    at_ = end + 1;
    return {Token::Kind::kString, std::string(text_.substr(start + 1, end - start - 1)), start};
  }

  Token Symbol() {
    static constexpr std::array<std::string_view, 5> kPairs = {"<=", ">=", "==", "!=", "//"};
    const size_t start = at_;
    for (const std::string_view pair : kPairs) {
      if (text_.substr(at_, 2) == pair) {
        at_ += 2;
        return {Token::Kind::kSymbol, std::string(pair), start};
      }
    }
    const char c = text_[at_];
    if (c == '=') return Bad(start, "'=' is not an operator: use '=='");
    if (c == '&' || c == '|' || c == '!') {
      return Bad(start, std::string("'") + c + "' is not an operator: use and, or, not");
    }
    if (c == '^' || text_.substr(at_, 2) == "**") return Bad(start, "there is no power operator");
    if (std::string_view("+-*/%<>(),").find(c) == std::string_view::npos) {
      return Bad(start, std::string("unexpected character '") + c + "'");
    }
    ++at_;
    return {Token::Kind::kSymbol, std::string(1, c), start};
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::vector<Token> Tokenize(std::string_view text) {
  Lexer lexer(text);
  std::vector<Token> tokens;
  do {
    tokens.push_back(lexer.Next());
  } while (tokens.back().kind != Token::Kind::kEnd && tokens.back().kind != Token::Kind::kBad);
  return tokens;
}

}  // namespace kev
