// Twins: which number was the first to have a digest, for a million of them.
//
// A hash table of positions in a list of entries: 20 bytes and a slot of 4 each, half of what a
// node of std::unordered_map takes. Threads: plain values. Errors: none.
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
  struct Entry {  // words, so that it takes 20 bytes and not 24
    uint32_t words[4] = {};
    uint32_t number = 0;
    Digest128 digest() const {
      return {uint64_t{words[1]} << 32 | words[0], uint64_t{words[3]} << 32 | words[2]};
    }
  };

  // The number that `digest` was first given for; `number` itself when it is new.
  uint32_t First(const Digest128& digest, uint32_t number) {
    if ((entries_.size() + 1) * 4 > slots_.size() * 3)
      Grow(slots_.empty() ? 16 : slots_.size() * 2);
    uint32_t& slot = slots_[Place(digest)];
    if (slot != 0) return entries_[slot - 1].number;
    entries_.push_back({{static_cast<uint32_t>(digest.lo), static_cast<uint32_t>(digest.lo >> 32),
                         static_cast<uint32_t>(digest.hi), static_cast<uint32_t>(digest.hi >> 32)},
                        number});
    slot = static_cast<uint32_t>(entries_.size());
    return number;
  }
  // Makes room for that many.
  void Expect(size_t count) {
    size_t slots = 16;
    while (count * 4 > slots * 3) slots *= 2;
    if (slots > slots_.size()) Grow(slots);
  }
  // In the order in which they came.
  const std::deque<Entry>& entries() const { return entries_; }

 private:
  // Of the slot that has `digest`, or of the free one where it belongs.
  size_t Place(const Digest128& digest) const {
    size_t at = digest.lo & (slots_.size() - 1);
    while (slots_[at] != 0 && entries_[slots_[at] - 1].digest() != digest)
      at = (at + 1) & (slots_.size() - 1);
    return at;
  }
  void Grow(size_t slots) {
    slots_.assign(slots, 0);
    for (size_t i = 0; i < entries_.size(); ++i)
      slots_[Place(entries_[i].digest())] = static_cast<uint32_t>(i + 1);
  }

  std::deque<Entry> entries_;
  std::vector<uint32_t> slots_;  // position in entries_ + 1; 0: free. A power of two of them.
};

}  // namespace kev

#endif  // KEV_ENGINE_CORE_TWINS_H_
