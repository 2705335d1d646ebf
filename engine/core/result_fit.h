// What a result must be to count: whether it is what its stage's contract says, and which blobs it
// names. A stage that breaks its contract, or a worker that lies, has made no result.
//
// Threads: functions on values. Errors: words, not codes.
#ifndef KEV_ENGINE_CORE_RESULT_FIT_H_
#define KEV_ENGINE_CORE_RESULT_FIT_H_

#include <functional>
#include <string>

#include "engine/core/job.h"
#include "engine/core/plan.h"

namespace kev {

// What is wrong with the result of such a step's job, in words; empty: nothing. `candidates`: how
// many there are in the run, which parents must be of.
std::string MisfitOf(const Step& step, SubjectKind subject, const JobResult& result,
                     size_t candidates);

// Each blob that the result names, until `each` gives false.
void ForEachBlob(const JobResult& result, const std::function<bool(const BlobRef&)>& each);

}  // namespace kev

#endif  // KEV_ENGINE_CORE_RESULT_FIT_H_
