// How wrong an output is: statistics of its elements' errors, small enough for a record or a
// prompt.
//
// Errors are told in two units. `ulp`: of the dtype's epsilon times the element's scale (measured
// tolerance), of the ulp at the expected value (fixed tolerance), of 1 (integers). `of_allowed`:
// multiples of what the tolerance allows; above 1 is refused, but for the share that a fixed
// tolerance lets go. Threads: plain values. Errors: none.
#ifndef KEV_STAGES_VERIFY_ERROR_STATISTICS_H_
#define KEV_STAGES_VERIFY_ERROR_STATISTICS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/value.h"

namespace kev {

inline constexpr double kHopelessError = 1e300;  // where no error is finite, or none is allowed

struct Quantiles {
  double median = 0;
  double p999 = 0;
  double max = 0;
  bool operator==(const Quantiles&) const = default;
};

struct ErrorStatistics {
  bool accepted = false;
  std::string reason;  // why not: "the median error is 812 ulp, allowed are 2"
  uint64_t elements = 0;
  uint64_t wrong = 0;      // elements beyond what any single one may have, or not comparable
  uint64_t nonfinite = 0;  // of those: NaN or infinity where another value is expected, or missing
  Quantiles ulp;
  Quantiles of_allowed;
  uint64_t worst = 0;    // index of the element with the largest error
  std::string expected;  // that element, as text
  std::string got;
  double zeros = 0;   // share of elements that are zero where something else is expected
  double poison = 0;  // share that still holds what the judge had put there
};

// A map of numbers and short texts; `dims` give the worst element's place as "[3,17]".
Value ToValue(const ErrorStatistics& statistics, const std::vector<uint64_t>& dims);

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_ERROR_STATISTICS_H_
