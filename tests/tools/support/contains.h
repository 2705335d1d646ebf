// What a program's output must hold.
#ifndef KEV_TESTS_TOOLS_SUPPORT_CONTAINS_H_
#define KEV_TESTS_TOOLS_SUPPORT_CONTAINS_H_

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>

namespace kev::test {

inline void Contains(const std::string& text, std::initializer_list<const char*> parts) {
  for (const char* part : parts) CHECK_MESSAGE(text.find(part) != std::string::npos, text);
}

}  // namespace kev::test

#endif  // KEV_TESTS_TOOLS_SUPPORT_CONTAINS_H_
