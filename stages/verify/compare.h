// Compares an array that a kernel gave with the expected one, element by element.
//
// Integers must be equal. Floats may differ by atol + rtol * |expected|; infinities must be the
// same, and a NaN is right only where a NaN is expected. Threads: functions on values. Errors:
// none.
#ifndef KEV_STAGES_VERIFY_COMPARE_H_
#define KEV_STAGES_VERIFY_COMPARE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "configs/task.h"

namespace kev {

struct Comparison {
  uint64_t elements = 0;
  uint64_t wrong = 0;
  uint64_t first_wrong = 0;  // index of an element; meaningful when wrong > 0
  double worst_error =
      0;            // as a multiple of what the tolerance allows; kHopeless where none is allowed
  std::string got;  // of the first wrong element, as text
  std::string expected;
};
inline constexpr double kHopeless = 1e300;

// REQUIRES: both arrays are of the same size.
Comparison Compare(DType dtype, std::string_view got, std::string_view expected,
                   Tolerance tolerance);

// "[3,17]" for the index of an element in a row-major array.
std::string IndexText(uint64_t index, const std::vector<uint64_t>& dims);

// Number of elements whose bits differ.
uint64_t BitDifferences(DType dtype, std::string_view a, std::string_view b);

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_COMPARE_H_
