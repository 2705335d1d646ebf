// The null stages: do nothing and say ok, with results of the real shapes, so that the frame itself
// can be measured. What they answer depends only on the job. Threads: any.
#ifndef KEV_STAGES_NULL_NULL_STAGE_H_
#define KEV_STAGES_NULL_NULL_STAGE_H_

#include <string_view>

#include "stages/sdk/stage.h"

namespace kev {

// Handler of propose/null, compile/null, verify/null, profile/null or select/null; nullptr for any
// other name.
StageHandler NullHandler(std::string_view stage);

}  // namespace kev

#endif  // KEV_STAGES_NULL_NULL_STAGE_H_
