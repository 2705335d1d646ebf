// Why things wait: of a run, a candidate, a job or a step, as a Value with `lines` for people. With
// a live run's host it says what the placer says; of a stored run, what its core knows.
//
// Threads: functions on values. Errors: kNotFound for what the run does not have.
#ifndef KEV_TOOLS_LIVE_EXPLAIN_H_
#define KEV_TOOLS_LIVE_EXPLAIN_H_

#include <string>

#include "engine/core/run_core.h"
#include "engine/host/host.h"

namespace kev {

struct Live {  // both or none
  const Host* host = nullptr;
  const HostedRun* run = nullptr;
  int64_t now_ms = 0;
};

// `what`: "" the run, "c12" a candidate, "c12/build" a job, "build" a step.
Result<Value> Explain(const RunCore& core, const Live& live, const std::string& what);
// Jobs that were given up, with what was seen of them.
Value DeadLetters(const RunCore& core);
// kNotFound unless `job` is one of them.
Status CheckDeadLetter(const RunCore& core, const std::string& job);
Error NoSuchLetter(const std::string& run, const std::string& job);

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_EXPLAIN_H_
