#include "runners/harness/page_layout.h"

#include <cstring>

#include "runners/harness/protocol.h"

namespace kev {

PageLayout LayoutFor(const Arena& arena, size_t filter_bytes) {
  PageLayout layout;
  uint64_t at = sizeof(harness::OrderPage);
  for (size_t c = 0; c < arena.calls().size(); ++c) {
    layout.tables.push_back(at);
    at += uint64_t{arena.slots(c)} * arena.calls()[c].arguments.size() * sizeof(uint64_t);
  }
  layout.guards = at;
  layout.filter = at + arena.guards().size() * sizeof(uint64_t);
  layout.bytes = layout.filter + filter_bytes;
  return layout;
}

void WriteTables(const Arena& arena, const PageLayout& layout, char* page) {
  for (size_t c = 0; c < arena.calls().size(); ++c) {
    auto* table = reinterpret_cast<uint64_t*>(page + layout.tables[c]);
    for (uint32_t s = 0; s < arena.slots(c); ++s) {
      for (size_t a = 0; a < arena.calls()[c].arguments.size(); ++a)
        *table++ = arena.Offset(c, s, a);
    }
  }
  if (!arena.guards().empty())
    std::memcpy(page + layout.guards, arena.guards().data(),
                arena.guards().size() * sizeof(uint64_t));
}

}  // namespace kev
