// Inputs that no call has seen, made for each timed call at one to some nanoseconds an element.
//
// Uniform and normal fills: every element is drawn anew, floats by the inverse of the distribution
// (linear between 4096 quantiles). A sorted table gets new gaps, a permutation another order, and
// what is picked from a table is picked anew. Values tell neither the draw nor each other
// (KeyedWords), and only this process can make them again. Left out, the caller's to
// give, are constants, and integers of a range beyond 2^62. Threads: const functions may run at
// once. Errors: kInvalid for a shape that the task cannot be evaluated for.
#ifndef KEV_STAGES_VERIFY_FRESH_INPUTS_H_
#define KEV_STAGES_VERIFY_FRESH_INPUTS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "configs/task.h"
#include "engine/core/result.h"
#include "stages/verify/fresh_picks.h"
#include "stages/verify/values.h"

namespace kev {

class FreshInputs {
 public:
  // For inputs of one shape.
  static Result<FreshInputs> Make(const Task& task, const Axes& axes);

  // Whether the task's argument of this index is made afresh; the others are the caller's to give.
  bool Makes(size_t argument) const {
    return argument < sources_.size() && sources_[argument].how != How::kNot;
  }
  // Whether all are that differ between calls, since what stays as it was could be known again, and
  // any of so many bits of its own that no two draws can be alike.
  bool Any() const;
  // All that it makes. `arrays`, by argument: of the arrays' sizes; the others are not touched, and
  // may be empty. `given`, by argument: what constants hold, and fills without chance; not looked
  // at where nothing is picked from one. The same draw gives the same values, in this process.
  void Fill(uint64_t draw, const std::vector<std::span<char>>& arrays,
            const Arrays& given = {}) const;

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
    uint64_t span = 1;              // kInteger, kPicked: of how many values
    uint64_t gap = 1;               // kSorted: largest between neighbours
    size_t from = 0;                // kPicked: argument
    bool from_given = false;        // kPicked: it is not made afresh
    Picking picking;                // kPicked
  };
  static void SetIndependent(const Argument& argument, Source* source);
  static void SetSource(const Argument& argument, Source* source);
  void SetPicked(const Task& task, const Argument& argument, Source* source) const;

  std::vector<Source> sources_;  // by argument
  bool all_ = true;              // that differ between calls are made
};

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_FRESH_INPUTS_H_
