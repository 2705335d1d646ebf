// AttemptId: the name of one numbered right to do a job, unique over all runs of an engine.
//
// Threads: plain value.
#ifndef KEV_ENGINE_CORE_ATTEMPT_ID_H_
#define KEV_ENGINE_CORE_ATTEMPT_ID_H_

#include <cstdint>

#include "engine/core/job.h"

namespace kev {

struct AttemptId {
  uint32_t run = 0;  // small number that the host gives; never used again for another run
  JobKey key;
  uint32_t attempt = 0;
  auto operator<=>(const AttemptId&) const = default;
};

}  // namespace kev

#endif  // KEV_ENGINE_CORE_ATTEMPT_ID_H_
