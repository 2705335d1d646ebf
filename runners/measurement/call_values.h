// What the timed calls of a measurement are given, and how what they leave is judged.
//
// A measurement knows nothing of tasks: whoever does gives it an object of this kind. Every call
// gets values that its process has not seen, so that nothing kept from an earlier call serves.
// Threads: one at a time. Errors: "" is good, anything else says what is wrong with a call.
#ifndef KEV_RUNNERS_MEASUREMENT_CALL_VALUES_H_
#define KEV_RUNNERS_MEASUREMENT_CALL_VALUES_H_

#include <cstdint>
#include <string>

#include "runners/harness/arena.h"

namespace kev {

class CallValues {
 public:
  virtual ~CallValues() = default;
  // Before each launch: the arrays that stay the same.
  virtual void FillConstants(Arena& arena, size_t call) = 0;
  // Inputs, and poison where outputs go. The same draw gives the same values; draws of one launch
  // are all different.
  virtual void Fill(Arena& arena, size_t call, uint32_t slot, uint64_t draw) = 0;
  // All outputs, and that inputs are as they were.
  virtual std::string Check(const Arena& arena, size_t call, uint32_t slot, uint64_t draw) = 0;
};

}  // namespace kev

#endif  // KEV_RUNNERS_MEASUREMENT_CALL_VALUES_H_
