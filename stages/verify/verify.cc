#include "stages/verify/verify.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <set>

#include "engine/core/random.h"
#include "stages/verify/call_shape.h"
#include "stages/verify/cases.h"
#include "stages/verify/compare.h"
#include "stages/verify/judging.h"
#include "stages/verify/poison.h"
#include "stages/verify/prepared_case.h"
#include "stages/verify/task_code.h"

namespace kev {
namespace {

using Clock = RunnerProcess::Clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Clock::duration kReferenceDeadline = seconds(60);

// All cases of one shape, in the order of the check.
struct ShapeCases {
  std::vector<Case> cases;
};

std::vector<ShapeCases> ByShape(const std::vector<Case>& cases) {
  std::vector<ShapeCases> shapes;
  for (const Case& one : cases) {
    if (shapes.empty() || shapes.back().cases.back().axes != one.axes) shapes.emplace_back();
    shapes.back().cases.push_back(one);
  }
  return shapes;
}

class Verification {
 public:
  Verification(const Job& job, StageContext& context, const Task& task, const Target& target)
      : job_(job),
        context_(context),
        task_(task),
        target_(target),
        begin_(Clock::now()),
        secret_(SecretSeed(job)),
        full_(job.settings["rigor"].AsString() != "smoke"),
        arguments_(AllArguments(task)) {}

  JobResult Run() {
    const std::vector<const Artefact*> candidates = WithRole(job_, "candidate");
    if (candidates.empty())
      return Failed(FailureClass::kTaskBroken, "verify job " + job_.label + " has no candidate");
    Result<TaskCode> code = FetchTaskCode(job_, &context_, task_, target_);
    if (!code.ok()) return Failed(code.error());
    code_ = std::move(*code);
    Result<RunnerOptions> candidate =
        Runnable(*candidates.front(), "candidate.so", &context_, task_, target_);
    if (!candidate.ok()) return Failed(candidate.error());
    candidate_ = std::move(*candidate);
    candidate_.patient = true;
    Result<std::vector<Case>> cases =
        full_ ? FullCasesWithValues(task_, secret_) : SmokeCases(task_);
    if (!cases.ok()) return Failed(FailureClass::kTaskBroken, cases.error().message);
    std::sort(cases->begin(), cases->end(), [](const Case& a, const Case& b) {
      return std::tie(a.hidden, a.axes, a.values, a.workload, a.seed) <
             std::tie(b.hidden, b.axes, b.values, b.workload, b.seed);
    });
    JobResult result;
    for (const ShapeCases& shape : ByShape(*cases)) {
      if (context_.Cancelled().load()) {
        result = Refused(Verdict::kCancelled, "cancelled");
        break;
      }
      const Clock::time_point begin = Clock::now();
      result = RunShape(shape.cases);
      // How long a kernel takes on a shape is its own choice, too.
      if (shape.cases.front().hidden) unseen_ += Clock::now() - begin;
      if (result.failure.has_value()) return result;
      if (result.verdict != Verdict::kOk) break;
    }
    Report(&result);
    return result;
  }

 private:
  void Report(JobResult* result) {
    AttachOutput(output_, error_, &context_, result);
    result->facts.Set("workloads", static_cast<int64_t>(workloads_.size()));
    result->facts.Set("held_out", static_cast<int64_t>(hidden_.size()));
    result->facts.Set("cases", static_cast<int64_t>(done_));
    result->facts.Set("worst_error", worst_error_);
    if (errors_.IsMap()) result->facts.Set("errors", errors_);
    if (full_) result->facts.Set("bit_differences", static_cast<int64_t>(bit_differences_));
    if (full_) result->facts.Set("deterministic", deterministic_);
    result->facts.Set("isolation", isolation_);
    result->usage.wall_ms =
        std::chrono::duration<double, std::milli>(Clock::now() - begin_ - unseen_).count();
  }

  // One process for all cases of a shape: what it keeps from one case must not serve in another.
  JobResult RunShape(const std::vector<Case>& cases) {
    Result<PreparedCases> prepared =
        PrepareCases(task_, code_, cases, secret_, std::min(kReferenceDeadline, TimeLeft()),
                     context_.CacheFolder());
    if (!prepared.ok()) return Failed(prepared.error());
    if (!prepared->broken.empty()) {
      return Failed(
          FailureClass::kTaskBroken,
          "task " + task_.name + ", workload " + cases.front().workload + ": " + prepared->broken);
    }
    Result<CallSpec> call = CallShape(task_, cases.front().axes);
    if (!call.ok()) return Failed(FailureClass::kTaskBroken, call.error().message);
    if (Status s = SetLaunches(task_, {cases.front().axes}, &candidate_.device); !s.ok())
      return Refused(Verdict::kUnusable, Place(cases.front()) + ": " + s.error().message);
    // A device's memory has no page that cannot be touched: there canaries tell.
    const Protection protection = !candidate_.device.on_host() ? Protection::kNone
                                  : full_                      ? Protection::kGuards
                                                               : Protection::kInputs;
    auto arena = Arena::Make({*call}, {2}, protection, Mix64(secret_ ^ done_));
    if (!arena.ok()) return Failed(FailureClass::kTaskBroken, arena.error().message);
    auto process = RunnerProcess::Start(candidate_, **arena);
    if (!process.ok()) return Failed(process.error());
    JobResult result = RunIn(**process, cases, prepared->cases, arena->get());
    // What it prints of a shape that is held out is nobody's to read.
    if (!cases.front().hidden) {
      if (std::string text = (*process)->StandardOutput(); !text.empty()) output_ = std::move(text);
      if (std::string text = (*process)->StandardError(); !text.empty()) error_ = std::move(text);
    }
    isolation_ = (*process)->isolation();
    return result;
  }

  JobResult RunIn(RunnerProcess& runner, const std::vector<Case>& cases,
                  const std::vector<std::shared_ptr<const PreparedCase>>& prepared, Arena* arena) {
    Outcome outcome = runner.Prepare();
    if (outcome.ok()) outcome = runner.Load(Deadline(*prepared.front()));
    if (!outcome.ok()) return RefusedFor(outcome, cases.front());
    for (size_t i = 0; i < cases.size(); ++i) {
      JobResult result = RunCase(runner, *prepared[i], arena);
      if (result.failure.has_value() || result.verdict != Verdict::kOk) return result;
      ++done_;
      workloads_.insert(cases[i].workload);
      if (cases[i].hidden) hidden_.insert(cases[i].workload);
    }
    OrderTimes times;
    if (!candidate_.teardown.empty()) {
      outcome = runner.TearDown(0, Deadline(*prepared.front()), &times);
      if (!outcome.ok()) return RefusedFor(outcome, cases.back());
    }
    // What was printed is written before the next order is done.
    outcome = runner.Touch(0, {}, Deadline(*prepared.front()), &times);
    return outcome.ok() ? JobResult() : RefusedFor(outcome, cases.back());
  }

  JobResult RefusedFor(const Outcome& outcome, const Case& one) {
    if (outcome.kind == Outcome::Kind::kBroken)
      return Failed(FailureClass::kInfrastructure, outcome.message);
    const std::string brief = outcome.brief.empty() ? Name(VerdictOf(outcome.kind)) : outcome.brief;
    return RefusedOn(one, VerdictOf(outcome.kind), Place(one) + ": " + outcome.message, brief);
  }

  // Whatever else a kernel could choose on a hidden shape (a status, a signal, a call, how much is
  // wrong) would tell of it.
  static JobResult RefusedOn(const Case& one, Verdict verdict, const std::string& message,
                             const std::string& brief) {
    return Refused(verdict, one.hidden ? Place(one) + ": " + brief : message);
  }

  // Full checks call twice, in two places and on other poison.
  JobResult RunCase(RunnerProcess& runner, const PreparedCase& prepared, Arena* arena) {
    const Clock::duration deadline = Deadline(prepared);
    const uint16_t calls = full_ ? 2 : 1;
    std::string faults[2];
    for (uint16_t slot = 0; slot < calls; ++slot) {
      if (Outcome outcome = runner.Freeze(); !outcome.ok())
        return RefusedFor(outcome, prepared.one);
      Put(prepared, slot, arena);
      OrderTimes times;
      if (!candidate_.setup.empty() && slot == 0) {
        if (Outcome outcome = runner.SetUp(0, deadline, &times); !outcome.ok())
          return RefusedFor(outcome, prepared.one);
      }
      Outcome outcome = runner.Call(0, {&slot, 1}, deadline, &times);
      // Stopped, nothing that it left running can finish the work now.
      if (outcome.ok()) outcome = runner.Freeze();
      if (!outcome.ok()) return RefusedFor(outcome, prepared.one);
      faults[slot] = JudgeSlot(prepared, *arena, slot);
    }
    if (calls == 2) {
      CountBitDifferences(*arena, prepared.one.hidden);
      if (faults[0].empty() != faults[1].empty()) {
        const std::string how = "of two calls with the same input one is wrong";
        return RefusedOn(prepared.one, Verdict::kNondeterministic,
                         how + ": " + faults[0] + faults[1], how);
      }
    }
    if (faults[0].empty()) return JobResult();
    return RefusedOn(prepared.one, Verdict::kWrong, faults[0], "what it left is wrong");
  }

  void Put(const PreparedCase& prepared, uint32_t slot, Arena* arena) {
    const Arrays poison = PoisonFor(arguments_, prepared, Mix64(secret_ ^ (done_ * 2 + slot)));
    for (size_t a = 0; a < arguments_.size(); ++a) {
      const std::string& from = IsInput(*arguments_[a]) ? prepared.inputs[a] : poison[a];
      if (char* to = arena->Array(0, slot, a); to != nullptr && !from.empty())
        std::memcpy(to, from.data(), from.size());
    }
  }

  // "" or what is wrong with what a call left in its slot.
  std::string JudgeSlot(const PreparedCase& prepared, const Arena& arena, uint32_t slot) {
    const std::string place = Place(prepared.one);
    if (std::string broken = arena.BrokenCanary(0, slot); !broken.empty())
      return place + ": it " + broken;
    std::string fault;
    for (size_t a = 0; a < arguments_.size(); ++a) {
      const Argument& argument = *arguments_[a];
      const char* at = arena.Array(0, slot, a);
      if (IsInput(argument) && !IsOutput(argument)) {
        if (std::memcmp(at, prepared.inputs[a].data(), prepared.inputs[a].size()) != 0)
          return place + ": it changed its input " + argument.name;
      }
      if (!IsOutput(argument)) continue;
      const std::string_view got(at, arena.calls()[0].arguments[a].bytes());
      const ErrorStatistics statistics = prepared.judges[a]->Judge(got);
      Note(prepared, argument, statistics);
      if (!statistics.accepted && fault.empty())
        fault = Describe(prepared.one, argument, statistics);
    }
    return fault;
  }

  // The statistics of the worst output so far are kept for the record; errors on a hidden shape,
  // even small ones, could spell it out.
  void Note(const PreparedCase& prepared, const Argument& argument,
            const ErrorStatistics& statistics) {
    if (prepared.one.hidden) return;
    const double worst = std::max(
        {statistics.of_allowed.median, statistics.of_allowed.p999, statistics.of_allowed.max});
    if (errors_.IsMap() && worst <= worst_error_) return;
    worst_error_ = std::max(worst, worst_error_);
    const Result<std::vector<uint64_t>> dims = Dimensions(argument, prepared.one.axes);
    errors_ = ToValue(statistics, dims.ok() ? *dims : std::vector<uint64_t>());
    errors_.Set("output", argument.name);
    errors_.Set("case", Place(prepared.one));
  }

  void CountBitDifferences(const Arena& arena, bool hidden) {
    if (hidden) return;  // a kernel could choose the bits
    for (size_t a = 0; a < arguments_.size(); ++a) {
      if (!IsOutput(*arguments_[a])) continue;
      const size_t size = SizeOf(arguments_[a]->dtype);
      const uint64_t bytes = arena.calls()[0].arguments[a].bytes();
      const char* first = arena.Array(0, 0, a);
      const char* second = arena.Array(0, 1, a);
      if (std::memcmp(first, second, bytes) == 0) continue;
      deterministic_ = false;
      for (uint64_t at = 0; at + size <= bytes; at += size)
        bit_differences_ += std::memcmp(first + at, second + at, size) != 0;
    }
  }

  static std::string Describe(const Case& one, const Argument& argument,
                              const ErrorStatistics& statistics) {
    const Result<std::vector<uint64_t>> dims = Dimensions(argument, one.axes);
    return argument.name +
           IndexText(statistics.worst, dims.ok() ? *dims : std::vector<uint64_t>()) + " is " +
           statistics.got + ", expected " + statistics.expected + " (" + Place(one) +
           "): " + statistics.reason;
  }

  static std::string Place(const Case& one) {
    return one.hidden ? std::string("held-out workload") : CaseText(one);
  }

  // A kernel may be slower than the reference, but not by any amount; on denormals, infinities and
  // NaNs a CPU can be a hundred times as slow with one kernel and not with another.
  Clock::duration Deadline(const PreparedCase& prepared) const {
    const auto fair = std::chrono::nanoseconds(static_cast<int64_t>(prepared.reference_ns * 200));
    const seconds least(prepared.one.values == ValueClass::kFill ? 2 : 20);
    return std::min<Clock::duration>(std::clamp<Clock::duration>(fair, least, seconds(30)),
                                     TimeLeft());
  }

  // The runner's own deadlines end before the engine's.
  Clock::duration TimeLeft() const {
    if (job_.running_limit_ms == 0) return std::chrono::hours(1);
    const Clock::duration left =
        milliseconds(job_.running_limit_ms) * 9 / 10 - (Clock::now() - begin_);
    return std::max<Clock::duration>(left, milliseconds(100));
  }

  const Job& job_;
  StageContext& context_;
  const Task& task_;
  const Target& target_;
  const Clock::time_point begin_;
  const uint64_t secret_;
  const bool full_;
  const std::vector<const Argument*> arguments_;
  TaskCode code_;
  RunnerOptions candidate_;
  std::set<std::string> workloads_, hidden_;
  std::string output_;  // of the last process that printed anything
  std::string error_;
  std::string isolation_;
  Value errors_;
  uint64_t done_ = 0;
  double worst_error_ = 0;
  bool deterministic_ = true;  // on shapes that are not hidden
  uint64_t bit_differences_ = 0;
  Clock::duration unseen_{};  // spent on hidden shapes
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
