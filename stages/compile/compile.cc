#include "stages/compile/compile.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>

#include "configs/launch.h"
#include "queue/blob_id.h"
#include "runners/analysis/code_digest.h"
#include "runners/analysis/elf_file.h"
#include "runners/analysis/gpu_resources.h"
#include "runners/analysis/remarks.h"
#include "runners/sandbox/toolchain_process.h"
#include "stages/compile/artefact_cache.h"
#include "stages/compile/build_plan.h"
#include "stages/compile/toolchain_identity.h"

namespace kev {
namespace {

constexpr size_t kMessageBytes = 300;
constexpr uint64_t kRemarkBytes = 4 << 20;  // of the compiler's, read at most
constexpr char kRemarkFile[] = "kernel.remarks";

JobResult Failed(FailureClass failure, std::string message) {
  JobResult result;
  result.failure = Failure{failure, message};
  result.message = std::move(message);
  return result;
}

// Failure for an error of the surroundings (blobs, disk): the job is tried again.
JobResult Failed(const Error& error) {
  return Failed(
      error.code == Code::kDiskFull ? FailureClass::kDiskFull : FailureClass::kInfrastructure,
      error.message);
}

JobResult Refused(Verdict verdict, std::string message) {
  JobResult result;
  result.verdict = verdict;
  result.message = std::move(message);
  return result;
}

bool Mentions(const std::string& text, std::initializer_list<const char*> phrases) {
  return std::any_of(phrases.begin(), phrases.end(),
                     [&](const char* phrase) { return text.find(phrase) != std::string::npos; });
}

// The first line that says what is wrong, else the first line that says anything.
std::string FirstError(const std::string& output) {
  std::string line, first;
  for (std::istringstream lines(output); std::getline(lines, line);) {
    if (first.empty()) first = line;
    if (Mentions(line, {"error:", "error :", "Error:", "undefined reference", "cannot find -l"})) {
      first = line;
      break;
    }
  }
  if (first.size() > kMessageBytes) first = first.substr(0, kMessageBytes) + "…";
  return first;
}

std::chrono::milliseconds Deadline(const Job& job) {
  if (job.running_limit_ms == 0) return ProcessLimits().deadline;
  uint32_t margin = std::clamp(job.running_limit_ms / 10, 1u, 2000u);  // to report it ourselves
  return std::chrono::milliseconds(std::max(job.running_limit_ms - margin, 1u));
}

// All that decides what the compiler gives. Headers outside the source are the system's: the
// compiler's version stands for them.
std::string Description(const BuildPlan& plan, const std::string& compiler, Isolation isolation,
                        const std::string& source) {
  // The isolation decides no byte; but what was made in a weaker one is not taken for more.
  std::string text = std::string("compile 3 ") + Name(isolation) + "\n" + compiler;
  for (const std::string& word : plan.argv) text += std::to_string(word.size()) + ":" + word + "\n";
  return text + CpuIdentity(plan.argv) + std::to_string(source.size()) + "\n" + source;
}

Status WriteSource(const std::string& path, const std::string& source) {
  std::ofstream file(path, std::ios::binary);
  file << source;
  file.close();
  if (file.good()) return {};
  Code code = errno == ENOSPC || errno == EDQUOT ? Code::kDiskFull : Code::kUnavailable;
  return Error{code, "cannot write " + path + ": " + std::strerror(errno)};
}

// As CompiledOnce has them. They are taken out of the messages.
std::string RemarksOf(const BuildPlan& plan, const std::string& folder, std::string* messages) {
  const std::string said =
      TakeRemarks(messages) + ReadWritten(folder + "/" + kRemarkFile, kRemarkBytes);
  return ToText(ParseRemarks(said, plan.source_file));
}

// Runs the compiler. A result: what it gave, good or refused. No result: `*ended` says why.
std::optional<CompiledOnce> RunCompiler(const BuildPlan& plan, const std::string& program,
                                        const std::string& identity, const std::string& source,
                                        const Job& job, StageContext& context, JobResult* ended) {
  const std::string& folder = context.Scratch();
  if (Status written = WriteSource(folder + "/" + plan.source_file, source); !written) {
    *ended = Failed(written.error());
    return std::nullopt;
  }
  std::vector<std::string> argv = plan.argv;
  argv[0] = program;
  const std::vector<std::string> remark_words = RemarkWords(identity, kRemarkFile);
  argv.insert(argv.end(), remark_words.begin(), remark_words.end());
  ProcessLimits limits;
  limits.deadline = Deadline(job);
  Result<ProcessOutcome> outcome = RunToolchain(argv, folder, limits, &context.Cancelled());
  if (!outcome) {
    *ended = Failed(outcome.error());
    return std::nullopt;
  }
  const std::string remarks = remark_words.empty() ? "" : RemarksOf(plan, folder, &outcome->output);
  auto refuse = [&](Verdict verdict, std::string message) {
    *ended = Refused(verdict, std::move(message));
    if (!outcome->output.empty()) ended->blobs["stderr"] = context.Attach(outcome->output);
    return std::nullopt;
  };
  const std::string& output = outcome->output;
  switch (outcome->end) {
    case ProcessOutcome::End::kCancelled:
      return refuse(Verdict::kCancelled, "cancelled while compiling");
    case ProcessOutcome::End::kDeadline:
      return refuse(Verdict::kTimeout, "the compiler was stopped after " +
                                           std::to_string(limits.deadline.count()) + " ms");
    case ProcessOutcome::End::kSignalled:
      if (outcome->limit == "folder")
        return refuse(Verdict::kResources, "the compiler writes more than it may");
      if (outcome->limit == "memory")
        return refuse(Verdict::kResources, "the compiler needs more memory than it may have");
      if (outcome->status == SIGKILL) {
        *ended = Failed(FailureClass::kInfrastructure,
                        "something killed the compiler " + program +
                            "; most often the kernel does that when memory runs out");
        return std::nullopt;
      }
      return refuse(Verdict::kResources,
                    std::string("the compiler ended by ") + strsignal(outcome->status));
    case ProcessOutcome::End::kExited:
      break;
  }
  if (outcome->status != 0) {
    if (Mentions(output, {"No space left on device"})) {
      // With namespaces the folder is in memory, of a size that only this source is too large for.
      if (outcome->limit == "folder" || HasNamespaces(outcome->isolation))
        return refuse(Verdict::kResources, "the compiler writes more than it may");
      *ended = Failed(FailureClass::kDiskFull, "no space left for compiling in " + folder +
                                                   "; free some, the job will be tried again");
      return std::nullopt;
    }
    if (Mentions(output, {"limit exceeded signal terminated program", "virtual memory exhausted",
                          "Cannot allocate memory", "out of memory allocating", "std::bad_alloc",
                          "LLVM ERROR: out of memory"}))
      return refuse(Verdict::kResources,
                    "the compiler needs more than it may have: " + FirstError(output));
    return CompiledOnce{false, outcome->seconds, "", output, ""};
  }
  std::string artefact = ReadWritten(folder + "/" + plan.output_file);
  if (artefact.empty()) {
    *ended =
        Failed(FailureClass::kTaskBroken, program + " succeeded but wrote no " + plan.output_file +
                                              "; the target's command must use {output}");
    return std::nullopt;
  }
  return CompiledOnce{true, outcome->seconds, std::move(artefact), output, remarks};
}

// Digest of the code as candidates are told apart by it; "" where it cannot be had, then the file
// counts.
std::string CodeOf(const std::string& artefact, const std::optional<ElfFacts>& elf,
                   const Task& task) {
  if (!elf) return "";
  const auto defines = [&](const std::optional<HelperFunction>& helper) {
    return helper && std::find(elf->functions.begin(), elf->functions.end(), helper->function) !=
                         elf->functions.end();
  };
  std::vector<std::string> entries = {task.function};
  if (defines(task.setup)) entries.push_back(task.setup->function);
  // The digest knows entries by their order: a tear-down alone would be taken for a set-up.
  if (defines(task.teardown)) {
    if (entries.size() == 1) return "";
    entries.push_back(task.teardown->function);
  }
  const Result<std::string> digest = CodeDigest(artefact, entries);
  return digest ? *digest : "";
}

// What is known of a cubin and of how its kernel is launched. The launch is part of what a
// candidate is: the same code with another one is another candidate. Error: what is wrong with it.
Status DescribeCubin(const std::string& cubin, const std::string& source, const Task& task,
                     Value* launch) {
  const Result<GpuResources> resources = ParseCubin(cubin, task.function);
  if (!resources)
    return Error{Code::kInvalid, "does not define the kernel " + task.function +
                                     " as extern \"C\" __global__ (" + resources.error().message +
                                     ")"};
  const Result<std::string> text = LaunchTextOf(source);
  if (!text) return text.error();
  const Result<LaunchForm> form = ParseLaunch(*text, task);
  if (!form) return form.error();
  for (const Workload& workload : task.workloads) {
    if (workload.held_out) continue;
    if (const Result<LaunchNumbers> numbers = LaunchFor(*form, workload.axes); !numbers)
      return Error{numbers.error().code,
                   "workload " + workload.name + ": " + numbers.error().message};
  }
  launch->Set("form", *text);
  launch->Set("code", Sha256Hex(cubin + '\0' + *text));
  return {};
}

// The result for what the compiler gave, fresh or from the cache.
JobResult Judge(const CompiledOnce& compiled, Isolation isolation, const BuildPlan& plan,
                const std::string& source, const Job& job, const Task& task,
                StageContext& context) {
  const CandidateView& candidate = *job.candidate;
  JobResult result;
  result.facts.Set("seconds", compiled.seconds);
  result.facts.Set("isolation", Name(isolation));
  if (!compiled.output.empty()) result.blobs["stderr"] = context.Attach(compiled.output);
  if (!compiled.compiled) {
    result.verdict = Verdict::kNoCompile;
    result.message = FirstError(compiled.output);
    if (result.message.empty()) result.message = "the compiler refused it without a word";
    return result;
  }
  std::optional<ElfFacts> elf = ReadElf(compiled.artefact);
  result.facts.Set("bytes", elf ? elf->code_bytes : compiled.artefact.size());
  bool library = plan.artefact == "shared_library";
  if (library && !elf) {
    result.verdict = Verdict::kUnusable;
    result.message = "what the compiler gave is no 64-bit ELF file";
    return result;
  }
  if (library && std::find(elf->functions.begin(), elf->functions.end(), task.function) ==
                     elf->functions.end()) {
    result.verdict = Verdict::kUnusable;
    result.message = "does not define " + task.function + "; it must define " + Declaration(task);
    if (plan.source_file != "kernel.c") result.message += " as extern \"C\"";
    return result;
  }
  Artefact artefact;
  bool prepared = candidate.id.kind == SubjectKind::kPrepared;
  artefact.role = !prepared                       ? "candidate"
                  : candidate.name == "reference" ? "reference"
                                                  : "baseline";
  artefact.name = candidate.name;
  artefact.kind = plan.artefact;
  artefact.blob = context.Attach(compiled.artefact);
  artefact.launch.Set("symbol", task.function);
  if (!prepared && !job.settings["libraries"].AsList().empty())
    artefact.launch.Set("libraries", job.settings["libraries"]);
  if (plan.artefact == "cubin") {
    Status known = DescribeCubin(compiled.artefact, source, task, &artefact.launch);
    if (!known.ok()) {
      result.verdict = Verdict::kUnusable;
      result.message = known.error().message;
      return result;
    }
  } else if (const std::string code = CodeOf(compiled.artefact, elf, task); !code.empty())
    artefact.launch.Set("code", code);
  if (!compiled.remarks.empty()) {
    const BlobRef remarks = context.Attach(compiled.remarks);
    result.blobs["remarks"] = remarks;
    artefact.launch.Set("remarks").Set("sha256", remarks.sha256);
    artefact.launch.Set("remarks").Set("size", remarks.size);
  }
  result.artefacts.push_back(std::move(artefact));
  return result;
}

}  // namespace

JobResult HandleCompile(const Job& job, StageContext& context) {
  auto begin = std::chrono::steady_clock::now();
  auto timed = [&](JobResult result) {
    result.usage.wall_ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    return result;
  };
  if (!job.candidate)
    return Failed(FailureClass::kTaskBroken, job.label + " came without anything to compile");
  Result<std::shared_ptr<const LoadedRun>> run = context.Run();
  if (!run) return Failed(run.error());
  const Task& task = (*run)->task;
  Result<const Target*> target = TargetOf(job, **run);
  if (!target) return Failed(FailureClass::kTaskBroken, target.error().message);
  Result<BuildPlan> plan = PlanBuild(job, task, **target);
  if (!plan) {
    // A proposer may ask for a library or name a variant that is not there; what the task says of
    // its own variants must hold.
    const std::string& variant = job.candidate->variant;
    const bool named = std::any_of(task.variants.begin(), task.variants.end(),
                                   [&](const Variant& v) { return v.name == variant; });
    const bool candidates_fault = job.candidate->id.kind == SubjectKind::kCandidate &&
                                  (variant.empty() ? plan.error().code == Code::kNotFound : !named);
    if (candidates_fault) return Refused(Verdict::kUnusable, plan.error().message);
    return Failed(FailureClass::kTaskBroken, plan.error().message);
  }
  Result<std::string> source = context.Fetch(job.candidate->source);
  if (!source) return Failed(source.error());

  Result<std::string> program = FindProgram(plan->argv[0]);
  Result<std::string> identity = program ? CompilerIdentity(*program, context.Scratch())
                                         : Result<std::string>(program.error());
  if (!identity && identity.error().code != Code::kNotFound) return Failed(identity.error());
  if (!identity)
    return Failed(FailureClass::kTaskBroken,
                  "compiler not found: " + identity.error().message + "; target " +
                      (*target)->name + " (" + FileOf(**target, **run) +
                      ") needs it: apt-get install " + PackageOf(plan->argv[0]));

  Result<Isolation> isolation = BestIsolation();
  if (!isolation) return Failed(isolation.error());
  ArtefactCache cache(context.CacheFolder());
  std::string key = ArtefactCache::KeyOf(Description(*plan, *identity, *isolation, *source));
  if (std::optional<CompiledOnce> known = cache.Load(key)) {
    JobResult result = Judge(*known, *isolation, *plan, *source, job, task, context);
    result.cached = true;
    return timed(std::move(result));
  }
  JobResult ended;
  std::optional<CompiledOnce> compiled =
      RunCompiler(*plan, *program, *identity, *source, job, context, &ended);
  if (!compiled) return timed(std::move(ended));
  // A cache that cannot be written costs time, not the result.
  [[maybe_unused]] Status stored = cache.Store(key, *compiled);
  return timed(Judge(*compiled, *isolation, *plan, *source, job, task, context));
}

}  // namespace kev
