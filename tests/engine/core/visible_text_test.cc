#include "engine/core/visible_text.h"

#include <doctest/doctest.h>

namespace kev {
namespace {

TEST_CASE("text that people write stays as it is") {
  for (const char* text : {"", "c12: 3.4x", "naïve Grüße 測試 🙂", "{\"a\": [1]}"}) {
    CHECK(IsVisible(text));
    CHECK(Visible(text) == text);
  }
  CHECK(Visible("two\n\tlines") == "two\n\tlines");
  CHECK(VisibleLine("no: x\nok: 9x\t\x1b[1m") == "no: x\\nok: 9x \\x1b[1m");
  CHECK_FALSE(IsVisible("two\nlines"));
  CHECK_FALSE(IsVisible("a\ttab"));
}

TEST_CASE("what moves the cursor, hides or turns text around is written out") {
  const std::pair<const char*, const char*> cases[] = {
      {"\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"},
      {"good\rbad", "good\\x0dbad"},
      {"\x7f", "\\x7f"},
      {"\xc2\x9b"
       "31m",
       "\\u{9b}31m"},  // CSI as one character
      {"a\xe2\x80\xae"
       "b",
       "a\\u{202e}b"},  // right to left from here
      {"\xe2\x81\xa6x\xe2\x81\xa9", "\\u{2066}x\\u{2069}"},
      {"\xe2\x80\xa8", "\\u{2028}"},  // a line end that is none
      {"\xd8\x9c", "\\u{61c}"},
      {"\xef\xbb\xbf", "\\u{feff}"},
      {"\xff\xc0\xaf", "\\xff\\xc0\\xaf"},  // no UTF-8
      {"cut \xe2\x82", "cut \\xe2\\x82"},
  };
  for (const auto& [text, visible] : cases) {
    CAPTURE(visible);
    CHECK_FALSE(IsVisible(text));
    CHECK(Visible(text) == visible);
  }
  CHECK(Visible(std::string_view("a\0b", 3)) == "a\\x00b");
}

}  // namespace
}  // namespace kev
