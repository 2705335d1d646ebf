// What kevolve-count reads: one call of a function, with the inputs' bytes. Written and read by the
// same build, so there is no version.
//
// A file is a CountedCall, then for each argument its ArgumentForm followed, for an array or a
// constant that is read, by its bytes. Threads: plain values. Errors: none.
#ifndef KEV_RUNNERS_ANALYSIS_COUNTED_CALL_H_
#define KEV_RUNNERS_ANALYSIS_COUNTED_CALL_H_

#include <cstdint>

#include "runners/harness/protocol.h"

namespace kev::harness {

struct CountedCall {
  uint32_t calls = 1;
  uint32_t arguments = 0;  // what the function returns is the last
  PassedAs returns = PassedAs::kNothing;
  uint64_t setup_arguments = 0;  // bit set of those that the set-up function takes
};

}  // namespace kev::harness

#endif  // KEV_RUNNERS_ANALYSIS_COUNTED_CALL_H_
