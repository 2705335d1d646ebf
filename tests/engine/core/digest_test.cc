#include "engine/core/digest.h"

#include <doctest/doctest.h>

#include <set>

namespace kev {
namespace {

TEST_CASE("digests are those of MurmurHash3 x64 128") {
  // Made with an implementation written from the published description, byte by byte; those of ""
  // and "hello" are also the published ones. lo is the first 64-bit word, hi the second.
  struct Known {
    const char* text;
    uint64_t seed, lo, hi;
  };
  const Known known[] = {
      {"", 0, 0, 0},
      {"hello", 0, 0xcbd8a7b341bd9b02, 0x5b1e906a48ae1d19},
      {"hello", 42, 0xc4b8b3c960af6f08, 0x2334b875b0efbc7a},
      {"hello, world", 0, 0x342fac623a5ebc8e, 0x4cdcbc079642414d},
      {"12345678", 1, 0x56fe5fc4f894da5e, 0xc8a305e4eb9b56db},
      {"123456789", 1, 0xf16b761fe114e80b, 0xbe5f6ae246129f16},
      {"0123456789abcdef", 0, 0x4be06d94cf4ad1a7, 0x87c35b5c63a708da},
      {"0123456789abcdefg", 7, 0x792d7b2ed7b034ea, 0x139764e0c8b00f0c},
      {"The quick brown fox jumps over the lazy dog", 0, 0xe34bbc7bbc071b6c, 0x7a433ca9c49a9347},
  };
  for (const Known& k : known) {
    CAPTURE(k.text);
    CHECK(DigestOf(k.text, k.seed) == Digest128{k.lo, k.hi});
  }
}

TEST_CASE("the hexadecimal form has 32 digits, the high word first") {
  CHECK(Digest128{0x1, 0xab00000000000000}.Hex() == "ab000000000000000000000000000001");
}

TEST_CASE("a change of any byte changes the digest") {
  std::set<Digest128> seen;
  for (size_t length = 0; length < 40; ++length) {
    std::string text(length, 'a');
    seen.insert(DigestOf(text));
    for (size_t i = 0; i < length; ++i) {
      text[i] = 'b';
      seen.insert(DigestOf(text));
      text[i] = 'a';
    }
  }
  CHECK(seen.size() == 40 + 39 * 40 / 2);
}

}  // namespace
}  // namespace kev
