#include "stages/verify/verify.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>

#include "engine/core/random.h"
#include "stages/verify/cases.h"
#include "stages/verify/compare.h"
#include "stages/verify/expected.h"
#include "stages/verify/judging.h"

namespace kev {
namespace {

using Clock = RunnerProcess::Clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Clock::duration kReferenceDeadline = seconds(60);

// One call's outputs against the expected ones.
struct Check {
  std::string fault;  // "" when all is right
  double worst_error = 0;
};

class Verification {
 public:
  Verification(const Job& job, StageContext& context, const Task& task, const Target& target)
      : job_(job), context_(context), task_(task), begin_(Clock::now()), secret_(SecretSeed(job)) {
    full_ = job.settings["rigor"].AsString() != "smoke";
    candidate_.environment = RunEnvironment(task, target.environment);
    candidate_.folder = context.Scratch();
    reference_ = candidate_;
  }

  JobResult Run() {
    if (Status ready = Prepare(); !ready.ok()) return Failed(ready.error());
    Result<std::vector<Case>> cases = full_ ? FullCases(task_, secret_) : SmokeCases(task_);
    if (!cases.ok()) return Failed(FailureClass::kTaskBroken, cases.error().message);
    JobResult result;
    std::set<std::string> workloads, hidden;
    for (const Case& one : *cases) {
      if (context_.Cancelled().load()) {
        result = Refused(Verdict::kCancelled, "cancelled");
        break;
      }
      result = RunCase(one);
      if (result.failure.has_value()) return result;
      workloads.insert(one.workload);
      if (one.hidden) hidden.insert(one.workload);
      if (result.verdict != Verdict::kOk) break;
    }
    AttachOutput(output_, error_, &context_, &result);
    result.facts.Set("workloads", static_cast<int64_t>(workloads.size()));
    result.facts.Set("held_out", static_cast<int64_t>(hidden.size()));
    result.facts.Set("worst_error", worst_error_);
    if (full_) result.facts.Set("bit_differences", static_cast<int64_t>(bit_differences_));
    result.facts.Set("isolation", kIsolation);
    result.usage.wall_ms = std::chrono::duration<double, std::milli>(Clock::now() - begin_).count();
    return result;
  }

 private:
  Status Prepare() {
    const std::vector<const Artefact*> candidates = WithRole(job_, "candidate");
    const std::vector<const Artefact*> references = WithRole(job_, "reference");
    if (candidates.empty() || references.empty()) {
      return Error{Code::kInvalid,
                   "verify job " + job_.label + " needs a candidate and a reference"};
    }
    reference_sha256_ = references.front()->blob.sha256;
    if (Status done = Write(*candidates.front(), "candidate.so", &candidate_); !done.ok())
      return done;
    return Write(*references.front(), "reference.so", &reference_);
  }

  Status Write(const Artefact& artefact, const char* name, RunnerOptions* options) {
    Result<std::string> bytes = context_.Fetch(artefact.blob);
    if (!bytes.ok()) return bytes.error();
    options->library = context_.Scratch() + "/" + name;
    options->symbol = SymbolOf(artefact, task_);
    std::ofstream file(options->library, std::ios::binary);
    file << *bytes;
    file.close();
    if (!file)
      return Error{Code::kDiskFull, "cannot write " + options->library + "; is the disk full?"};
    return {};
  }

  JobResult RunCase(const Case& one) {
    Result<CallSpec> call = CallFor(task_, one.axes);
    if (!call.ok()) return Failed(FailureClass::kTaskBroken, call.error().message);
    Result<RegionImage> image = RegionImage::Make({*call}, Mix64(secret_ ^ one.seed));
    if (!image.ok()) return Failed(FailureClass::kTaskBroken, image.error().message);
    if (Status filled = FillInputs(task_, one, secret_, 0, &*image); !filled.ok()) {
      return Failed(FailureClass::kTaskBroken, filled.error().message);
    }
    Result<Expected> expected =
        ExpectedOutputs(reference_, reference_sha256_, *image,
                        std::min(kReferenceDeadline, TimeLeft()), context_.CacheFolder());
    if (!expected.ok()) return Failed(expected.error());
    if (!expected->broken.empty()) {
      return Failed(FailureClass::kTaskBroken, "the reference of task " + task_.name +
                                                   " fails on workload " + one.workload + ": " +
                                                   expected->broken);
    }
    return RunCandidate(one, *expected, &*image);
  }

  JobResult RunCandidate(const Case& one, const Expected& expected, RegionImage* image) {
    auto process = RunnerProcess::Start(candidate_, *image);
    if (!process.ok()) return Failed(process.error());
    RunnerProcess& runner = **process;
    // A kernel may be slower than the reference, but not by any amount.
    const auto fair = std::chrono::nanoseconds(static_cast<int64_t>(expected.call_ns * 200));
    const Clock::duration deadline = std::min<Clock::duration>(
        std::clamp<Clock::duration>(fair, seconds(2), seconds(30)), TimeLeft());
    Outcome outcome = runner.Load(deadline);
    std::vector<std::string> outputs[2];
    Check checks[2];
    const int calls = full_ ? 2 : 1;
    for (int n = 0; n < calls && outcome.ok(); ++n) {
      if (n > 0) {  // again, on other poison and on inputs as they were
        image->PoisonOutputs(Mix64(secret_ + one.seed + 1));
        if (Status written = runner.WriteRegion(image->bytes()); !written.ok())
          return Failed(written.error());
      }
      outcome = runner.Call(0, deadline);
      if (!outcome.ok()) break;
      runner.Freeze();  // nothing it left running can finish the work now
      Result<std::string> region = runner.ReadRegion();
      if (!region.ok()) return Failed(region.error());
      checks[n] = CheckRegion(one, expected, *image, *region, &outputs[n]);
    }
    KeepOutput(runner);
    if (outcome.kind == Outcome::Kind::kBroken)
      return Failed(FailureClass::kInfrastructure, outcome.message);
    if (!outcome.ok()) return Refused(VerdictOf(outcome.kind), Place(one) + ": " + outcome.message);
    worst_error_ = std::max({worst_error_, checks[0].worst_error, checks[1].worst_error});
    if (calls == 2) {
      for (size_t i = 0; i < outputs[0].size(); ++i) {
        bit_differences_ += BitDifferences(task_.arguments[i].dtype, outputs[0][i], outputs[1][i]);
      }
      if (checks[0].fault.empty() != checks[1].fault.empty()) {
        return Refused(
            Verdict::kNondeterministic,
            "of two calls with the same input one is wrong: " + checks[0].fault + checks[1].fault);
      }
    }
    if (!checks[0].fault.empty()) return Refused(Verdict::kWrong, checks[0].fault);
    return {};
  }

  Check CheckRegion(const Case& one, const Expected& expected, const RegionImage& image,
                    const std::string& region, std::vector<std::string>* outputs) {
    Check check;
    check.fault = image.Violation(region, 0);
    if (!check.fault.empty()) {
      check.fault = Place(one) + ": it " + check.fault;
      return check;
    }
    for (size_t a = 0; a < task_.arguments.size(); ++a) {
      const Argument& argument = task_.arguments[a];
      const bool output =
          argument.role == Argument::Role::kOut || argument.role == Argument::Role::kInOut;
      outputs->emplace_back(output ? image.Array(region, 0, a) : std::string_view());
      if (!output) continue;
      const auto allowed = task_.tolerance.find(Name(argument.dtype));
      const Tolerance tolerance = allowed == task_.tolerance.end() ? Tolerance() : allowed->second;
      const Comparison compared =
          Compare(argument.dtype, outputs->back(), expected.outputs[a], tolerance);
      check.worst_error = std::max(check.worst_error, compared.worst_error);
      if (compared.wrong > 0 && check.fault.empty())
        check.fault = Describe(one, argument, compared, tolerance);
    }
    return check;
  }

  // What is said of a hidden workload tells neither its shape nor its values.
  std::string Describe(const Case& one, const Argument& argument, const Comparison& compared,
                       Tolerance tolerance) const {
    char allowed[80] = "are not equal";
    if (IsFloat(argument.dtype)) {
      std::snprintf(allowed, sizeof(allowed), "outside rtol %g atol %g", tolerance.rtol,
                    tolerance.atol);
    }
    if (one.hidden) {
      char text[160];
      std::snprintf(
          text, sizeof(text), "%.2g %% of the elements %s",
          100.0 * static_cast<double>(compared.wrong) / static_cast<double>(compared.elements),
          allowed);
      return Place(one) + ": " + argument.name + " is wrong, " + text;
    }
    std::vector<uint64_t> dims;
    for (const Program& dim : argument.dims) {
      const Result<double> value = EvaluateOver(dim, one.axes);
      dims.push_back(value.ok() ? static_cast<uint64_t>(*value) : 1);
    }
    return argument.name + IndexText(compared.first_wrong, dims) + " is " + compared.got +
           ", expected " + compared.expected + " (" + Place(one) +
           "): " + std::to_string(compared.wrong) + " of " + std::to_string(compared.elements) +
           " elements " + allowed;
  }

  static std::string Place(const Case& one) {
    if (one.hidden) return "held-out workload";
    return "workload " + one.workload + ", seed " + std::to_string(one.seed);
  }

  // The runner's own deadlines end before the engine's.
  Clock::duration TimeLeft() const {
    if (job_.running_limit_ms == 0) return std::chrono::hours(1);
    const Clock::duration left =
        milliseconds(job_.running_limit_ms) * 9 / 10 - (Clock::now() - begin_);
    return std::max<Clock::duration>(left, milliseconds(100));
  }

  void KeepOutput(const RunnerProcess& runner) {
    if (std::string text = runner.StandardOutput(); !text.empty()) output_ = std::move(text);
    if (std::string text = runner.StandardError(); !text.empty()) error_ = std::move(text);
  }

  const Job& job_;
  StageContext& context_;
  const Task& task_;
  const Clock::time_point begin_;
  const uint64_t secret_;
  bool full_ = true;
  RunnerOptions candidate_;
  RunnerOptions reference_;
  std::string reference_sha256_;
  std::string output_;  // of the last process that printed anything
  std::string error_;
  double worst_error_ = 0;
  uint64_t bit_differences_ = 0;
};

}  // namespace

JobResult HandleVerify(const Job& job, StageContext& context) {
  Result<std::shared_ptr<const LoadedRun>> run = context.Run();
  if (!run.ok()) return Failed(run.error());
  const Target* target = TargetOf(**run, job);
  if (target == nullptr) {
    return Failed(FailureClass::kTaskBroken, "the run has no target " + job.target);
  }
  return Verification(job, context, (*run)->task, *target).Run();
}

}  // namespace kev
