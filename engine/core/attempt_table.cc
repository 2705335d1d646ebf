#include "engine/core/attempt_table.h"

namespace kev {
namespace {

uint32_t Hash(const AttemptId& id) {
  uint64_t a = (uint64_t{id.run} << 32 | id.attempt) * 0x9E3779B97F4A7C15u;
  const uint64_t b =
      uint64_t{id.key.subject.number} << 32 | uint64_t{id.key.step} << 16 | uint64_t{id.key.index};
  a ^= b + static_cast<uint64_t>(id.key.subject.kind);
  // The finaliser of MurmurHash3 (Appleby 2011).
  a ^= a >> 33;
  a *= 0xFF51AFD7ED558CCDu;
  a ^= a >> 33;
  a *= 0xC4CEB9FE1A85EC53u;
  return static_cast<uint32_t>(a >> 32);
}

}  // namespace

uint32_t AttemptTable::Find(const AttemptId& id) const {
  if (cells_.empty()) return kNoIndex;
  const uint32_t hash = Hash(id);
  for (size_t at = Home(hash); cells_[at].index != kNoIndex; at = (at + 1) & (cells_.size() - 1)) {
    if (cells_[at].hash == hash && records_[cells_[at].index].id == id) return cells_[at].index;
  }
  return kNoIndex;
}

uint32_t AttemptTable::Insert(const AttemptId& id) {
  if ((size_ + 1) * 2 > cells_.size()) Grow();
  uint32_t index;
  if (free_.empty()) {
    index = static_cast<uint32_t>(records_.size());
    records_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
    records_[index] = AttemptRecord{};
  }
  records_[index].id = id;
  const uint32_t hash = Hash(id);
  size_t at = Home(hash);
  while (cells_[at].index != kNoIndex) at = (at + 1) & (cells_.size() - 1);
  cells_[at] = {hash, index};
  ++size_;
  return index;
}

void AttemptTable::Erase(uint32_t index) {
  const size_t mask = cells_.size() - 1;
  size_t hole = Home(Hash(records_[index].id));
  while (cells_[hole].index != index) hole = (hole + 1) & mask;
  // Those behind move up, so that no search ends at the hole (Knuth 6.4, algorithm R).
  for (size_t at = (hole + 1) & mask; cells_[at].index != kNoIndex; at = (at + 1) & mask) {
    const size_t home = Home(cells_[at].hash);
    if (((at - home) & mask) < ((at - hole) & mask)) continue;
    cells_[hole] = cells_[at];
    hole = at;
  }
  cells_[hole] = Cell{};
  free_.push_back(index);
  --size_;
}

void AttemptTable::Grow() {
  std::vector<Cell> old = std::move(cells_);
  cells_.assign(old.empty() ? 64 : old.size() * 2, Cell{});
  for (const Cell& cell : old) {
    if (cell.index == kNoIndex) continue;
    size_t at = Home(cell.hash);
    while (cells_[at].index != kNoIndex) at = (at + 1) & (cells_.size() - 1);
    cells_[at] = cell;
  }
}

}  // namespace kev
