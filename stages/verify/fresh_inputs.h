// Inputs that no call has seen, made for each timed call in about the time of a copy.
//
// An array is put together from pieces of values that follow its fill, each taken from a random
// place, and the lowest bits of floats are thinned out at random (towards zero, so that the fill's
// range holds): no part of an output can be kept from another call, since outputs are judged far
// below the size of those bits. So are uniform and normal fills. A sorted table gets new gaps, a
// permutation another order, and what is picked from a table is picked anew. Left out, the caller's
// to give, are constants, and values that something is picked from but a sorted table. Threads:
// const functions may run at once. Errors: kInvalid for a shape that the task cannot be evaluated
// for.
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
    return argument < sources_.size() && sources_[argument].how != How::kNot;
  }
  // Whether any is, and of so many bits of its own that no two draws can be alike.
  bool Any() const;
  // All that it makes. `arrays`, by argument: of the arrays' sizes; the others are not touched, and
  // may be empty. The same draw gives the same values.
  void Fill(uint64_t draw, const std::vector<std::span<char>>& arrays) const;

 private:
  enum class How { kNot, kPieces, kSorted, kPermuted, kPicked };
  struct Source {
    How how = How::kNot;
    std::string bytes;  // kPieces: values to take pieces from; longer than the array
    uint64_t element_bytes = 1;
    uint64_t mask = 0;   // kPieces: bits of 8 bytes that may be cleared; 0: integers
    uint64_t count = 0;  // elements of the array
    uint64_t gap = 1;    // kSorted: largest between neighbours
    uint64_t most = 0;   // kPicked: largest value of the dtype
    size_t from = 0;     // kPicked: argument, which is kSorted
    uint64_t rate = 0;   // kPicked: of those that are in the table, of 2^24
  };
  Status AddPieces(const Task& task, const Case& like, uint64_t secret_seed);
  void FillPieces(const Source& source, uint64_t state, std::span<char> to) const;
  static void FillPicked(const Source& source, uint64_t state, std::span<const char> table,
                         std::span<char> to);

  std::vector<Source> sources_;  // by argument
  std::vector<uint64_t> noise_;
};

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_FRESH_INPUTS_H_
