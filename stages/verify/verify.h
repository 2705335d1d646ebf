// The verify stage: a candidate's outputs against those of the reference, computed in another
// process.
//
// The candidate never sees an expected value: it gets inputs in shared memory, is called, and what
// it left there is compared here. Takes artefacts with the roles candidate and reference; a
// prepared baseline is checked the same way. Threads: the handler may be called on several threads
// for different jobs. Errors: Failure kTaskBroken when the reference itself fails.
#ifndef KEV_STAGES_VERIFY_VERIFY_H_
#define KEV_STAGES_VERIFY_VERIFY_H_

#include "stages/sdk/stage.h"

namespace kev {

JobResult HandleVerify(const Job& job, StageContext& context);

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_VERIFY_H_
