// A 128-bit digest for comparing what the core derived (MurmurHash3 x64 128, Appleby 2011). Not for
// security: blobs are named by SHA-256 (queue/).
#ifndef KEV_ENGINE_CORE_DIGEST_H_
#define KEV_ENGINE_CORE_DIGEST_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace kev {

struct Digest128 {
  uint64_t lo = 0;
  uint64_t hi = 0;
  bool operator==(const Digest128&) const = default;
  auto operator<=>(const Digest128&) const = default;
  std::string Hex() const;  // 32 lower-case hexadecimal digits
};

Digest128 DigestOf(std::string_view bytes, uint64_t seed = 0);

}  // namespace kev

#endif  // KEV_ENGINE_CORE_DIGEST_H_
