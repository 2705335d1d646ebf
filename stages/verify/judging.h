// What verify and profile share in telling the engine about a runner process: verdicts, failures,
// attached output. Threads: functions on values.
#ifndef KEV_STAGES_VERIFY_JUDGING_H_
#define KEV_STAGES_VERIFY_JUDGING_H_

#include <string>
#include <vector>

#include "configs/load.h"
#include "engine/core/job.h"
#include "runners/harness/outcome.h"
#include "stages/sdk/stage.h"

namespace kev {

// REQUIRES: kind is neither kOk nor kBroken.
Verdict VerdictOf(Outcome::Kind kind);
JobResult Failed(FailureClass failure, std::string message);
JobResult Failed(const Error& error);
JobResult Refused(Verdict verdict, std::string message);

// The job's target; null when the run has none of that name.
const Target* TargetOf(const LoadedRun& run, const Job& job);
// Name of the function that `artefact` exports for `task`.
std::string SymbolOf(const Artefact& artefact, const Task& task);
// Artefacts with this role, in the job's order.
std::vector<const Artefact*> WithRole(const Job& job, std::string_view role);

// Attaches what a kernel printed; nothing for empty streams.
void AttachOutput(const std::string& output, const std::string& error, StageContext* context,
                  JobResult* result);

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_JUDGING_H_
