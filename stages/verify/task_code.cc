#include "stages/verify/task_code.h"

#include <algorithm>
#include <fstream>

#include "configs/launch.h"
#include "stages/verify/call_shape.h"
#include "stages/verify/judging.h"

namespace kev {

RunnerOptions RunnerFor(const Task& task, const Target& target) {
  RunnerOptions options;
  options.symbol = task.function;
  if (task.setup.has_value()) options.setup = task.setup->function;
  if (task.teardown.has_value()) options.teardown = task.teardown->function;
  options.environment = RunEnvironment(task, target.environment);
  options.libraries = RunLibraries(task);
  return options;
}

DeviceCode DeviceOf(const Artefact& artefact) {
  DeviceCode device;
  if (artefact.kind == "cubin") device.kind = DeviceCode::Kind::kCuda;
  device.form = artefact.launch["form"].AsString();
  return device;
}

Status SetLaunches(const Task& task, const std::vector<Axes>& shapes, DeviceCode* device) {
  if (device->on_host()) return {};
  const Result<LaunchForm> form = ParseLaunch(device->form, task);
  if (!form) return form.error();
  device->launches.clear();
  for (const Axes& axes : shapes) {
    const Result<LaunchNumbers> numbers = LaunchFor(*form, axes);
    if (!numbers) return numbers.error();
    device->launches.push_back({numbers->grid, numbers->block, numbers->shared_bytes});
  }
  return {};
}

Result<RunnerOptions> Runnable(const Artefact& artefact, const std::string& name,
                               StageContext* context, const Task& task, const Target& target) {
  Result<std::string> bytes = context->Fetch(artefact.blob);
  if (!bytes.ok()) return bytes.error();
  RunnerOptions options = RunnerFor(task, target);
  options.library = context->Scratch() + "/" + name;
  options.symbol = SymbolOf(artefact, task);
  options.device = DeviceOf(artefact);
  std::ofstream file(options.library, std::ios::binary);
  file << *bytes;
  file.close();
  if (!file)
    return Error{Code::kDiskFull, "cannot write " + options.library + "; is the disk full?"};
  return options;
}

Result<TaskCode> FetchTaskCode(const Job& job, StageContext* context, const Task& task,
                               const Target& target) {
  TaskCode code;
  for (const Artefact* artefact : WithRole(job, "reference")) {
    Result<RunnerOptions> reference = Runnable(*artefact, "reference.so", context, task, target);
    if (!reference.ok()) return reference.error();
    code.reference = std::move(*reference);
    code.reference_sha256 = artefact->blob.sha256;
  }
  if (code.reference.library.empty())
    return Error{Code::kInvalid, "job " + job.label + " came without the task's reference"};
  if (!task.measured.has_value()) return code;
  for (const Artefact& artefact : job.artefacts) {
    const bool own = artefact.role == "candidate" && job.candidate.has_value() &&
                     job.candidate->id.kind == SubjectKind::kPrepared;
    if ((artefact.role != "baseline" && !own) || artefact.name != task.measured->yardstick)
      continue;
    Result<RunnerOptions> yardstick = Runnable(artefact, "yardstick.so", context, task, target);
    if (!yardstick.ok()) return yardstick.error();
    code.yardstick = std::move(*yardstick);
    code.yardstick_sha256 = artefact.blob.sha256;
  }
  if (!code.yardstick.has_value())
    return Error{Code::kInvalid,
                 "job " + job.label + " came without the yardstick " + task.measured->yardstick};
  return code;
}

}  // namespace kev
