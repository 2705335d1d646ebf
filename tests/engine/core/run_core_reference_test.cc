// Random graphs, answered in random order: the run core does what the naive reference says.
#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>

#include "engine/core/random.h"
#include "tests/engine/support/driven_run.h"
#include "tests/engine/support/graph_reference.h"
#include "tests/support/seeds.h"

namespace kev::testing {
namespace {

Value Numbers(uint64_t count) {
  Value list = Value::List();
  for (uint64_t i = 0; i < count; ++i) list.Append(static_cast<int64_t>(i));
  return list;
}

Program RandomCondition(CounterRandom* random, const Plan& plan) {
  const auto number = static_cast<int64_t>(random->Below(4));
  switch (random->Below(3)) {
    case 0:
      return IsTrue(random->Below(3) > 0);
    case 1:
      return Condition("item", Op::kNe, number);
    default:
      return Condition(plan.steps[random->Below(plan.steps.size())].id + ".x", Op::kLt, number);
  }
}

// One or two propose steps, a compile step, then anything.
PlanBuilder RandomGraph(uint64_t seed) {
  CounterRandom random(seed, "graph");
  PlanBuilder b;
  Plan& plan = b.plan();
  b.Step("left", "propose/tune").Step("right", "propose/tune");
  const uint64_t from = random.Below(3);
  b.Step("build", "compile",
         from == 0   ? std::vector<std::string>{"left"}
         : from == 1 ? std::vector<std::string>{"left", "right"}
                     : std::vector<std::string>{"right"});
  const uint64_t count = 2 + random.Below(8);
  for (uint64_t i = 0; i < count; ++i) {
    b.Step("s" + std::to_string(i), "exec");
    std::set<uint16_t> needs;
    for (uint64_t n = 1 + random.Below(3); n > 0; --n) {
      // Mostly what came just before, so that graphs are deep.
      const uint64_t last = plan.steps.size() - 2;
      needs.insert(static_cast<uint16_t>(
          last - std::min(last, random.Below(random.Below(2) == 0 ? 3 : 12))));
    }
    Step& step = b.last();
    step.needs.assign(needs.begin(), needs.end());
    if (random.Below(4) == 0) {
      step.foreach.over = static_cast<Foreach::Over>(1 + random.Below(3));
      step.foreach.list = Numbers(random.Below(5));
      step.foreach.step = step.needs[0];
      step.foreach.fact = "list";
    }
    if (random.Below(3) == 0) step.join = random.Below(2) == 0 ? Join::kAll : Join::kAny;
    if (random.Below(3) == 0) step.when = RandomCondition(&random, plan);
  }
  b.Step("pick", "select").Fill(random.Below(2) == 0 ? "left" : "right");
  plan.in_flight = 1;
  plan.budget.candidates = 1;
  plan.seed = seed;
  return b;
}

JobResult RandomAnswer(CounterRandom* random, const Job& job) {
  static constexpr Verdict kBad[] = {Verdict::kWrong, Verdict::kCrashed, Verdict::kTimeout};
  if (random->Below(8) == 0) return Verdicts(kBad[random->Below(3)]);
  JobResult r = GoodAnswer(job);
  r.facts.Set("x", static_cast<int64_t>(random->Below(4)));
  if (random->Below(10) > 0) r.facts.Set("list", Numbers(random->Below(4)));
  if (job.step == "build") r.artefacts.resize(random->Below(4), r.artefacts[0]);
  return r;
}

// What the core has open of c1.
std::set<GraphReference::Place> OpenOf(const DrivenRun& run) {
  std::set<GraphReference::Place> open;
  for (const StartAttempt& start : run.core().OpenAttempts()) {
    if (start.key.subject.kind == SubjectKind::kCandidate)
      open.insert({start.key.step, start.key.index});
  }
  return open;
}

std::set<GraphReference::Place> SkippedOf(const Candidate& c) {
  std::set<GraphReference::Place> skipped;
  for (size_t s = 0; s < c.steps.size(); ++s) {
    if (c.steps[s].state == StepOutcome::State::kSkipped) skipped.insert({s, 0});
  }
  for (const auto& [where, outcome] : c.branches) {
    if (outcome.state == StepOutcome::State::kSkipped) skipped.insert(where);
  }
  return skipped;
}

TEST_CASE("in random graphs the same jobs fire and candidates end the same as in the reference") {
  uint64_t allowed = 0;
  uint64_t branched = 0;
  std::map<std::string, int> ends;
  for (uint64_t seed = 1; seed <= Seeds(3000); ++seed) {
    CAPTURE(seed);
    PlanBuilder b = RandomGraph(seed);
    const bool is_allowed = GraphReference::Allowed(b.plan());
    REQUIRE(RegionsOf(b.plan()).ok() == is_allowed);
    if (!is_allowed) continue;
    ++allowed;
    DrivenRun run(b.plan());
    run.Answer("pick", GoodAnswer(run.First("pick").job));
    const size_t origin = run.First(run.Count("left") > 0 ? "left" : "right").start.key.step;
    run.Answer(b.plan().steps[origin].id, Proposed({ProposalOf("it")}));
    GraphReference reference(b.plan(), origin);
    CounterRandom random(seed, "answers");
    while (!run.candidate(1).ended) {
      REQUIRE(OpenOf(run) == reference.open());
      REQUIRE_FALSE(reference.verdict());
      const auto place = *std::next(reference.open().begin(),
                                    static_cast<long>(random.Below(reference.open().size())));
      const JobKey key{{SubjectKind::kCandidate, 1},
                       static_cast<uint16_t>(place.first),
                       static_cast<uint16_t>(place.second)};
      CAPTURE(run.core().Label(key, 1));
      const auto waiting = std::find_if(run.waiting().begin(), run.waiting().end(),
                                        [&](const auto& w) { return w.start.key == key; });
      REQUIRE(waiting != run.waiting().end());
      const JobResult result = RandomAnswer(&random, waiting->job);
      reference.Answer(place, result);
      run.Answer(*waiting, result);
    }
    const Candidate& c = run.candidate(1);
    REQUIRE(reference.verdict() == c.verdict);
    // A foreach without a list ends it amid the firing: what had been skipped by then is chance.
    if (c.verdict != Verdict::kUnusable) REQUIRE(SkippedOf(c) == reference.skipped());
    branched += c.widths.empty() ? 0 : 1;
    ++ends[Name(c.verdict)];
  }
  CHECK(allowed >= Seeds(500));
  CHECK(branched >= Seeds(200));
  CHECK(ends["ok"] >= 100);
  CHECK(ends["wrong"] >= 20);
  CHECK(ends["unusable"] >= 5);
}

}  // namespace
}  // namespace kev::testing
