#include "stages/profile/profile.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "configs/units.h"
#include "engine/core/random.h"
#include "runners/measurement/core_lock.h"
#include "runners/measurement/core_visit.h"
#include "runners/measurement/measure.h"
#include "stages/profile/call_work.h"
#include "stages/profile/count_twin.h"
#include "stages/profile/explain.h"
#include "stages/profile/floors.h"
#include "stages/profile/hardware_counts.h"
#include "stages/profile/machine_figures.h"
#include "stages/profile/strongest.h"
#include "stages/profile/summary.h"
#include "stages/profile/timed_set.h"
#include "stages/verify/cases.h"
#include "stages/verify/judging.h"
#include "stages/verify/task_code.h"

namespace kev {
namespace {

using Clock = RunnerProcess::Clock;

constexpr uint32_t kScreenLaunches = 1;
// Of the closing measurement. Their number is fixed, since all who take part are compared with each
// other: there is no one question after whose answer it could stop.
constexpr uint32_t kClaimLaunches = 15;
// At most, where ten do not tell.
constexpr uint32_t kMostFinalLaunches = 40;
// Further baselines are for information: few launches, and one where they are far behind.
constexpr uint32_t kOtherLaunches = 3;
constexpr double kFarBehind = 3;
constexpr double kMostApart = 0.01;  // two clocks, of a suspect time
// Another stream of random choices for a measurement that is made again.
constexpr uint64_t kAgain = 0x616761696e;

double Milliseconds(Clock::duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

// `give_up`: a multiple of the strongest baseline's time, or a duration of one call. Infinite when
// not given.
struct GiveUp {
  double multiple = HUGE_VAL;
  double call_ns = HUGE_VAL;
};
GiveUp GiveUpFrom(const std::string& text) {
  GiveUp rule;
  if (text.ends_with('x')) {
    rule.multiple = ParseNumber(text.substr(0, text.size() - 1)).value_or(HUGE_VAL);
  } else if (const std::optional<uint64_t> ms = ParseDurationMs(text)) {
    rule.call_ns = static_cast<double>(*ms) * 1e6;
  }
  return rule;
}

class Profiling {
 public:
  Profiling(const Job& job, StageContext& context, const Task& task, const Target& target)
      : job_(job), context_(context), task_(task), target_(target), begin_(Clock::now()) {
    contest_.final = job.settings["rigor"].AsString() == "final";
  }

  JobResult Run() {
    Result<TaskCode> code = FetchTaskCode(job_, &context_, task_, target_);
    if (!code.ok()) return Failed(code.error());
    Result<int> core = TimingCore(target_.cores);
    if (!core.ok()) return Failed(FailureClass::kTaskBroken, core.error().message);
    if (Status ready = FetchAll(); !ready.ok()) return Failed(ready.error());
    if (baselines_.empty())
      return Failed(FailureClass::kTaskBroken, "task " + task_.name + " has no usable baseline");

    Result<CoreLock> held = CoreLock::Take(
        *core, context_.Cancelled(), [&](const std::string& note) { context_.Progress(-1, note); });
    if (!held.ok()) {
      return context_.Cancelled().load() ? Refused(Verdict::kCancelled, "cancelled")
                                         : Failed(held.error());
    }
    const Clock::time_point held_since = Clock::now();
    // A reference that is started to be asked later stays off the core that is timed on.
    const CoreAvoidance away(*core);
    Result<std::shared_ptr<TimedSet>> set =
        TimedSetFor(job_, &context_, task_, *code, contest_.final);
    if (!set.ok()) return Failed(set.error());
    set_ = *set;
    if (!set_->broken.empty())
      return Failed(FailureClass::kTaskBroken, "task " + task_.name + ", " + set_->broken);
    if (set_->visible == 0)
      return Failed(FailureClass::kTaskBroken, "task " + task_.name + " has no visible workload");
    JobResult result = LayOut() ? RunOn(*core) : Refused(Verdict::kUnusable, unusable_);
    result.usage.device_ms = Milliseconds(Clock::now() - held_since);
    {
      const CoreLock given_back = std::move(*held);
    }  // others need not wait for explanations
    AddExplanation(&result);
    result.usage.wall_ms = Milliseconds(Clock::now() - begin_);
    if (!result.failure.has_value() && result.verdict != Verdict::kOk) {
      for (const char* name : {"speedup", "speedup_low", "speedup_high"})
        result.facts.Set(name, 0.0);
      result.facts.Set("fidelity", contest_.final ? "final" : "screen");
    }
    return result;
  }

 private:
  Result<Contestant> Fetched(const Artefact& artefact) {
    Result<std::string> bytes = context_.Fetch(artefact.blob);
    if (!bytes.ok()) return bytes.error();
    return Contestant{artefact.role,
                      artefact.name,
                      std::move(*bytes),
                      SymbolOf(artefact, task_),
                      0,
                      artefact.role == "baseline",
                      DeviceOf(artefact)};
  }

  // What the compiler said of the candidate; a profile may be without.
  void FetchRemarks(const Artefact& artefact) {
    const Value& ref = artefact.launch["remarks"];
    if (!ref["sha256"].IsString()) return;
    const Result<std::string> text =
        context_.Fetch({ref["sha256"].AsString(), static_cast<uint64_t>(ref["size"].AsInt())});
    if (text.ok()) remarks_ = RemarksFrom(*text);
  }

  Status FetchAll() {
    bool has_candidate = false;
    for (const Artefact& artefact : job_.artefacts) {
      if (artefact.role != "candidate" && artefact.role != "baseline" &&
          artefact.role != "incumbent" && artefact.role != "rival")
        continue;
      Result<Contestant> contestant = Fetched(artefact);
      if (!contestant.ok()) return contestant.error();
      if (artefact.role == "baseline")
        baselines_.push_back(std::move(*contestant));
      else if (artefact.role == "incumbent")
        incumbent_ = std::move(*contestant);
      else if (artefact.role == "rival")
        rivals_.push_back(std::move(*contestant));
      else if (!std::exchange(has_candidate, true)) {
        candidate_ = std::move(*contestant);
        FetchRemarks(artefact);
      }
    }
    // Without a candidate it is the run's calibration: which baseline is the strongest.
    calibration_ = !has_candidate && !job_.candidate.has_value();
    if (has_candidate || calibration_) return {};
    return Error{Code::kInvalid, "profile job " + job_.label + " has no candidate"};
  }

  // How each kernel is launched for the set's shapes. False: a candidate says nothing that can be
  // used; baselines were verified.
  bool LayOut() {
    std::vector<Axes> shapes;
    for (const Workload& workload : set_->workloads) shapes.push_back(workload.axes);
    const auto lay_out = [&](Contestant* one) {
      const Status s = SetLaunches(task_, shapes, &one->device);
      if (!s.ok()) unusable_ = one->role + " " + one->name + ": " + s.error().message;
      return s.ok();
    };
    bool good = lay_out(&candidate_) && (incumbent_.library.empty() || lay_out(&incumbent_));
    for (Contestant& rival : rivals_) good = good && lay_out(&rival);
    for (Contestant& baseline : baselines_) good = good && lay_out(&baseline);
    return good;
  }

  JobResult RunOn(int core) {
    MeasureOptions options;
    options.core = core;
    options.folder = context_.Scratch();
    options.runner = RunnerFor(task_, target_);
    options.cache = task_.cold_cache ? CacheState::kCold : CacheState::kWarm;
    options.seed = Mix64(SecretSeed(job_) ^ job_.seed);
    options.stream = job_.label;
    options.cancelled = &context_.Cancelled();
    if (job_.running_limit_ms > 0) {
      options.deadline =
          std::chrono::milliseconds(std::max<uint32_t>(job_.running_limit_ms / 2, 100));
    }
    const std::optional<Ranking> known = RankingFrom(job_.settings["ranking"], baselines_);
    Result<Ranking> ranking =
        known ? Result<Ranking>(*known) : RankBaselines(baselines_, *set_, options);
    if (!ranking.ok()) return Failed(ranking.error());
    if (ranking->refusal.has_value()) {
      contest_.contestants = baselines_;
      return FailedBaseline(*ranking->refusal);
    }
    if (context_.Cancelled().load()) return Refused(Verdict::kCancelled, "cancelled");
    if (calibration_) {
      JobResult result;
      result.facts.Set("baseline", ranking->baselines.front().name);
      result.facts.Set("ranking", RankingFact(*ranking));
      result.message = "the strongest baseline is " + ranking->baselines.front().name;
      return result;
    }
    if (!contest_.final && !incumbent_.library.empty()) {
      contest_.anchor =
          AnchorFrom(job_.settings["incumbent"], *set_, ranking->baselines.front().time_ns);
    }
    Enter(*ranking);

    const auto launches = static_cast<uint32_t>(job_.settings["launches"].AsInt());
    const bool claim = job_.settings["claim"].AsBool();
    options.rounds = launches > 0      ? launches
                     : !contest_.final ? kScreenLaunches
                     : claim           ? kClaimLaunches
                                       : kMostFinalLaunches;
    contest_.sequential = contest_.final && !claim && launches == 0;
    if (!contest_.final) options.look_every = 2;  // of few windows, and a search has many tries
    if (contest_.final) {
      options.windows = 12;
      options.most_windows = 48;
      options.least_windows = 4;
      options.turn_ns = 5e6;
    }
    const GiveUp give_up =
        contest_.final ? GiveUp() : GiveUpFrom(job_.settings["give_up"].AsString());
    const auto enough = [&](const Measurement& so_far) {
      if (contest_.sequential) {
        return so_far.CallTimes(contest_.candidate, 0).size() >= kFinalLaunches &&
               (OutOfTime() || IsDecided(so_far, *set_, contest_));
      }
      const double candidate = WeightedTimeNs(so_far, *set_, contest_.candidate);
      return candidate > give_up.multiple * BaselineTimeNs(so_far, *set_, contest_) ||
             candidate > give_up.call_ns;
    };
    Result<Measurement> measured = MeasureContest(options, enough);
    if (!measured.ok()) return Failed(measured.error());
    JobResult result = Judge(*measured);
    if (!contest_.final || !result.facts["suspect"].AsBool()) return result;
    options.seed = Mix64(options.seed ^ kAgain);
    options.stream += "/again";
    Result<Measurement> again = MeasureContest(options, enough);
    if (!again.ok()) return Failed(again.error());
    for (const Measurement* one : {&*measured, &*again}) {
      if (const double apart = ClocksApart(*one, *set_, contest_); apart > kMostApart) {
        char text[200];
        std::snprintf(text, sizeof(text),
                      "a time above the machine's measured peak cannot be believed: its two clocks "
                      "are %.1f %% apart",
                      100 * apart);
        return Failed(FailureClass::kInfrastructure, text);
      }
    }
    return Slower(std::move(result), Judge(*again));
  }

  // A rival or an incumbent that fails is left out and told of: the candidate is not to blame.
  Result<Measurement> MeasureContest(const MeasureOptions& options,
                                     const std::function<bool(const Measurement&)>& enough) {
    for (;;) {
      Result<Measurement> measured =
          Measure(contest_.contestants, set_->arena.get(), set_->values.get(), options, enough);
      if (!measured.ok()) return measured;
      if (!measured->refusal.has_value()) {
        if (!contest_.anchor || measured->cancelled ||
            Holds(*contest_.anchor, *measured, *set_, contest_.incumbent))
          return measured;
        LeaveOutIncumbent("it is not as fast as it was measured to be");
        continue;
      }
      const Refusal& refusal = *measured->refusal;
      const auto rival =
          std::find(contest_.rivals.begin(), contest_.rivals.end(), refusal.contestant);
      const bool is_rival = rival != contest_.rivals.end();
      const bool is_incumbent = contest_.incumbent != 0 && refusal.contestant == contest_.incumbent;
      if ((!is_rival && !is_incumbent) || refusal.outcome.kind == Outcome::Kind::kBroken)
        return measured;
      if (is_incumbent) {
        LeaveOutIncumbent(refusal.outcome.message);
        continue;
      }
      left_out_.Set(contest_.contestants[refusal.contestant].name)
          .Set("refused", refusal.outcome.message);
      contest_.rivals.erase(rival);
      LeaveOut(refusal.contestant);
    }
  }

  void LeaveOutIncumbent(const std::string& why) {
    incumbent_left_out_.Set("name", incumbent_.name);
    incumbent_left_out_.Set("refused", why);
    LeaveOut(std::exchange(contest_.incumbent, 0));
    contest_.anchor.reset();
    contest_.contestants[contest_.baseline].called = true;
  }

  void LeaveOut(size_t contestant) {
    contest_.contestants.erase(contest_.contestants.begin() + static_cast<ptrdiff_t>(contestant));
    for (std::vector<size_t>* indices : {&contest_.rivals, &contest_.others}) {
      for (size_t& index : *indices) index -= index > contestant ? 1 : 0;
    }
  }

  // Further launches are made in the first half of the time that the step has, at most.
  bool OutOfTime() const {
    return job_.running_limit_ms > 0 &&
           Milliseconds(Clock::now() - begin_) > job_.running_limit_ms / 2.0;
  }

  // What a suspect measurement and the one that was made because of it say together. A refusal
  // stands, whichever says it.
  static JobResult Slower(JobResult first, JobResult second) {
    if (second.failure.has_value() || second.verdict != Verdict::kOk) return second;
    const auto speed = [](const JobResult& r) { return r.facts["speedup_low"].AsDouble(); };
    const bool keep_first = speed(first) < speed(second);
    JobResult& kept = keep_first ? first : second;
    const JobResult& other = keep_first ? second : first;
    kept.blobs["samples_other"] = other.blobs.at("samples");
    // One of the two alone is not enough for a claim.
    kept.facts.Set("faster", kept.facts["faster"].AsBool() && other.facts["faster"].AsBool());
    kept.message += "; measured twice, since a time was suspect, and the slower one kept";
    return std::move(kept);
  }

  void Enter(const Ranking& ranking) {
    const double fastest = ranking.baselines.front().time_ns;
    contest_.launch_band = ranking.launch_band;
    const auto baseline = [&](const std::string& name) {
      return *std::find_if(baselines_.begin(), baselines_.end(),
                           [&](const Contestant& c) { return c.name == name; });
    };
    std::vector<Contestant>& all = contest_.contestants;
    all.push_back(baseline(ranking.baselines.front().name));
    all.push_back(candidate_);
    if (contest_.final) {
      contest_.control = all.size();
      all.push_back(all[contest_.baseline]);
      all.back().role = "control";
    }
    if (!incumbent_.library.empty() && (contest_.final || contest_.anchor)) {
      contest_.incumbent = all.size();
      all.push_back(incumbent_);
    }
    all[contest_.baseline].called = !contest_.anchor;
    if (!contest_.final) return;
    for (const Contestant& rival : rivals_) {
      contest_.rivals.push_back(all.size());
      all.push_back(rival);
    }
    for (size_t i = 1; i < ranking.baselines.size(); ++i) {
      contest_.others.push_back(all.size());
      all.push_back(baseline(ranking.baselines[i].name));
      all.back().launches =
          ranking.baselines[i].time_ns > kFarBehind * fastest ? 1 : kOtherLaunches;
    }
  }

  // A process is called on held-out shapes, too: whatever it chooses to say could tell of them.
  bool SeesHeldOut() const {
    return std::any_of(set_->workloads.begin(), set_->workloads.end(),
                       [](const Workload& workload) { return workload.held_out; });
  }
  std::string Told(const Outcome& outcome) const {
    const std::string& words = SeesHeldOut() ? outcome.brief : outcome.message;
    return words.empty() ? "" : ": " + words;
  }
  void AttachPrinted(const std::string& output, const std::string& error, JobResult* result) {
    if (!SeesHeldOut()) AttachOutput(output, error, &context_, result);
  }

  JobResult Judge(const Measurement& measured) {
    if (measured.cancelled) return Refused(Verdict::kCancelled, "cancelled");
    if (measured.refusal.has_value()) {
      const Refusal& refusal = *measured.refusal;
      if (refusal.contestant != contest_.candidate) return FailedBaseline(refusal);
      if (refusal.outcome.kind == Outcome::Kind::kBroken) {
        return Failed(FailureClass::kInfrastructure, refusal.outcome.message);
      }
      JobResult result = Refused(refusal.wrong ? Verdict::kWrong : VerdictOf(refusal.outcome.kind),
                                 (refusal.wrong ? "while it was timed on " : "on ") +
                                     set_->PlaceOf(refusal.call) + Told(refusal.outcome));
      AttachPrinted(refusal.output, refusal.error, &result);
      return result;
    }
    JobResult result;
    result.facts = FactsOf(measured, *set_, task_, contest_);
    for (const auto& [rival, why] : left_out_.AsMap())
      result.facts.Set("head_to_head").Set(rival, why);
    if (!incumbent_left_out_.IsNull()) result.facts.Set("incumbent", incumbent_left_out_);
    if (!candidate_.device.on_host()) result.facts.Set("trust", "A");
    AttachPrinted(measured.outputs[contest_.candidate], measured.errors[contest_.candidate],
                  &result);
    result.blobs["samples"] = context_.Attach(SamplesBlob(measured, *set_, contest_));
    const JudgeFloor floor =
        JudgeFloors(TimedWorkOf(result.facts, *set_, task_), Machine(result.facts), target_);
    if (floor.floor_ns > 0) result.facts.Set("floor_ns", floor.floor_ns);
    result.facts.Set("suspect", floor.suspect);
    if (floor.impossible) {
      result.verdict = Verdict::kImpossible;
      result.message = floor.why;
    } else {
      char text[200];
      std::snprintf(text, sizeof(text), "%.3g times as fast as %s [%.3g, %.3g], %lld launches%s",
                    result.facts["speedup"].AsDouble(), result.facts["baseline"].AsString().c_str(),
                    result.facts["speedup_low"].AsDouble(), result.facts["speedup_high"].AsDouble(),
                    static_cast<long long>(result.facts["launches"].AsInt()),
                    measured.stopped && !contest_.final ? ", given up" : "");
      result.message = text;
      if (floor.suspect) result.message += "; suspect: " + floor.why;
    }
    return result;
  }

  MachineFigures Machine(const Value& facts) {
    if (!candidate_.device.on_host()) return FiguresOfDevice(target_);
    namespace fs = std::filesystem;
    // The stage's cache is <home>/cache/<stage>.
    const std::string home = fs::path(context_.CacheFolder()).parent_path().parent_path().string();
    return FiguresOfThisMachine(home, target_, facts["conditions"]["clock_ghz"].AsDouble() * 1e9);
  }

  // Facts `bottleneck` and the blob `profile` of what was measured.
  void AddExplanation(JobResult* result) {
    if (result->failure.has_value() || !result->facts.Has("latency_ns")) return;
    KernelProfile code = candidate_.device.on_host()
                             ? StaticProfile(candidate_.library, candidate_.symbol, contest_.final)
                             : DeviceProfile(candidate_.library, candidate_.symbol);
    if (remarks_)
      code.remarks = *remarks_;
    else
      code.absent.emplace_back("remarks: the compiler says nothing of vectorisation");
    const std::vector<TimedWork> timed = TimedWorkOf(result->facts, *set_, task_);
    if (contest_.final && candidate_.device.on_host()) AddCounts(timed, &code);
    const Explanation why = Explain(timed, Machine(result->facts), std::move(code));
    result->facts.Set("bottleneck", why.bottleneck);
    Value& workloads = result->facts.Set("workloads");
    for (const auto& [name, bottleneck] : why.by_workload)
      workloads.Set(name).Set("bottleneck", bottleneck);
    result->blobs["profile"] = context_.Attach(ToJson(why.record));
  }

  // Counted on the visible workload on which most time is spent of those that are quick enough,
  // else on the quickest.
  void AddCounts(const std::vector<TimedWork>& timed, KernelProfile* code) {
    const auto rank = [](const TimedWork& work) {
      const bool quick = work.ns <= kQuickCountedNs;
      return std::pair(quick, quick ? work.weight * work.ns : -work.ns);
    };
    const TimedWork* on = nullptr;
    for (const TimedWork& one : timed) {
      if (one.held_out || one.ns <= 0) continue;
      if (on == nullptr || rank(one) > rank(*on)) on = &one;
    }
    if (on == nullptr) return;
    const auto workload = std::find_if(set_->workloads.begin(), set_->workloads.end(),
                                       [&](const Workload& w) { return w.name == on->name; });
    if (workload == set_->workloads.end()) return;
    const Result<CallCounts> counts = CountTwin(job_, &context_, task_, target_, *workload, on->ns);
    if (counts.ok()) {
      code->counts = *counts;
      code->counted = on->name;
    } else {
      code->absent.push_back("counts: " + counts.error().message);
    }
    const auto call = static_cast<size_t>(workload - set_->workloads.begin());
    const Result<HardwareCounts> hardware =
        CountByHardware(candidate_, *set_, call, RunnerFor(task_, target_), context_.Scratch());
    if (hardware.ok()) {
      code->hardware = hardware->all;
      code->hardware_calls = hardware->calls;
    } else {
      code->absent.push_back("hardware counters: " + hardware.error().message);
    }
  }

  // A baseline was verified before the search and an incumbent measured before, so a candidate is
  // not to blame.
  JobResult FailedBaseline(const Refusal& refusal) const {
    const Contestant& who = contest_.contestants[refusal.contestant];
    // The calibration says whether the task's baselines can be measured at all. What befalls one
    // later (killed, held up, an implausible clock) is the machine's doing and is tried again.
    const bool of_task = calibration_ && refusal.outcome.kind != Outcome::Kind::kBroken &&
                         refusal.outcome.kind != Outcome::Kind::kCheated;
    return Failed(of_task ? FailureClass::kTaskBroken : FailureClass::kInfrastructure,
                  who.role + " " + who.name + " cannot be measured: " + refusal.outcome.message);
  }

  const Job& job_;
  StageContext& context_;
  const Task& task_;
  const Target& target_;
  const Clock::time_point begin_;
  std::shared_ptr<TimedSet> set_;
  std::vector<Contestant> baselines_;
  Contestant candidate_;
  std::optional<std::vector<Remark>> remarks_;
  bool calibration_ = false;
  std::string unusable_;
  Contestant incumbent_;
  std::vector<Contestant> rivals_;
  Value left_out_;            // map rival -> {refused: why}
  Value incumbent_left_out_;  // {name, refused: why}
  Contest contest_;
};

}  // namespace

JobResult HandleProfile(const Job& job, StageContext& context) {
  Result<std::shared_ptr<const LoadedRun>> run = context.Run();
  if (!run.ok()) return Failed(run.error());
  const Target* target = TargetOf(**run, job);
  if (target == nullptr)
    return Failed(FailureClass::kTaskBroken, "the run has no target " + job.target);
  return Profiling(job, context, (*run)->task, *target).Run();
}

}  // namespace kev
