// From a job's artefacts to code that a runner process can be given.
//
// Threads: functions on values. Errors: blobs that cannot be had, kDiskFull, kInvalid for a job
// without the task's own code.
#ifndef KEV_STAGES_VERIFY_TASK_CODE_H_
#define KEV_STAGES_VERIFY_TASK_CODE_H_

#include <string>

#include "configs/target.h"
#include "configs/task.h"
#include "stages/sdk/stage.h"
#include "stages/verify/prepared_case.h"

namespace kev {

// Options for running one thing of the task, all but the library's file.
// What the artefact runs on. Its launches are set by SetLaunches.
DeviceCode DeviceOf(const Artefact& artefact);
// How the kernel is launched for each shape; nothing for what runs on the host. Error kInvalid.
Status SetLaunches(const Task& task, const std::vector<Axes>& shapes, DeviceCode* device);

RunnerOptions RunnerFor(const Task& task, const Target& target);

// Writes the artefact as `name` into the attempt's scratch folder.
Result<RunnerOptions> Runnable(const Artefact& artefact, const std::string& name,
                               StageContext* context, const Task& task, const Target& target);

// The job's references and, for a measured tolerance, its yardstick.
Result<TaskCode> FetchTaskCode(const Job& job, StageContext* context, const Task& task,
                               const Target& target);

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_TASK_CODE_H_
