#include "stages/profile/count_twin.h"

#include <algorithm>
#include <chrono>
#include <fstream>

#include "runners/analysis/counted_call.h"
#include "runners/analysis/remarks.h"
#include "runners/harness/argument_form.h"
#include "runners/sandbox/sandbox.h"
#include "runners/sandbox/toolchain_process.h"
#include "stages/compile/build_plan.h"
#include "stages/verify/call_shape.h"
#include "stages/verify/cases.h"
#include "stages/verify/values.h"

namespace kev {
namespace {

constexpr double kMostCalls = 4;    // the first meets cold caches
constexpr double kCountedNs = 1e6;  // of calls together, where there is more than one
constexpr std::chrono::seconds kDeadline{20};
constexpr char kTwinFile[] = "twin.so";
constexpr char kCallFile[] = "call.bin";

template <typename T>
void Append(const T& value, std::string* to) {
  to->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

// As counted_call.h has it.
Result<std::string> CallOn(const Task& task, const Workload& workload, uint64_t secret_seed,
                           uint32_t calls) {
  const Result<CallSpec> call = CallShape(task, workload.axes);
  if (!call.ok()) return call.error();
  const Case one{workload.name, workload.axes, 1, false};
  const Result<Arrays> inputs = InputArrays(task, one, secret_seed);
  if (!inputs.ok()) return inputs.error();
  harness::CountedCall head;
  head.calls = calls;
  head.arguments = static_cast<uint32_t>(call->arguments.size());
  std::string arguments;
  for (size_t a = 0; a < call->arguments.size(); ++a) {
    const CallArgument& argument = call->arguments[a];
    const harness::ArgumentForm form = FormOf(argument);
    Append(form, &arguments);
    if (argument.kind == CallArgument::Kind::kReturn) head.returns = argument.as;
    if (argument.in_setup) head.setup_arguments |= uint64_t{1} << a;
    if (form.read != 0 || form.kind == harness::ArgumentKind::kShared) arguments += (*inputs)[a];
  }
  std::string file;
  Append(head, &file);
  return file + arguments;
}

// In our words: a source can choose much of a compiler's, and models read this.
Error Why(const std::string& what, const ProcessOutcome& outcome) {
  if (outcome.end == ProcessOutcome::End::kDeadline)
    return Error{Code::kInvalid,
                 what + " took longer than " + std::to_string(kDeadline.count()) + " s"};
  if (outcome.end == ProcessOutcome::End::kSignalled)
    return Error{Code::kInvalid, what + " was ended by signal " + std::to_string(outcome.status)};
  std::string why = what + " ended with status " + std::to_string(outcome.status);
  if (outcome.output.find("target specific option mismatch") != std::string::npos)
    why += ": the kernel has intrinsics beyond AVX2";
  return Error{Code::kInvalid, why};
}

Status Write(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  file.close();
  if (file.good()) return {};
  return Error{Code::kUnavailable, "cannot write " + path};
}

// The job with the libraries that the candidate was linked with, as its compile job had them.
Job AsCompiled(Job job) {
  for (const Artefact& artefact : job.artefacts) {
    if (artefact.role == "candidate" && artefact.launch.Has("libraries"))
      job.settings.Set("libraries", artefact.launch["libraries"]);
  }
  return job;
}

// The twin's path.
Result<std::string> CompileTwin(const Job& job, StageContext* context, const Task& task,
                                const Target& target) {
  Result<BuildPlan> plan = PlanBuild(AsCompiled(job), task, target);
  if (!plan.ok()) return plan.error();
  const Result<std::string> source = context->Fetch(job.candidate->source);
  if (!source.ok()) return source.error();
  const Result<std::string> compiler = FindProgram(plan->argv[0]);
  if (!compiler.ok()) return compiler.error();
  const std::string& folder = context->Scratch();
  if (Status written = Write(folder + "/" + plan->source_file, *source); !written.ok())
    return written.error();
  plan->argv[0] = *compiler;
  std::replace(plan->argv.begin(), plan->argv.end(), plan->output_file, std::string(kTwinFile));
  ProcessLimits limits;
  limits.deadline = kDeadline;
  const Result<ProcessOutcome> built =
      RunToolchain(TwinArguments(plan->argv), folder, limits, &context->Cancelled());
  if (!built.ok()) return built.error();
  if (!built->Succeeded()) return Why("compiling the twin for x86-64-v3", *built);
  return folder + "/" + kTwinFile;
}

}  // namespace

Result<CallCounts> CountTwin(const Job& job, StageContext* context, const Task& task,
                             const Target& target, const Workload& workload, double call_ns) {
#if !defined(__x86_64__)
  return Error{Code::kInvalid, "the twin is one for x86-64"};
#endif
  if (!job.candidate.has_value()) return Error{Code::kInvalid, "its source is not known here"};
  if (call_ns > kMostCountedNs)
    return Error{Code::kInvalid, "a call takes too long to be run under valgrind"};
  if (FindTool({"valgrind"}).empty())  // before compiling for nothing
    return Error{Code::kNotFound, "no valgrind in PATH; counts need package valgrind"};
  const Result<std::string> twin = CompileTwin(job, context, task, target);
  if (!twin.ok()) return twin.error();
  const auto calls =
      static_cast<uint32_t>(std::clamp(kCountedNs / std::max(call_ns, 1.0), 1.0, kMostCalls));
  const Result<std::string> call = CallOn(task, workload, SecretSeed(job), calls);
  if (!call.ok()) return call.error();
  const std::string& folder = context->Scratch();
  if (Status written = Write(folder + "/" + kCallFile, *call); !written.ok())
    return written.error();
  const std::string setup = task.setup ? task.setup->function : "";
  ToolLimits limits;
  limits.deadline = kDeadline;
  limits.cancelled = &context->Cancelled();
  return CountCalls(
      {SiblingProgram("kevolve-count"), *twin, task.function, setup, folder + "/" + kCallFile},
      *twin, task.function, calls, limits);
}

}  // namespace kev
