// The call of a task's function for one shape, as the harness needs it.
//
// Threads: functions on values. Errors: kInvalid for a task that cannot be evaluated for a shape.
#ifndef KEV_STAGES_VERIFY_CALL_SHAPE_H_
#define KEV_STAGES_VERIFY_CALL_SHAPE_H_

#include <map>
#include <string>
#include <vector>

#include "configs/task.h"
#include "engine/core/result.h"
#include "runners/harness/call.h"

namespace kev {

// Arguments in the order of the C declaration, then what the function returns. `in_f64`: all floats
// are double, as an exact reference takes them.
Result<CallSpec> CallShape(const Task& task, const Axes& axes, bool in_f64 = false);

// The arguments of a task, and what its function returns as a last one: the order of CallShape and
// of all lists of arrays.
std::vector<const Argument*> AllArguments(const Task& task);

// The variables that are set where candidates, baselines and the reference run: the same for all of
// them.
std::map<std::string, std::string> RunEnvironment(const Task& task,
                                                  const std::map<std::string, std::string>& target);
// Shared libraries, by soname, that the task lets what it runs use.
std::vector<std::string> RunLibraries(const Task& task);

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_CALL_SHAPE_H_
