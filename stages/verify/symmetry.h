// Fresh values for timed calls: exact transformations of inputs under which the expected outputs
// follow without running the reference again.
//
// Made once for a case from its inputs and expected outputs; each draw then gives inputs that no
// call has seen and the expected values that belong to them. A permutation moves slices of every
// array that has the axis; a scale multiplies by +-2^k, with k drawn so that nothing overflows or
// becomes subnormal. Both are exact in every float dtype, so bounds of measured tolerances stay.
// Threads: plain values. Errors: kInvalid when arrays do not fit the task's shape.
#ifndef KEV_STAGES_VERIFY_SYMMETRY_H_
#define KEV_STAGES_VERIFY_SYMMETRY_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "configs/task.h"
#include "engine/core/dtype.h"
#include "engine/core/result.h"

namespace kev {

// One draw. Apply works on inputs, on outputs (to expect what a kernel will give) and on arrays of
// scales (magnitudes: the factor's sign is left out).
class FreshValues {
 public:
  // Whether the draw changes the argument called `name`.
  bool Changes(std::string_view name) const;
  // Writes the transformed array. `dtype` is that of the elements: the argument's own, or kF64 for
  // arrays of a reference in double. REQUIRES: both of the argument's size, or empty; no overlap.
  void Apply(std::string_view name, DType dtype, std::string_view from, std::span<char> to,
             bool magnitudes = false) const;

 private:
  friend class Symmetries;
  struct Step {  // of one array
    // Slices permuted along one dimension: the array is [outer][permuted][inner elements].
    uint64_t outer = 1;
    uint64_t inner = 1;
    size_t order = 0;  // index in orders_
  };
  struct Change {
    std::vector<Step> steps;
    double factor = 1;
  };
  std::vector<std::vector<uint32_t>> orders_;           // slice i comes from orders_[…][i]
  std::map<std::string, Change, std::less<>> changes_;  // by argument
};

class Symmetries {
 public:
  // Both vectors are by argument, then the returned value if there is one; "" for what is no input
  // (no output). Inputs are in their own dtype, float outputs in f64 when `outputs_in_f64`. They
  // are looked at here only.
  static Result<Symmetries> Make(const Task& task, const Axes& axes,
                                 const std::vector<std::string_view>& inputs,
                                 const std::vector<std::string_view>& outputs, bool outputs_in_f64);
  // Whether a draw can change anything at all; false: timed calls must get values in other ways.
  bool Any() const;
  FreshValues Draw(uint64_t seed) const;

 private:
  struct Layout {
    std::string name;
    std::vector<uint64_t> sizes;
    std::vector<std::string> axes;  // per dimension: the axis that it is, or ""
  };
  struct Scale {
    std::map<std::string, int> powers;
    int least = 0;  // exponents that keep every value normal and finite
    int most = 0;
  };
  struct Extent {  // exponents of an argument's values
    FloatFormat format;
    int least = 0;
    int most = 0;
  };
  using Extents = std::multimap<std::string, Extent>;
  static Status AddLayout(const Argument& argument, const Axes& axes, Symmetries* made);
  static void Narrow(Scale* scale, Extents* extents);

  std::vector<Layout> layouts_;
  std::map<std::string, uint64_t> permuted_;  // axis -> size
  std::vector<Scale> scales_;
};

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_SYMMETRY_H_
