#include "tools/live/visible_output.h"

#include <doctest/doctest.h>

#include <sstream>
#include <string>

using namespace kev;

TEST_CASE("a stream shows what is written to it, however it is cut, and ends as it was") {
  std::ostringstream out;
  {
    const VisibleOutput visible(out);
    for (const char c : std::string("Gr\xc3\xbc\xc3\x9f"
                                    "e \xf0\x9f\x99\x82\x1b[31m\n"))
      out << c;
    out << EraseLine << "then " << 5 << std::endl;
    out << "\xe2\x80" << "\xae" << "\xff" << "\xe2\x82";  // the last one never ends
  }
  CHECK(out.str() ==
        "Gr\xc3\xbc\xc3\x9f"
        "e \xf0\x9f\x99\x82\\x1b[31m\n\r\033[Kthen 5\n\\u{202e}\\xff\\xe2\\x82");
  out.str("");
  out << "\x1b[0m" << EraseLine;
  CHECK(out.str() == "\x1b[0m\r\033[K");
}
