// The select stage: free places and the run so far in, wishes for the propose steps out.
//
// Policies: greedy (parents: the best, every second time one of the next best) and elites (parents
// drawn by rank from the best `elites`). The same history, places and seed give the same answer.
// Threads: any number of jobs at a time. Errors: a failure when the history or the run cannot be
// had.
#ifndef KEV_STAGES_SELECT_SELECT_H_
#define KEV_STAGES_SELECT_SELECT_H_

#include "stages/sdk/stage.h"

namespace kev {

JobResult HandleSelect(const Job& job, StageContext& context);

}  // namespace kev

#endif  // KEV_STAGES_SELECT_SELECT_H_
