// The arrays of one or more calls, laid out in one shared-memory region with red zones around each.
//
// The judge fills inputs and poisons outputs in the image, writes it into the runner process's
// memfd, and afterwards reads the region back to look for broken red zones and changed inputs.
// Threads: a plain value. Errors: kInvalid when a call does not fit (too many arguments, too
// large).
#ifndef KEV_RUNNERS_HARNESS_REGION_H_
#define KEV_RUNNERS_HARNESS_REGION_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/result.h"
#include "runners/harness/protocol.h"

namespace kev {

using ElementType = harness::Element;
uint32_t SizeOf(ElementType type);  // bytes

// One call, as the function sees it: arrays as pointers, scalars as int64_t, in order.
struct CallArgument {
  enum class Kind { kIn, kOut, kInOut, kScalar } kind = Kind::kScalar;
  std::string name;
  ElementType type = ElementType::kF32;
  uint64_t count = 0;  // elements
  int64_t scalar = 0;
};
struct CallSpec {
  std::vector<CallArgument> arguments;
};

class RegionImage {
 public:
  // Outputs hold plausible random values, inputs zeros, red zones a pattern; all follow from
  // `seed`.
  static Result<RegionImage> Make(std::vector<CallSpec> calls, uint64_t seed);

  // REQUIRES: argument is an array.
  char* MutableArray(size_t call, size_t argument);
  std::string_view Array(size_t call, size_t argument) const {
    return Array(bytes_, call, argument);
  }
  // The same array in a region that was read back.
  std::string_view Array(const std::string& region, size_t call, size_t argument) const;
  // Other poison for the outputs.
  void PoisonOutputs(uint64_t seed);

  const std::vector<CallSpec>& calls() const { return calls_; }
  const std::string& bytes() const { return bytes_; }
  harness::ArgumentSlot Slot(size_t call, size_t argument) const;

  // What a call did that it must not do: wrote outside an array or changed an input. "" when
  // neither.
  std::string Violation(const std::string& region, size_t call) const;

 private:
  std::vector<CallSpec> calls_;
  std::vector<std::vector<uint64_t>> offsets_;  // per call and argument; 0 for scalars
  std::string bytes_;
};

}  // namespace kev

#endif  // KEV_RUNNERS_HARNESS_REGION_H_
