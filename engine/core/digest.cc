#include "engine/core/digest.h"

#include <bit>
#include <cstring>

namespace kev {
namespace {

uint64_t Load(const char* p) {
  uint64_t x;
  std::memcpy(&x, p, 8);
  return x;
}

uint64_t Finalise(uint64_t k) {
  k ^= k >> 33;
  k *= 0xff51afd7ed558ccdULL;
  k ^= k >> 33;
  k *= 0xc4ceb9fe1a85ec53ULL;
  k ^= k >> 33;
  return k;
}

constexpr uint64_t kC1 = 0x87c37b91114253d5ULL;
constexpr uint64_t kC2 = 0x4cf5ad432745937fULL;

uint64_t MixFirst(uint64_t k) { return std::rotl(k * kC1, 31) * kC2; }
uint64_t MixSecond(uint64_t k) { return std::rotl(k * kC2, 33) * kC1; }

}  // namespace

std::string Digest128::Hex() const {
  static const char* kHex = "0123456789abcdef";
  std::string text(32, '0');
  for (int i = 0; i < 16; ++i) {
    text[static_cast<size_t>(15 - i)] = kHex[(hi >> (4 * i)) & 15];
    text[static_cast<size_t>(31 - i)] = kHex[(lo >> (4 * i)) & 15];
  }
  return text;
}

Digest128 DigestOf(std::string_view bytes, uint64_t seed) {
  uint64_t h1 = seed;
  uint64_t h2 = seed;
  const size_t blocks = bytes.size() / 16;
  for (size_t i = 0; i < blocks; ++i) {
    h1 ^= MixFirst(Load(bytes.data() + 16 * i));
    h1 = (std::rotl(h1, 27) + h2) * 5 + 0x52dce729;
    h2 ^= MixSecond(Load(bytes.data() + 16 * i + 8));
    h2 = (std::rotl(h2, 31) + h1) * 5 + 0x38495ab5;
  }
  // The tail as two little-endian words, zero-filled.
  char tail[16] = {};
  const size_t rest = bytes.size() - 16 * blocks;
  if (rest > 0) {
    std::memcpy(tail, bytes.data() + 16 * blocks, rest);
    if (rest > 8) h2 ^= MixSecond(Load(tail + 8));
    h1 ^= MixFirst(Load(tail));
  }
  h1 ^= bytes.size();
  h2 ^= bytes.size();
  h1 += h2;
  h2 += h1;
  h1 = Finalise(h1);
  h2 = Finalise(h2);
  h1 += h2;
  h2 += h1;
  return {h1, h2};
}

}  // namespace kev
