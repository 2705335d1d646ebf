// Stands in a kernel's filter for the number of the process that loads it, which is not known when
// the filter is built. Larger than any process number.
#ifndef KEV_RUNNERS_SANDBOX_OWN_PROCESS_MARK_H_
#define KEV_RUNNERS_SANDBOX_OWN_PROCESS_MARK_H_

#include <cstdint>

namespace kev {

constexpr uint32_t kOwnProcessMark = 0x7e6b6576;

}  // namespace kev

#endif  // KEV_RUNNERS_SANDBOX_OWN_PROCESS_MARK_H_
