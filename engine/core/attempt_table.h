// The placer's attempts: records in a pool, found by AttemptId through a flat hash table, and
// strung into intrusive lists. A record's place in the pool does not change while it lives. The
// table is never iterated: nothing may depend on the order of hashes.
//
// Threads: one at a time. Errors: none. Memory: 96 bytes an attempt and 16 to 32 for the hash.
#ifndef KEV_ENGINE_CORE_ATTEMPT_TABLE_H_
#define KEV_ENGINE_CORE_ATTEMPT_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/core/attempt_id.h"

namespace kev {

constexpr uint32_t kNoIndex = UINT32_MAX;

enum class AttemptState : uint8_t {
  kLater,   // waits for its back-off
  kReady,   // waits for a worker
  kSent,    // on a worker, not begun
  kTaken,   // begun
  kEnding,  // withdrawn or expired; the worker has not answered yet
};

struct Links {
  uint32_t prev = kNoIndex;
  uint32_t next = kNoIndex;
};

struct AttemptRecord {
  AttemptId id;
  uint32_t job_class = 0;
  uint32_t worker = kNoIndex;  // set when out
  uint64_t arrival = 0;        // order in which attempts became ready
  int64_t since_ms = 0;        // later: not before; else: could have been placed since
  int64_t begun_ms = 0;        // sent: when; taken: when; orphan: given up then
  int64_t heard_ms = 0;        // taken: when it was last heard of
  Links order;                 // in the class's list of its state
  Links on_worker;             // in the worker's list of its weight
  Links timer;                 // in one list of deadlines, while `timed`
  AttemptState state = AttemptState::kReady;
  bool solitary = false;
  bool timed = false;
  bool begun = false;  // the worker said so
  bool retracting = false;
  bool adopted = false;  // came with its worker: no rule was asked
  bool orphan = false;   // its run is gone
  bool Out() const { return state >= AttemptState::kSent; }
};

class AttemptTable {
 public:
  uint32_t Find(const AttemptId& id) const;  // kNoIndex when there is none
  uint32_t Insert(const AttemptId& id);      // not there yet
  void Erase(uint32_t index);                // in no list any more
  size_t size() const { return size_; }
  AttemptRecord& operator[](uint32_t index) { return records_[index]; }
  const AttemptRecord& operator[](uint32_t index) const { return records_[index]; }

 private:
  struct Cell {
    uint32_t hash = 0;
    uint32_t index = kNoIndex;
  };
  void Grow();
  size_t Home(uint32_t hash) const { return hash & (cells_.size() - 1); }

  std::vector<AttemptRecord> records_;
  std::vector<uint32_t> free_;
  std::vector<Cell> cells_;  // a power of two, at most half full; linear probing
  size_t size_ = 0;
};

// A doubly linked list through one of the links of the records.
template <Links AttemptRecord::* kLinks>
class AttemptList {
 public:
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  uint32_t front() const { return front_; }
  uint32_t back() const { return back_; }
  static uint32_t Next(const AttemptTable& table, uint32_t at) { return (table[at].*kLinks).next; }
  static uint32_t Prev(const AttemptTable& table, uint32_t at) { return (table[at].*kLinks).prev; }

  void PushBack(AttemptTable& table, uint32_t index) { InsertBefore(table, kNoIndex, index); }
  // kNoIndex: at the end.
  void InsertBefore(AttemptTable& table, uint32_t at, uint32_t index) {
    Links& links = table[index].*kLinks;
    links.next = at;
    links.prev = at == kNoIndex ? back_ : (table[at].*kLinks).prev;
    (links.prev == kNoIndex ? front_ : (table[links.prev].*kLinks).next) = index;
    (at == kNoIndex ? back_ : (table[at].*kLinks).prev) = index;
    ++size_;
  }
  void Erase(AttemptTable& table, uint32_t index) {
    Links& links = table[index].*kLinks;
    (links.prev == kNoIndex ? front_ : (table[links.prev].*kLinks).next) = links.next;
    (links.next == kNoIndex ? back_ : (table[links.next].*kLinks).prev) = links.prev;
    links = Links{};
    --size_;
  }

 private:
  uint32_t front_ = kNoIndex;
  uint32_t back_ = kNoIndex;
  size_t size_ = 0;
};

using OrderList = AttemptList<&AttemptRecord::order>;
using WorkerList = AttemptList<&AttemptRecord::on_worker>;
using TimerList = AttemptList<&AttemptRecord::timer>;

}  // namespace kev

#endif  // KEV_ENGINE_CORE_ATTEMPT_TABLE_H_
