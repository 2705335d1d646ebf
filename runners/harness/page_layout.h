// Where things lie in the memory file that judge and runner process share for orders. Threads: pure
// functions. Errors: none.
#ifndef KEV_RUNNERS_HARNESS_PAGE_LAYOUT_H_
#define KEV_RUNNERS_HARNESS_PAGE_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runners/harness/arena.h"

namespace kev {

// The order page, and behind it one table of offsets per call, the list of guard pages and the
// filter of system calls.
struct PageLayout {
  std::vector<uint64_t> tables;
  uint64_t guards = 0;
  uint64_t filter = 0;
  uint64_t bytes = 0;
};

PageLayout LayoutFor(const Arena& arena, size_t filter_bytes);
// The tables and the guard pages; `page` has layout.bytes.
void WriteTables(const Arena& arena, const PageLayout& layout, char* page);

}  // namespace kev

#endif  // KEV_RUNNERS_HARNESS_PAGE_LAYOUT_H_
