// Text of others, before people read it: nothing in it may move the cursor, hide or turn around
// what stands beside it. Meant are control characters (C0, DEL, C1), those that change the
// direction of writing, line and paragraph separators, and bytes that are no UTF-8.
//
// Threads: pure functions. Errors: none.
#ifndef KEV_ENGINE_CORE_VISIBLE_TEXT_H_
#define KEV_ENGINE_CORE_VISIBLE_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace kev {

// Bytes of the UTF-8 character that `s` begins with; 0: it begins with none. REQUIRES: not empty.
size_t Utf8Length(std::string_view s);

// Whether nothing in it must be replaced; line ends and tabs must.
bool IsVisible(std::string_view text);

// With \x1b and \u{202e} for what must not be shown as it is. Line ends and tabs stay.
std::string Visible(std::string_view text);
// The same in one line: with \n for a line end and a space for a tab.
std::string VisibleLine(std::string_view text);

}  // namespace kev

#endif  // KEV_ENGINE_CORE_VISIBLE_TEXT_H_
