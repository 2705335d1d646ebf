// Inputs that no call has seen, made for each timed call in about the time of a copy.
//
// An array is put together from pieces of values that follow its fill, each taken from a random
// place, and the lowest bits of floats are thinned out at random (towards zero, so that the fill's
// range holds): no part of an output can be kept from another call, since outputs are judged far
// below the size of those bits. Only inputs whose elements are independent of each other and of
// other arguments are made so: uniform and normal fills. Threads: const functions may run at once.
// Errors: kInvalid for a shape that the task cannot be evaluated for.
#ifndef KEV_STAGES_VERIFY_FRESH_INPUTS_H_
#define KEV_STAGES_VERIFY_FRESH_INPUTS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "configs/task.h"
#include "engine/core/result.h"
#include "stages/verify/cases.h"

namespace kev {

class FreshInputs {
 public:
  // For inputs of the shape of `like`; its seed and the next ones give the values that pieces are
  // taken from.
  static Result<FreshInputs> Make(const Task& task, const Case& like, uint64_t secret_seed);

  // Whether the task's argument of this index is made afresh; the others are the caller's to give.
  bool Makes(size_t argument) const {
    return argument < sources_.size() && !sources_[argument].bytes.empty();
  }
  // Whether any is, and with bits of its own, so that no two draws can be alike.
  bool Any() const;
  // The same draw gives the same values. REQUIRES: Makes(argument), `to` of the array's size.
  void Fill(uint64_t draw, size_t argument, std::span<char> to) const;

 private:
  struct Source {
    std::string bytes;  // values to take pieces from; longer than the array
    uint64_t element_bytes = 1;
    uint64_t mask = 0;  // bits of 8 bytes that may be cleared; 0: integers
  };
  std::vector<Source> sources_;  // by argument; empty where nothing is made
  std::vector<uint64_t> noise_;
};

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_FRESH_INPUTS_H_
