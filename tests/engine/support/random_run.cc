#include "tests/engine/support/random_run.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "tests/engine/support/canonical_reader.h"

namespace kev::testing {
namespace {

constexpr Verdict kBad[] = {Verdict::kNoCompile, Verdict::kWrong,     Verdict::kCrashed,
                            Verdict::kTimeout,   Verdict::kResources, Verdict::kCheated};

Value Numbers(uint64_t count) {
  Value list = Value::List();
  for (uint64_t i = 0; i < count; ++i) list.Append(static_cast<int64_t>(i));
  return list;
}

// split [foreach] -> try -> score; merge joins them.
void AddRegion(CounterRandom* random, PlanBuilder* b, const std::string& prefix,
               const std::string& need) {
  b->Step(prefix + "split", "exec", {need});
  Foreach& foreach = b->last().foreach;
  foreach
    .over = static_cast<Foreach::Over>(1 + random->Below(3));
  foreach
    .list = Numbers(random->Below(5));
  foreach
    .step = b->plan().Find(need).value();
  foreach
    .fact = "shapes";
  b->Step(prefix + "try", random->Below(3) == 0 ? "compile" : "verify", {prefix + "split"});
  if (random->Below(2) == 0) b->last().when = Condition("item", Op::kNe, 1);
  b->Step(prefix + "score", random->Below(2) == 0 ? "profile" : "exec", {prefix + "split"});
  if (random->Below(2) == 0) b->last().needs = {b->plan().Find(prefix + "try").value()};
  b->Step(prefix + "merge", "exec", {prefix + "try", prefix + "score"});
  b->last().join = random->Below(2) == 0 ? Join::kAll : Join::kAny;
}

// `step`, whose candidates go from prefix + propose through prefix + build to prefix + confirm.
void AddNested(CounterRandom* random, PlanBuilder* b, const std::string& prefix,
               const std::string& need, bool deeper) {
  b->Step(prefix + "refine", "workflow", {need});
  b->Step(prefix + "propose", "propose/tune")
      .Step(prefix + "build", "compile", {prefix + "propose"});
  std::string last = prefix + "build";
  if (deeper) {
    AddNested(random, b, prefix + "x", last, false);
    last = prefix + "xrefine";
  }
  b->Step(prefix + "confirm", "profile", {last});
  b->last().final_fidelity = true;
  b->Step(prefix + "pick", "select");
}

}  // namespace

Plan RandomPlan(uint64_t seed) {
  CounterRandom random(seed, "plan");
  const auto maybe = [&](uint64_t one_in) { return random.Below(one_in) == 0; };
  PlanBuilder b;
  Plan& plan = b.plan();
  plan.given = maybe(6);
  std::vector<std::string> sources;
  if (!plan.given) {
    b.Step("tune", "propose/tune");
    b.last().batch = 1 + static_cast<uint32_t>(random.Below(3));
    sources.emplace_back("tune");
    if (maybe(2)) {
      b.Step("mutate", "propose/llm");
      b.last().reserve_tokens = 10;
      b.last().reserve_usd = 0.125;
      b.last().retry.max = static_cast<uint32_t>(random.Below(3));
      sources.emplace_back("mutate");
    }
  }
  b.Step("build", "compile", sources);
  b.last().retry = {static_cast<uint32_t>(random.Below(3)), 50, 400};
  b.Step("check", "verify", {"build"});
  if (maybe(3)) b.last().when = Condition("build.size", Op::kLt, 80);
  std::string last = "check";
  if (maybe(2)) {
    AddRegion(&random, &b, "a_", last);
    last = "a_merge";
    if (maybe(2)) {
      AddRegion(&random, &b, "b_", last);
      last = "b_merge";
    }
  }
  const bool nested = maybe(3);
  const bool deep = nested && maybe(2);
  std::string select_first = plan.given ? "" : "pick";
  if (!select_first.empty()) b.Step("pick", "select");
  if (nested) {
    AddNested(&random, &b, "n_", last, deep);
    last = "n_refine";
  }
  const bool screened = maybe(2);
  if (screened) {
    b.Step("screen", "profile", {last});
    last = "screen";
  }
  b.Step("confirm", "profile", {last});
  b.last().final_fidelity = true;
  if (screened && maybe(2))
    b.last().when = Comparison("screen.speedup", Op::kGt, "best.speedup");
  else if (maybe(3))
    b.last().when = Comparison("check.speedup", Op::kGt, "best.speedup");
  if (maybe(3)) b.Step("lint", "exec", {"build"});
  if (plan.given) plan.select.reset();
  if (nested) {
    Budget inner;
    inner.candidates = 1 + random.Below(5);
    if (deep) b.Nest("n_xrefine", "n_xpropose", "n_xpick", {.candidates = 2});
    b.Nest("n_refine", "n_propose", "n_pick", inner);
    if (maybe(2)) plan.nested.back().stop.plateau = 2;
    if (maybe(3)) plan.nested.back().budget.evaluations = 1 + random.Below(3);
    if (plan.given) plan.select.reset();
  }
  if (!plan.given) b.Fill("tune");
  if (sources.size() > 1) b.InFlightShare("mutate", 2);
  plan.workflow = "random";
  plan.task = "matmul";
  plan.target = "cpu";
  plan.seed = seed;
  plan.in_flight = 1 + static_cast<uint32_t>(random.Below(6));
  plan.budget.candidates = 5 + random.Below(30);
  if (maybe(4)) plan.budget.evaluations = 3 + random.Below(10);
  if (maybe(4)) plan.budget.wall_ms = 500 + random.Below(5000);
  if (maybe(4)) plan.budget.tokens = 20 + random.Below(200);
  if (maybe(4)) plan.budget.usd = 0.25 + random.Unit() * 2;
  if (maybe(5)) plan.budget.device_s = random.Unit();
  if (maybe(4)) plan.stop.plateau = 3 + random.Below(10);
  if (maybe(6)) plan.stop.speedup = 1.3;
  if (maybe(4)) plan.candidate_timeout_ms = 200 + random.Below(2000);
  plan.one_binary_once = maybe(3);
  if (maybe(3)) b.Reference().Baseline("plain").Baseline("blas");
  return plan;
}

RandomRun::RandomRun(uint64_t seed) : RandomRun(seed, RandomPlan(seed)) {}

RandomRun::RandomRun(uint64_t seed, Plan plan) : random_(seed, "run"), core_("test") {
  Apply({RunSubmitted{std::move(plan), Value("about")}});
}

void RandomRun::Apply(std::vector<Event> events) {
  group_ = {core_.last_seq() + 1, now_ms_, std::move(events), {}};
  commands_ = core_.Apply(group_);
  group_.digest = RunCore::DigestCommands(commands_);
  changed_ = core_.TakeChanged();
  for (const Command& command : commands_) {
    const auto* start = std::get_if<StartAttempt>(&command);
    if (start == nullptr) continue;
    Job job = ReadJob(start->payload);
    std::string again;
    Encode(job, &again);
    bad_payloads_ += again == start->payload && job.key == start->key ? 0 : 1;
    open_[start->key] = std::move(job);
    issued_.emplace_back(start->key, start->attempt);
  }
  std::erase_if(
      open_, [&](const auto& job) { return core_.OpenAttempt(job.first) != job.second.attempt; });
}

void RandomRun::Turn() {
  now_ms_ += static_cast<int64_t>(random_.Below(Lucky(20) ? 1500 : 40));
  std::vector<Event> events;
  for (uint64_t n = 1 + random_.Below(4); n > 0; --n) events.push_back(Pick());
  Apply(std::move(events));
}

bool RandomRun::Calm(int turns) {
  Apply({Signal{Signal::Kind::kResume, Value()}, InFlightSet{4}});
  if (core_.plan().given) Apply({GiveSome(/*last=*/true)});
  for (int i = 0; i < turns && !core_.ended(); ++i) {
    now_ms_ += 1;
    if (open_.empty()) return false;  // nothing would ever happen
    const auto& [key, job] = *open_.begin();
    Apply({JobReported{key, job.attempt, Answer(job, /*good=*/true), "w"}});
  }
  return core_.ended().has_value();
}

JobKey RandomRun::RandomKey() {
  JobKey key;
  key.subject.kind = static_cast<SubjectKind>(random_.Below(3));
  const size_t most = key.subject.kind == SubjectKind::kCandidate ? core_.candidates().size()
                      : key.subject.kind == SubjectKind::kRequest ? core_.requests().size()
                                                                  : core_.prepared().size();
  key.subject.number = static_cast<uint32_t>(random_.Below(most + 3));
  key.step = static_cast<uint16_t>(random_.Below(core_.plan().steps.size() + 1));
  key.index = static_cast<uint16_t>(Lucky(600) ? 0 : random_.Below(4));
  if (Lucky(100)) key.index = static_cast<uint16_t>(kFirstClaim + random_.Below(2));
  return key;
}

Event RandomRun::Pick() {
  const auto costly = [&] {
    JobResult r = Lucky(500) ? JobResult() : Verdicts(Verdict::kWrong);
    r.usage = {static_cast<int64_t>(random_.Below(5)), 1, 0.01, 3, 4};
    return r;
  };
  const uint64_t luck = random_.Below(1000);
  if (luck < 760 && !open_.empty()) {
    const auto job = std::next(open_.begin(), static_cast<long>(random_.Below(open_.size())));
    reported_.push_back(
        {job->first, job->second.attempt, Answer(job->second, false), "w" + std::to_string(luck)});
    return reported_.back();
  }
  if (luck < 840 && !open_.empty()) {
    const auto job = std::next(open_.begin(), static_cast<long>(random_.Below(open_.size())));
    if (Lucky(300))
      return AttemptTimedOut{job->first, job->second.attempt,
                             static_cast<AttemptTimedOut::Kind>(random_.Below(3))};
    return AttemptLost{
        job->first, job->second.attempt, static_cast<AttemptLost::Reason>(random_.Below(3)),
        Lucky(600), Lucky(500),          "died"};
  }
  if (luck < 870 && !reported_.empty()) return reported_[random_.Below(reported_.size())];
  if (luck < 910 && !issued_.empty()) {
    const auto& [key, attempt] = issued_[random_.Below(issued_.size())];
    if (Lucky(200)) return AttemptLost{key, attempt, {}, true, true, "late"};
    return JobReported{key, attempt, costly(), "late"};
  }
  if (luck < 940) {
    const auto attempt = 1 + static_cast<uint32_t>(random_.Below(3));
    if (Lucky(150)) return AttemptLost{RandomKey(), attempt, {}, true, true, "none"};
    if (Lucky(150)) return AttemptTimedOut{RandomKey(), attempt, {}};
    return JobReported{RandomKey(), attempt, costly(), "liar"};
  }
  if (luck < 955 && core_.plan().given) return GiveSome(/*last=*/false);
  return Control();
}

Event RandomRun::Control() {
  Value data;
  switch (random_.Below(12)) {
    case 0:
      return Signal{Signal::Kind::kPause, Value()};
    case 1:
    case 2:
      return Signal{Signal::Kind::kResume, Value()};
    case 3: {
      const Budget& b = core_.plan().budget;
      if (Lucky(500)) data.Set("candidates", b.candidates + random_.Below(6));
      if (Lucky(300)) data.Set("wall_ms", b.wall_ms == 0 ? 0 : b.wall_ms + 500);
      if (Lucky(300)) data.Set("tokens", b.tokens == 0 ? 0 : b.tokens + 30);
      if (Lucky(200)) data.Set("evaluations", b.evaluations == 0 ? 0 : b.evaluations + 3);
      return Signal{Signal::Kind::kBudget, data};
    }
    case 4:
    case 5:
    case 6:
    case 7: {
      const auto& dead = core_.dead_letters();
      data.Set("job", "c1/build");
      if (!dead.empty()) data.Set("job", core_.Label(dead[random_.Below(dead.size())].key, 1));
      return Signal{Lucky(700) ? Signal::Kind::kRetryDead : Signal::Kind::kDropDead, data};
    }
    case 8:
      return InFlightSet{1 + static_cast<uint32_t>(random_.Below(6))};
    case 9: {
      OpenAttemptsLost lost;
      lost.detail = "restart";
      for (const auto& [key, job] : open_) {
        if (Lucky(500)) lost.kept.emplace_back(key, job.attempt);
      }
      return lost;
    }
    case 10:
      if (Lucky(30)) return Signal{Signal::Kind::kCancel, Value()};
      if (Lucky(50)) return StepDisabled{"mutate", "no key"};
      return EpochBegun{core_.epoch() + 1, kDecisionVersion};
    default:
      return TimePassed{};
  }
}

Event RandomRun::GiveSome(bool last) {
  CandidatesGiven given;
  given.last = last;
  for (uint64_t n = random_.Below(4); n > 0; --n) {
    given.proposals.push_back(ProposalOf("given " + std::to_string(given_)));
    if (!Lucky(100)) ++given_;
  }
  return given;
}

JobResult RandomRun::Answer(const Job& job, bool good) {
  const bool candidate = job.key.subject.kind == SubjectKind::kCandidate;
  JobResult r = GoodAnswer(job, [&](const Job&) { return 0.5 + random_.Unit(); });
  r.usage.wall_ms = static_cast<double>(random_.Below(100));
  r.usage.device_ms = static_cast<double>(random_.Below(30));
  if (job.stage == "propose/llm") {
    r.usage.tokens_in = static_cast<int64_t>(random_.Below(11) * job.request->count);
    r.usage.usd = 0.125 * static_cast<double>(job.request->count) * random_.Unit();
  }
  if (job.stage == "verify" || job.stage == "compile" || job.stage == "exec") {
    r.facts.Set("size", static_cast<int64_t>(random_.Below(100)));
    r.facts.Set("speedup", random_.Unit());
    r.facts.Set("shapes", Lucky(50) ? Value("none") : Numbers(random_.Below(4)));
    r.blobs["out"] = RefOf(job.label);
  }
  if (job.stage == "verify") r.facts.Set("held_out", static_cast<int64_t>(random_.Below(3)));
  if (job.settings["claim"].AsBool() && Lucky(400)) {
    const Artefact& one = job.artefacts[random_.Below(job.artefacts.size())];
    r.facts.Set("overtaken_by", one.name);
  }
  if (job.stage == "compile" && Lucky(300)) {
    r.artefacts.push_back({"x", "y", "shared_library", RefOf(job.label), Value()});
    if (Lucky(200)) r.artefacts[0].blob = RefOf("same code");
  } else if (job.stage == "compile" && Lucky(300)) {
    r.artefacts[0].launch.Set("code", RefOf("code " + std::to_string(random_.Below(3))).sha256);
  }
  if (job.stage.starts_with("propose") && Lucky(30) && !r.proposals.empty())
    r.proposals[0] = ProposalOf("same source");
  if (good || job.key.subject.kind == SubjectKind::kPrepared) return r;
  if (job.stage.starts_with("propose") && Lucky(20)) r.proposals.clear();
  if (job.stage.starts_with("propose") && Lucky(10)) r.exhausted = true;
  if (job.stage.starts_with("select") && Lucky(20)) r.requests.clear();
  if (Lucky(40))
    return Failed(Lucky(800) ? FailureClass::kInfrastructure : FailureClass::kDiskFull);
  if (candidate && Lucky(120)) {
    JobResult bad = Verdicts(kBad[random_.Below(std::size(kBad))], "bad luck");
    bad.usage = r.usage;
    return bad;
  }
  return r;
}

}  // namespace kev::testing
