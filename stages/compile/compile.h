// The compile stage: source and target in, artefact out.
//
// Runs the target's compiler in the attempt's scratch folder as a bounded child, and keeps what it
// gave in a cache by content. Threads: any number of jobs at a time. Errors: a compile error, a
// time-out or a missing function is a verdict; a missing compiler or a build that the task does not
// describe is a failure.
#ifndef KEV_STAGES_COMPILE_COMPILE_H_
#define KEV_STAGES_COMPILE_COMPILE_H_

#include "stages/sdk/stage.h"

namespace kev {

JobResult HandleCompile(const Job& job, StageContext& context);

}  // namespace kev

#endif  // KEV_STAGES_COMPILE_COMPILE_H_
