// What the timed calls of a measurement are given, and how what they leave is judged.
//
// A measurement knows nothing of tasks: whoever does gives it an object of this kind. Every call
// gets values that its process has not seen, so that nothing kept from an earlier call serves.
// Threads: one at a time. Errors: of Check, what keeps the judge from judging.
#ifndef KEV_RUNNERS_MEASUREMENT_CALL_VALUES_H_
#define KEV_RUNNERS_MEASUREMENT_CALL_VALUES_H_

#include <cstdint>
#include <span>
#include <string>

#include "engine/core/result.h"
#include "runners/harness/arena.h"

namespace kev {

// One call of a window: where its arrays lie, and what its values were drawn from.
struct DrawnCall {
  uint32_t slot = 0;
  uint64_t draw = 0;  // from the system's randomness: no call's values tell those of another
  uint64_t turn = 0;  // counts up from a random number, for what is used in turn
};

class CallValues {
 public:
  virtual ~CallValues() = default;
  // Before each launch: the arrays that stay the same.
  virtual void FillConstants(Arena& arena, size_t call) = 0;
  // Inputs, and poison where outputs go. The same draw gives the same values; draws of one launch
  // are all different.
  virtual void Fill(Arena& arena, size_t call, const DrawnCall& drawn) = 0;
  // How many calls can be checked at once without spending much more time than timing them; 1 at
  // least.
  virtual size_t ChecksAtOnce(size_t call) const = 0;
  // All outputs of these calls, and that their inputs are as they were: "", or what is wrong.
  virtual Result<std::string> Check(const Arena& arena, size_t call,
                                    std::span<const DrawnCall> drawn) = 0;
  // A glance that costs next to nothing: whether outputs seem to hold what they held before the
  // call. By chance they may; a Check tells.
  virtual bool SeemsUnwritten(const Arena& arena, size_t call, const DrawnCall& drawn) = 0;
};

}  // namespace kev

#endif  // KEV_RUNNERS_MEASUREMENT_CALL_VALUES_H_
