// propose/tune: the classic autotuner. A fold of the run's history; proposals are template variants
// with parameter assignments that the run has not tried.
//
// The same history, request and seed give the same proposals. Threads: any number of jobs at a
// time; the space of a task is made once per process. Errors: a failure when history, task or blobs
// cannot be had.
#ifndef KEV_STAGES_PROPOSE_TUNE_H_
#define KEV_STAGES_PROPOSE_TUNE_H_

#include "stages/sdk/stage.h"

namespace kev {

JobResult HandleTune(const Job& job, StageContext& context);

}  // namespace kev

#endif  // KEV_STAGES_PROPOSE_TUNE_H_
