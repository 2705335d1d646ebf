// The arrays of all calls, in shared memory: several slots per call, each with its own copy of what
// changes from call to call, with a canary zone on both sides of every array.
//
// The judge maps the arena and fills and reads it while the runner processes are frozen; the
// processes of one measurement share it, so that candidate and baseline draw from the same pages.
// What a function only reads lies in a part of its own, of which no other process can ever have a
// mapping that it may write to: a kernel cannot change another's inputs, nor a canary there. Where
// arrays lie differs from slot to slot by whole cache lines. A guarded arena ends every array at a
// page that the runner process may not touch (padding to a cache line counts as its own).
// Threads: one at a time. Errors: kInvalid when a call does not fit (too many arguments, too
// large), kUnavailable when the memory cannot be had.
#ifndef KEV_RUNNERS_HARNESS_ARENA_H_
#define KEV_RUNNERS_HARNESS_ARENA_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/core/result.h"
#include "runners/harness/call.h"

namespace kev {

enum class Protection {
  kNone,    // for devices, whose runner registers all of it and brings everything back
  kInputs,  // they can only be read
  kGuards,  // the same, and every array ends at a guard page
};

class Arena {
 public:
  static constexpr uint64_t kMostBytes = uint64_t{4} << 30;

  // `slots[c]`: how many slots call c has. `seed` decides places and canaries.
  static Result<std::unique_ptr<Arena>> Make(std::vector<CallSpec> calls,
                                             std::vector<uint32_t> slots, Protection protection,
                                             uint64_t seed);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // The judge's mapping of an array; nullptr for scalars and workspaces. `slot` is passed over for
  // constants.
  char* Array(size_t call, uint32_t slot, size_t argument) const;
  // Everything that is not an array gets a new canary, arrays are overwritten: nothing that a
  // process left there reaches the next one.
  void Wipe(uint64_t seed);
  // "wrote past the end of y", or "" when all canaries around the slot's arrays, and around the
  // constants, are whole.
  std::string BrokenCanary(size_t call, uint32_t slot) const;
  // The same for the whole arena, without naming the array.
  bool AnyBrokenCanary() const;

  const std::vector<CallSpec>& calls() const { return calls_; }
  uint32_t slots(size_t call) const { return slots_[call]; }
  uint64_t bytes() const { return bytes_; }
  // Of these the first so many can only be read; the files are to be mapped one behind the other.
  uint64_t input_bytes() const { return input_bytes_; }
  int input_file() const { return files_[0]; }
  int file() const { return files_[1]; }

  // Offset of an array; 0 for what has none.
  uint64_t Offset(size_t call, uint32_t slot, size_t argument) const;
  const std::vector<uint64_t>& guards() const { return guards_; }  // offsets of guard pages

 private:
  struct Range {  // of an array
    uint64_t begin = 0;
    uint64_t end = 0;
  };
  Arena() = default;
  void Place(Protection protection, uint64_t seed);
  Range PlaceArray(uint64_t* at, uint64_t bytes, bool guarded, uint64_t jitter);
  Status MapFile(int which, const char* name, uint64_t offset, uint64_t bytes);
  void PutCanary(uint64_t begin, uint64_t end);
  bool WholeBetween(uint64_t begin, uint64_t end) const;

  std::vector<CallSpec> calls_;
  std::vector<uint32_t> slots_;
  std::vector<std::vector<uint64_t>> offsets_;  // per call: slot-major, argument-minor
  std::vector<Range> ranges_;                   // of all arrays, ascending
  std::vector<uint64_t> guards_;
  uint64_t bytes_ = 0;
  uint64_t input_bytes_ = 0;
  std::string canary_;  // one period of what lies between arrays
  int files_[2] = {-1, -1};
  char* map_ = nullptr;
};

}  // namespace kev

#endif  // KEV_RUNNERS_HARNESS_ARENA_H_
