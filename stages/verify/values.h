// What a kernel is given: the inputs of a case, and the same for a reference in double.
//
// Values follow from (secret seed, workload, seed, value class) alone. Classes bend the values of
// floating-point and integer inputs that have a uniform or normal fill; what a fill's range rules
// out (negative values of a range from 0 up) stays ruled out. Structured fills (sorted_unique,
// permutation, pick_from, zeros, ones) are the same in every class. configs/tasks/README.md says
// what each class is. Threads: functions on values. Errors: kInvalid for a shape that the task
// cannot be evaluated for, or arrays that do not fit it.
#ifndef KEV_STAGES_VERIFY_VALUES_H_
#define KEV_STAGES_VERIFY_VALUES_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "configs/task.h"
#include "engine/core/result.h"
#include "stages/verify/cases.h"

namespace kev {

// One array's bytes per argument of the task, in its order; "" for what is none.
using Arrays = std::vector<std::string>;

// The least and the largest finite value of a dtype, as near as a double comes.
struct Limits {
  double least;
  double most;
};
Limits LimitsOf(DType dtype);

// Fills the in and inout arrays; spans of other arguments are left alone (they may be empty).
// REQUIRES: one span per argument, of ElementCount * SizeOf bytes where it is an input.
Status FillInputs(const Task& task, const Case& one, uint64_t secret_seed,
                  const std::vector<std::span<char>>& arrays);
// The same, in arrays of its own.
Result<Arrays> InputArrays(const Task& task, const Case& one, uint64_t secret_seed);

// The dtype that the reference in double has for `argument`: f64 for floats, its own for the rest.
DType ReferenceDType(const Argument& argument);
// `bytes` of an input as that reference takes them, exactly; or, for the condition scale
// (MeasuredTolerance::kAbsolute), their absolute values.
std::string ReferenceInput(const Argument& argument, std::string_view bytes, bool absolute = false);

// What the seeds of a task's value classes are called in messages: "attention, seed 1, denormal".
std::string CaseText(const Case& one);

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_VALUES_H_
