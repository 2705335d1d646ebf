#include "queue/attempt_set.h"

#include <functional>

#include "engine/core/random.h"

namespace kev {

uint64_t Fingerprint(const std::string& run, const JobKey& key, uint32_t attempt) {
  const uint64_t a = static_cast<uint64_t>(key.subject.number) << 32 |
                     static_cast<uint64_t>(key.step) << 16 | key.index;
  const uint64_t b = static_cast<uint64_t>(attempt) << 8 | static_cast<uint64_t>(key.subject.kind);
  const uint64_t hash = Mix64(Mix64(a) ^ b) ^ std::hash<std::string>{}(run);
  return hash == 0 ? 1 : hash;
}

size_t AttemptSet::Find(uint64_t fingerprint) const {
  const size_t mask = table_.size() - 1;
  size_t at = static_cast<size_t>(fingerprint) & mask;
  while (table_[at] != 0 && table_[at] != fingerprint) at = (at + 1) & mask;
  return at;
}

void AttemptSet::Add(uint64_t fingerprint) {
  if (table_.size() < 2 * (size_ + 1)) {
    std::vector<uint64_t> old(table_.empty() ? 64 : 2 * table_.size());
    old.swap(table_);
    for (const uint64_t f : old) {
      if (f != 0) table_[Find(f)] = f;
    }
  }
  uint64_t& place = table_[Find(fingerprint)];
  if (place != 0) return;
  place = fingerprint;
  ++size_;
}

bool AttemptSet::Contains(uint64_t fingerprint) const {
  return size_ > 0 && table_[Find(fingerprint)] == fingerprint;
}

// What follows moves up into the gap, so that no search ends before its goal (Knuth 6.4, R).
bool AttemptSet::Remove(uint64_t fingerprint) {
  if (!Contains(fingerprint)) return false;
  const size_t mask = table_.size() - 1;
  size_t gap = Find(fingerprint);
  for (size_t at = (gap + 1) & mask; table_[at] != 0; at = (at + 1) & mask) {
    const size_t home = static_cast<size_t>(table_[at]) & mask;
    if (((at - home) & mask) < ((at - gap) & mask)) continue;
    table_[gap] = table_[at];
    gap = at;
  }
  table_[gap] = 0;
  --size_;
  return true;
}

}  // namespace kev
