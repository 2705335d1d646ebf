// Twins: which number was the first to have a digest, for a million of them.
//
// A hash table of positions in a list of entries: 24 bytes and a slot each, half of what a node of
// std::unordered_map takes. Threads: plain values. Errors: none.
#ifndef KEV_ENGINE_CORE_TWINS_H_
#define KEV_ENGINE_CORE_TWINS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "engine/core/digest.h"

namespace kev {

class Twins {
 public:
  struct Entry {
    Digest128 digest;
    uint32_t number = 0;
  };

  // The number that `digest` was first given for; `number` itself when it is new.
  uint32_t First(const Digest128& digest, uint32_t number) {
    if ((entries_.size() + 1) * 4 > slots_.size() * 3) Grow();
    for (size_t at = digest.lo & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
      uint32_t& slot = slots_[at];
      if (slot == 0) {
        entries_.push_back({digest, number});
        slot = static_cast<uint32_t>(entries_.size());
        return number;
      }
      if (entries_[slot - 1].digest == digest) return entries_[slot - 1].number;
    }
  }
  // In the order in which they came.
  const std::deque<Entry>& entries() const { return entries_; }

 private:
  void Grow() {
    slots_.assign(slots_.empty() ? 16 : slots_.size() * 2, 0);
    for (uint32_t i = 0; i < entries_.size(); ++i) {
      size_t at = entries_[i].digest.lo & (slots_.size() - 1);
      while (slots_[at] != 0) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = i + 1;
    }
  }

  std::deque<Entry> entries_;
  std::vector<uint32_t> slots_;  // position in entries_ + 1; 0: free. A power of two of them.
};

}  // namespace kev

#endif  // KEV_ENGINE_CORE_TWINS_H_
