// Decoding of bytes that came from outside (the wire, the log, files) into Values, with limits
// checked before anything is allocated: depth 16, 1 Mi elements, 256 MiB. Encoding is
// EncodeCanonical (engine/core/value.h).
#ifndef KEV_QUEUE_CODEC_H_
#define KEV_QUEUE_CODEC_H_

#include <string_view>

#include "engine/core/event.h"
#include "engine/core/packed.h"
#include "engine/core/result.h"
#include "engine/core/value.h"

namespace kev {

// How deep and how many; bytes are limited to 256 MiB in any case. A peer's message is held to
// kPeerLimits, its results to kResultLimits; what was committed, which holds many of those inside
// of others, to kLogLimits, so that nothing is ever accepted that cannot be read back.
struct DecodeLimits {
  size_t depth;
  uint64_t elements;
};
inline constexpr DecodeLimits kPeerLimits{16, uint64_t{1} << 20};
inline constexpr DecodeLimits kResultLimits{12, uint64_t{1} << 20};
inline constexpr DecodeLimits kLogLimits{64, uint64_t{1} << 24};
// Of one result without its blobs.
inline constexpr size_t kMostResultBytes = size_t{1} << 20;

Result<Value> Decode(std::string_view msgpack, DecodeLimits limits = kPeerLimits);
// The same checks without building anything: a view of bytes that can be trusted to be msgpack. It
// lives as long as the bytes.
Result<PackedView> CheckPacked(std::string_view msgpack, DecodeLimits limits = kPeerLimits);
Result<EventGroup> DecodeGroup(std::string_view body, std::string_view digest_hex);

}  // namespace kev

#endif  // KEV_QUEUE_CODEC_H_
