// Inputs that no call has seen, made for each timed call at one or two nanoseconds an element.
//
// Uniform and normal fills: every element is drawn anew, floats by the inverse of the distribution
// (linear between 4096 quantiles). A sorted table gets new gaps, a permutation another order, and
// what is picked from a table is picked anew. Values tell neither the draw nor each other
// (keyed_words.h), and only this process can make them again. Left out, the caller's to
// give, are constants, and values that something is picked from but a sorted table. Threads: const
// functions may run at once. Errors: kInvalid for a shape that the task cannot be evaluated for.
#ifndef KEV_STAGES_VERIFY_FRESH_INPUTS_H_
#define KEV_STAGES_VERIFY_FRESH_INPUTS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "configs/task.h"
#include "engine/core/result.h"
#include "stages/verify/keyed_words.h"

namespace kev {

class FreshInputs {
 public:
  // For inputs of one shape.
  static Result<FreshInputs> Make(const Task& task, const Axes& axes);

  // Whether the task's argument of this index is made afresh; the others are the caller's to give.
  bool Makes(size_t argument) const {
    return argument < sources_.size() && sources_[argument].how != How::kNot;
  }
  // Whether any is, and of so many bits of its own that no two draws can be alike.
  bool Any() const;
  // All that it makes. `arrays`, by argument: of the arrays' sizes; the others are not touched, and
  // may be empty. The same draw gives the same values, in this process.
  void Fill(uint64_t draw, const std::vector<std::span<char>>& arrays) const;

 private:
  enum class How { kNot, kReal, kOfTable, kInteger, kSorted, kPermuted, kPicked };
  struct Source {
    How how = How::kNot;
    uint64_t element_bytes = 1;
    uint64_t count = 0;             // elements of the array
    std::vector<double> quantiles;  // kReal, f64: 4097, ascending
    std::vector<float> narrow;      // kReal, f32: the same
    std::string table;              // kOfTable: 4096 elements, each as likely as another
    int64_t low = 0;                // kInteger
    uint64_t span = 1;              // kInteger: how many values
    uint64_t gap = 1;               // kSorted: largest between neighbours
    uint64_t most = 0;              // kPicked: largest value of the dtype
    size_t from = 0;                // kPicked: argument, which is kSorted
    uint64_t rate = 0;              // kPicked: of those that are in the table, of 2^24
  };
  static void SetIndependent(const Argument& argument, Source* source);
  static void FillPicked(const Source& source, KeyedWords& words, std::span<const char> table,
                         std::span<char> to);

  std::vector<Source> sources_;  // by argument
};

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_FRESH_INPUTS_H_
