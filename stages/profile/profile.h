// The profile stage: how fast a candidate is against the task's strongest baseline, with an
// interval.
//
// Takes artefacts with the roles candidate, baseline (one or more, named) and, if there is one,
// incumbent. Measures on the target's core, which one profile job of the whole machine holds at a
// time. Threads: the handler may be called on several threads for different jobs. Errors: Failure
// kTaskBroken when a baseline cannot be run.
#ifndef KEV_STAGES_PROFILE_PROFILE_H_
#define KEV_STAGES_PROFILE_PROFILE_H_

#include "stages/sdk/stage.h"

namespace kev {

JobResult HandleProfile(const Job& job, StageContext& context);

}  // namespace kev

#endif  // KEV_STAGES_PROFILE_PROFILE_H_
