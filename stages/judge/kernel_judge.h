// Judges single kernels outside of any run, by the stages' own code: compile, verify, profile.
//
// Made for one task and target: reference and baselines are compiled, the baselines verified and
// ranked once, and what that gives is kept between processes (cache folder). Then any number of
// sources. Threads: one at a time. Errors: kInvalid or kUnavailable when the task, the target or
// the machine cannot be used; what a kernel does is a verdict.
#ifndef KEV_STAGES_JUDGE_KERNEL_JUDGE_H_
#define KEV_STAGES_JUDGE_KERNEL_JUDGE_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "configs/load.h"
#include "engine/core/job.h"
#include "engine/core/result.h"
#include "stages/judge/local_context.h"
#include "stages/verify/qualify.h"

namespace kev {

struct JudgeOptions {
  std::string scratch;       // folder for attempts
  std::string cache_folder;  // kept between processes
  uint64_t seed = 1;         // of what is random but not secret
  int64_t secret = 0;        // of inputs and held-out shapes: nothing that proposes may know it
  uint32_t launches = 0;     // of the final measurement; 0: as many as a claim needs
  bool screen_only = false;  // check and measure as a search does first: fast, no claim
  std::vector<std::string> libraries;  // of the task's, which kernels are linked with
  const std::atomic<bool>* cancelled = nullptr;
  std::function<void(const std::string&)> on_note = nullptr;  // e.g. that it waits for the CPU
};

struct Judgement {
  Verdict verdict = Verdict::kOk;
  std::string reason;                        // one line
  std::string step;                          // that gave it: build, smoke, screen, check, confirm
  std::string trust;                         // level of such a kernel's figures: A on a device
  Value facts;                               // map step -> map fact -> value
  std::map<std::string, std::string> blobs;  // stderr, samples, …: "confirm/samples" -> bytes
  std::map<std::string, double> step_ms;     // wall time by step
};

class KernelJudge {
 public:
  // `run`: what LoadForJudge gives.
  static Result<std::unique_ptr<KernelJudge>> Make(LoadedRun run, const JudgeOptions& options);

  // `source_name`: its suffix says the language, which the target must have (CheckLanguage).
  Result<Judgement> Judge(const std::string& source, const std::string& source_name);

  // One final measurement of `candidate` against `baseline`, two sources of the task's function
  // that are built as its first baseline is. Nothing is verified but what a measurement checks
  // itself. For counting how often the judge is right (tools/truth).
  Result<JobResult> Compare(const std::string& baseline, const std::string& candidate,
                            const std::string& label);

  // Whether the task can be hacked (stages/verify/qualify_task.h): compiles its own code, measures
  // nothing. Errors as of Make.
  static Result<Qualification> QualifyTask(LoadedRun run, const JudgeOptions& options);

  const std::string& strongest() const { return strongest_; }

 private:
  KernelJudge(LoadedRun run, const JudgeOptions& options);
  Status CompileTaskCode();
  Status RankBaselines();  // REQUIRES: CompileTaskCode
  Result<std::vector<Artefact>> CompilePrepared(const Prepared& prepared, const std::string& source,
                                                const std::string& role);
  Status VerifyBaseline(const Artefact& baseline);
  Status Rank();
  Job JobFor(const Step& step, const std::string& name) const;
  Result<JobResult> Do(Job job);

  JudgeOptions options_;
  LocalContext context_;
  std::shared_ptr<const LoadedRun> run_;
  std::vector<Artefact> references_;
  std::vector<Artefact> baselines_;
  Value ranking_;
  std::string strongest_;
  std::string key_;  // names what is kept of this task, target and machine
};

}  // namespace kev

#endif  // KEV_STAGES_JUDGE_KERNEL_JUDGE_H_
