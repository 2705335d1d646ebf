#include "stages/judge/kernel_judge.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "engine/core/digest.h"
#include "engine/core/packed.h"
#include "stages/compile/build_plan.h"
#include "stages/compile/compile.h"
#include "stages/profile/profile.h"
#include "stages/verify/cases.h"
#include "stages/verify/kept_files.h"
#include "stages/verify/qualify_task.h"
#include "stages/verify/task_code.h"
#include "stages/verify/verify.h"

namespace kev {
namespace {

constexpr size_t kMostKept = 64;
constexpr std::chrono::seconds kReferenceDeadline(60);

const Step* FindStep(const Plan& plan, const std::string& id) {
  for (const Step& step : plan.steps) {
    if (step.id == id) return &step;
  }
  return nullptr;
}

// "compile" of the step id or the stage that did it.
JobResult HandleByKind(const Step& step, const Job& job, StageContext& context) {
  switch (step.kind) {
    case StageKind::kCompile:
      return HandleCompile(job, context);
    case StageKind::kVerify:
      return HandleVerify(job, context);
    default:
      return HandleProfile(job, context);
  }
}

// What decides how fast this machine's baselines are, beside the task: its CPU.
std::string MachineText() {
  std::string text;
  char name[256] = "";
  if (gethostname(name, sizeof(name) - 1) == 0) text = name;
  return text + "/" + std::to_string(sysconf(_SC_NPROCESSORS_ONLN)) + "/" +
         std::to_string(sysconf(_SC_LEVEL2_CACHE_SIZE)) + "/" +
         std::to_string(sysconf(_SC_LEVEL3_CACHE_SIZE));
}

}  // namespace

KernelJudge::KernelJudge(LoadedRun run, const JudgeOptions& options)
    : options_(options),
      context_(options.scratch, options.cache_folder, options.cancelled),
      run_(std::make_shared<const LoadedRun>(std::move(run))) {
  context_.SetRun(run_);
  context_.on_note = options.on_note;
}

Result<std::unique_ptr<KernelJudge>> KernelJudge::Make(LoadedRun run, const JudgeOptions& options) {
  std::unique_ptr<KernelJudge> judge(new KernelJudge(std::move(run), options));
  if (Status compiled = judge->CompileTaskCode(); !compiled.ok()) return compiled.error();
  if (Status ready = judge->RankBaselines(); !ready.ok()) return ready.error();
  return judge;
}

Result<Qualification> KernelJudge::QualifyTask(LoadedRun run, const JudgeOptions& options) {
  KernelJudge judge(std::move(run), options);
  if (Status compiled = judge.CompileTaskCode(); !compiled.ok()) return compiled.error();
  if (Status made = judge.context_.NewAttempt(); !made.ok()) return made.error();
  const LoadedRun& loaded = *judge.run_;
  Job job = judge.JobFor(*FindStep(loaded.plan, "check"), "task");
  job.artefacts = judge.baselines_;
  job.artefacts.insert(job.artefacts.end(), judge.references_.begin(), judge.references_.end());
  Result<TaskCode> code = FetchTaskCode(job, &judge.context_, loaded.task, loaded.targets.front());
  if (!code.ok()) return code.error();
  return kev::QualifyTask(loaded.task, *code, SecretSeed(job), kReferenceDeadline,
                          options.cache_folder, judge.context_.Cancelled());
}

Job KernelJudge::JobFor(const Step& step, const std::string& name) const {
  Job job;
  job.run = "judge";
  job.label = name + "/" + step.id;
  job.step = step.id;
  job.stage = step.stage;
  job.settings = step.settings;
  job.context.sha256 = key_;
  job.target = run_->plan.target;
  job.seed = options_.seed;
  job.secret.Set("seed", options_.secret);
  CandidateView view;
  view.id = {SubjectKind::kCandidate, 1};
  view.name = name;
  job.candidate = std::move(view);
  return job;
}

// What something else than the kernel did is tried again, as often as an engine tries it.
Result<JobResult> KernelJudge::Do(Job job) {
  const Step& step = *FindStep(run_->plan, job.step);
  for (;; ++job.attempt) {
    if (Status made = context_.NewAttempt(); !made.ok()) return made.error();
    JobResult result = HandleByKind(step, job, context_);
    if (!result.failure.has_value()) return result;
    const Failure& failure = *result.failure;
    if (failure.failure == FailureClass::kTaskBroken) return Error{Code::kInvalid, failure.message};
    if (failure.failure == FailureClass::kInfrastructure && job.attempt <= step.retry.max &&
        !context_.Cancelled().load())
      continue;
    std::string tries;
    if (job.attempt > 1) tries = " (" + std::to_string(job.attempt) + " attempts)";
    return Error{failure.failure == FailureClass::kDiskFull ? Code::kDiskFull : Code::kUnavailable,
                 failure.message + tries};
  }
}

Result<std::vector<Artefact>> KernelJudge::CompilePrepared(const Prepared& prepared,
                                                           const std::string& source,
                                                           const std::string& role) {
  Job job = JobFor(*FindStep(run_->plan, "build"), prepared.name);
  job.candidate->id = {SubjectKind::kPrepared, 1};
  job.candidate->source = context_.Put(source);
  job.candidate->source_name = prepared.source_name;
  job.settings.Set("build", prepared.build);
  Result<JobResult> result = Do(job);
  if (!result.ok()) return result.error();
  if (result->verdict != Verdict::kOk) {
    return Error{Code::kInvalid, "task " + run_->task.name + ": its " + prepared.name + " (" +
                                     prepared.source_name + ") gives " + Name(result->verdict) +
                                     ": " + result->message};
  }
  for (Artefact& artefact : result->artefacts) {
    artefact.role = role;
    artefact.name = prepared.name;
  }
  return std::move(result->artefacts);
}

Status KernelJudge::CompileTaskCode() {
  const Task& task = run_->task;
  std::string text = run_->plan.target + "\n" + MachineText();
  for (const auto& [path, content] : run_->files)
    text += "\n" + path + "\n" + DigestOf(content).Hex();
  for (const Prepared& prepared : run_->plan.prepared) {
    const std::string* source = prepared.reference ? &task.reference.text : nullptr;
    for (const SourceSpec& baseline : task.baselines) {
      if (!prepared.reference && baseline.name == prepared.name) source = &baseline.text;
    }
    Result<std::vector<Artefact>> made =
        CompilePrepared(prepared, *source, prepared.reference ? "reference" : "baseline");
    if (!made.ok()) return made.error();
    std::vector<Artefact>& into = prepared.reference ? references_ : baselines_;
    for (Artefact& artefact : *made) {
      text += "\n" + artefact.blob.sha256;
      into.push_back(std::move(artefact));
    }
  }
  key_ = DigestOf(text).Hex();
  return {};
}

Status KernelJudge::RankBaselines() {
  const KeptFiles kept(options_.cache_folder + "/rankings", kMostKept);
  if (const std::optional<std::string> bytes = kept.Read(key_)) {
    const Value value = PackedView(*bytes).ToValue();
    ranking_ = value["ranking"];
    strongest_ = value["strongest"].AsString();
    return {};
  }
  for (const Artefact& baseline : baselines_) {
    if (Status right = VerifyBaseline(baseline); !right.ok()) return right;
  }
  if (Status ranked = Rank(); !ranked.ok()) return ranked;
  Value value;
  value.Set("ranking", ranking_);
  value.Set("strongest", strongest_);
  kept.Write(key_, EncodeCanonical(value));
  return {};
}

Status KernelJudge::VerifyBaseline(const Artefact& baseline) {
  Job job = JobFor(*FindStep(run_->plan, "check"), baseline.name);
  job.artefacts.push_back(baseline);
  job.artefacts.back().role = "candidate";
  job.artefacts.insert(job.artefacts.end(), baselines_.begin(), baselines_.end());
  job.artefacts.insert(job.artefacts.end(), references_.begin(), references_.end());
  Result<JobResult> result = Do(job);
  if (!result.ok()) return result.error();
  if (result->verdict == Verdict::kOk) return {};
  return Error{Code::kInvalid, "task " + run_->task.name + ": its baseline " + baseline.name +
                                   " is " + Name(result->verdict) + ": " + result->message};
}

Status KernelJudge::Rank() {
  Job job = JobFor(*FindStep(run_->plan, "confirm"), "baselines");
  job.candidate.reset();
  job.artefacts = baselines_;
  job.artefacts.insert(job.artefacts.end(), references_.begin(), references_.end());
  Result<JobResult> result = Do(job);
  if (!result.ok()) return result.error();
  if (result->verdict != Verdict::kOk)
    return Error{Code::kUnavailable, "the baselines cannot be measured: " + result->message};
  strongest_ = result->facts["baseline"].AsString();
  ranking_ = result->facts["ranking"];
  return {};
}

Result<JobResult> KernelJudge::Compare(const std::string& baseline, const std::string& candidate,
                                       const std::string& label) {
  const std::vector<Prepared>& all = run_->plan.prepared;
  const auto plain =
      std::find_if(all.begin(), all.end(), [](const Prepared& p) { return !p.reference; });
  if (plain == all.end())
    return Error{Code::kInvalid, "task " + run_->task.name + " has no baseline"};
  Job job = JobFor(*FindStep(run_->plan, "confirm"), label);
  for (const auto& [source, role] : {std::pair(&candidate, "candidate"), {&baseline, "baseline"}}) {
    Result<std::vector<Artefact>> made = CompilePrepared(*plain, *source, role);
    if (!made.ok()) return made.error();
    job.artefacts.insert(job.artefacts.end(), made->begin(), made->end());
  }
  job.artefacts.insert(job.artefacts.end(), references_.begin(), references_.end());
  job.settings.Set("baseline", plain->name);
  job.settings.Set("ranking").Set(plain->name, 1.0);
  if (options_.launches > 0) job.settings.Set("launches", options_.launches);
  return Do(job);
}

Result<Judgement> KernelJudge::Judge(const std::string& source, const std::string& source_name) {
  Judgement judgement;
  judgement.trust = ArtefactOf(run_->targets.front(), source_name) == "cubin" ? "A" : "B";
  if (source.find_first_not_of(" \t\r\n\v\f") == std::string::npos) {
    judgement.verdict = Verdict::kNoCompile;
    judgement.step = "build";
    judgement.reason = source_name + " is empty; it must define the function " +
                       run_->task.function + " of task " + run_->task.name;
    return judgement;
  }
  std::vector<Artefact> artefacts;
  const std::vector<std::string> path =
      options_.screen_only ? std::vector<std::string>{"build", "smoke", "screen"}
                           : std::vector<std::string>{"build", "smoke", "check", "confirm"};
  for (const std::string& id : path) {
    const Step& step = *FindStep(run_->plan, id);
    Job job = JobFor(step, "candidate");
    job.candidate->source = context_.Put(source);
    job.candidate->source_name = source_name;
    if (step.kind == StageKind::kCompile) {
      const Value::List libraries(options_.libraries.begin(), options_.libraries.end());
      if (!libraries.empty()) job.settings.Set("libraries", libraries);
    } else {
      job.artefacts = artefacts;
      job.artefacts.insert(job.artefacts.end(), baselines_.begin(), baselines_.end());
      job.artefacts.insert(job.artefacts.end(), references_.begin(), references_.end());
    }
    if (step.kind == StageKind::kProfile) {
      job.settings.Set("baseline", strongest_);
      job.settings.Set("ranking", ranking_);
      if (options_.launches > 0) job.settings.Set("launches", options_.launches);
    }
    const auto begin = std::chrono::steady_clock::now();
    Result<JobResult> result = Do(job);
    if (!result.ok()) return result.error();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    judgement.step_ms[id] = took.count();
    judgement.facts.Set(id, result->facts);
    for (const auto& [name, ref] : result->blobs) {
      if (Result<std::string> bytes = context_.Fetch(ref); bytes.ok())
        judgement.blobs[id + "/" + name] = std::move(*bytes);
    }
    judgement.verdict = result->verdict;
    judgement.reason = result->message;
    judgement.step = id;
    if (result->verdict != Verdict::kOk) break;
    if (step.kind == StageKind::kCompile) {
      artefacts = result->artefacts;
      for (Artefact& artefact : artefacts) artefact.role = "candidate";
    }
  }
  return judgement;
}

}  // namespace kev
