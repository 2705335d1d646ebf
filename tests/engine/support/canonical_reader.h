// Reads canonical bytes back into a Value: an independent reader for the tests, so that they need
// no codec.
//
// Threads: pure. Errors: bytes that are not one whole value give nullopt.
#ifndef KEV_TESTS_ENGINE_SUPPORT_CANONICAL_READER_H_
#define KEV_TESTS_ENGINE_SUPPORT_CANONICAL_READER_H_

#include <optional>
#include <string>
#include <string_view>

#include "engine/core/job.h"
#include "engine/core/packed.h"
#include "engine/core/value.h"

namespace kev::testing {

// A Value as bytes, to be read in place.
struct Packed {
  explicit Packed(const Value& value) : bytes(EncodeCanonical(value)) {}
  operator PackedView() const { return PackedView(bytes); }  // NOLINT
  std::string bytes;
};

std::optional<Value> ReadCanonical(std::string_view bytes);
// The job in a payload. Fails the test when it cannot be read.
Job ReadJob(std::string_view payload);

}  // namespace kev::testing

#endif  // KEV_TESTS_ENGINE_SUPPORT_CANONICAL_READER_H_
