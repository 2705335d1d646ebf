// What simulated stages answer: results that fit the job, drawn from a random stream, so that
// whatever the graph asks for (facts, artefacts, proposals, wishes) is there.
//
// Threads: functions on values. Errors: none.
#ifndef KEV_TOOLS_SIM_ANSWERS_H_
#define KEV_TOOLS_SIM_ANSWERS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/job.h"
#include "engine/core/random.h"

namespace kev::sim {

// What becomes of a job that a handler has begun.
enum class Fate : uint8_t {
  kGood,
  kBad,      // a verdict other than ok
  kFails,    // not the kernel's fault: it is retried
  kHangs,    // never answers; only a kill ends it
  kCrashes,  // takes its worker down
};
struct Fates {  // in percent, the rest is good
  uint32_t bad = 10;
  uint32_t fails = 3;
  uint32_t hangs = 1;
  uint32_t crashes = 1;
  uint32_t poison = 1;  // candidates that crash every worker at one of their steps
};
Fate FateOf(const Job& job, const Fates& fates, CounterRandom& random);

struct Answer {
  JobResult result;
  std::vector<std::pair<BlobRef, std::string>> blobs;
};
Answer AnswerTo(const Job& job, Fate fate, CounterRandom& random);

}  // namespace kev::sim

#endif  // KEV_TOOLS_SIM_ANSWERS_H_
