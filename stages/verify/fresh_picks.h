// What a fill that picks from a table gives for a timed call, in a few nanoseconds an element.
//
// As the first fill has it (values.h): values of the table at some rate, else values that are not
// in it, from 8 below its least to 8 above its largest; where hardly any are not, one that is.
// Threads: functions on values.
#ifndef KEV_STAGES_VERIFY_FRESH_PICKS_H_
#define KEV_STAGES_VERIFY_FRESH_PICKS_H_

#include <cstdint>
#include <span>

#include "engine/core/dtype.h"
#include "runners/measurement/keyed_words.h"

namespace kev {

struct Picking {
  DType dtype = DType::kF32;  // of the table and of what is picked
  uint64_t rate = 0;          // of those that are in the table, of 2^24
};

// From a table of integers from 0 up, ascending without repeats.
void PickFromSorted(const Picking& picking, std::span<const char> table, KeyedWords& words,
                    std::span<char> to);
// From any table.
void PickFromAny(const Picking& picking, std::span<const char> table, KeyedWords& words,
                 std::span<char> to);

// The largest value of an integer dtype.
uint64_t LargestInteger(DType dtype);

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_FRESH_PICKS_H_
