#include "engine/core/visible_text.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>

namespace kev {
namespace {

// REQUIRES: `character` is one of UTF-8.
uint32_t CodePoint(std::string_view character) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(character[i]); };
  if (character.size() == 1) return at(0);
  uint32_t code = at(0) & (0xffu >> (character.size() + 1));
  for (size_t i = 1; i < character.size(); ++i) code = code << 6 | (at(i) & 0x3f);
  return code;
}

bool Hidden(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

}  // namespace

size_t Utf8Length(std::string_view s) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char first = at(0);
  const size_t length = first < 0x80   ? 1
                        : first < 0xc2 ? 0
                        : first < 0xe0 ? 2
                        : first < 0xf0 ? 3
                        : first < 0xf5 ? 4
                                       : 0;
  if (length == 0 || s.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what is above U+10FFFF.
  if ((first == 0xe0 && at(1) < 0xa0) || (first == 0xed && at(1) >= 0xa0) ||
      (first == 0xf0 && at(1) < 0x90) || (first == 0xf4 && at(1) >= 0x90))
    return 0;
  return length;
}

bool IsVisible(std::string_view text) {
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    if (length == 0 || Hidden(CodePoint(text.substr(0, length)))) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string Visible(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  char escape[16];
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    const uint32_t code =
        length == 0 ? static_cast<unsigned char>(text[0]) : CodePoint(text.substr(0, length));
    if (length != 0 && (code == '\n' || code == '\t' || !Hidden(code))) {
      out.append(text, 0, length);
    } else {
      std::snprintf(escape, sizeof escape, length > 1 ? "\\u{%x}" : "\\x%02x", code);
      out += escape;
    }
    text.remove_prefix(std::max<size_t>(1, length));
  }
  return out;
}

std::string VisibleLine(std::string_view text) {
  std::string line;
  for (const char c : Visible(text)) {
    if (c == '\n')
      line += "\\n";
    else
      line += c == '\t' ? ' ' : c;
  }
  return line;
}

}  // namespace kev
