// What a kernel's function is called with: the shape of one call, without values.
//
// Arrays that change from call to call exist once per slot of an arena, so that each timed call can
// have its own. Threads: plain values.
#ifndef KEV_RUNNERS_HARNESS_CALL_H_
#define KEV_RUNNERS_HARNESS_CALL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "runners/harness/protocol.h"

namespace kev {

using PassedAs = harness::PassedAs;

struct CallArgument {
  enum class Kind {
    kIn,
    kOut,
    kInOut,
    kConstant,   // input that is the same in all calls of a process, such as weights
    kWorkspace,  // memory of the process, kept from set-up to tear-down, undefined at first
    kScalar,
    kReturn,  // what the function returns, as an array of one element; last, at most one
  } kind = Kind::kScalar;
  std::string name;
  PassedAs as = PassedAs::kPointer;  // scalars, and what is returned
  uint32_t element_bytes = 1;        // arrays
  uint64_t count = 0;                // elements of an array
  uint64_t bits = 0;                 // of a scalar, in the low bytes
  bool in_setup = false;             // passed to set-up and tear-down too

  uint64_t bytes() const { return count * element_bytes; }
  // Has a copy in each slot.
  bool per_slot() const {
    return kind == Kind::kIn || kind == Kind::kOut || kind == Kind::kInOut || kind == Kind::kReturn;
  }
  bool output() const {
    return kind == Kind::kOut || kind == Kind::kInOut || kind == Kind::kReturn;
  }
  bool input() const { return kind == Kind::kIn || kind == Kind::kInOut; }
};

struct CallSpec {
  std::vector<CallArgument> arguments;  // in the order of the C declaration
  // Bytes of the arrays of one slot.
  uint64_t slot_bytes() const {
    uint64_t sum = 0;
    for (const CallArgument& argument : arguments)
      sum += argument.per_slot() ? argument.bytes() : 0;
    return sum;
  }
};

}  // namespace kev

#endif  // KEV_RUNNERS_HARNESS_CALL_H_
