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

Result<Value> Decode(std::string_view msgpack);
// The same checks without building anything: a view of bytes that can be trusted to be msgpack. It
// lives as long as the bytes.
Result<PackedView> CheckPacked(std::string_view msgpack);
Result<EventGroup> DecodeGroup(std::string_view body, std::string_view digest_hex);

}  // namespace kev

#endif  // KEV_QUEUE_CODEC_H_
