// Branches of a foreach and their joins.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/engine/support/driven_run.h"

namespace kev::testing {
namespace {

using State = StepOutcome::State;
using Labels = std::vector<std::string>;

Value ListOf(std::vector<Value> items) { return Value(Value::List(std::move(items))); }

// tune -> build -> split [foreach over 16, 32, 64] -> try -> merge (join) -> ship
PlanBuilder Branched(Join join) {
  PlanBuilder b;
  b.Step("tune", "propose/tune").Step("build", "compile", {"tune"});
  b.Step("split", "exec", {"build"});
  b.last().foreach.over = Foreach::Over::kList;
  b.last().foreach.list = ListOf({16, 32, 64});
  b.Step("try", "verify", {"split"});
  if (join != Join::kNone) {
    b.Step("merge", "exec", {"try"});
    b.last().join = join;
    b.Step("ship", "exec", {"merge"});
  }
  b.Step("pick", "select").Fill("tune");
  b.plan().in_flight = 1;
  b.plan().budget.candidates = 1;
  b.plan().seed = 7;
  return b;
}

// A run with one candidate whose `split` is open.
DrivenRun AtSplit(PlanBuilder b) {
  DrivenRun run(b.plan());
  run.PlayBefore("split");
  return run;
}

void PassSplit(DrivenRun* run, int width) {
  for (int i = 0; i < width; ++i) run->Answer(run->At("c1/split[" + std::to_string(i) + "]#1"), {});
}

TEST_CASE("a foreach over a list gives a job for each item, which says what it is for") {
  DrivenRun run = AtSplit(Branched(Join::kAll));
  REQUIRE(run.Labels() == Labels{"c1/split[0]#1", "c1/split[1]#1", "c1/split[2]#1"});
  CHECK(run.At("c1/split[1]#1").job.item == Value(32));
  CHECK(run.At("c1/split[2]#1").job.key.index == 2);
}

TEST_CASE("steps behind a foreach run once in each branch, as soon as their own branch lets them") {
  DrivenRun run = AtSplit(Branched(Join::kAll));
  run.Answer(run.At("c1/split[1]#1"), {});
  CHECK(run.Labels() == Labels{"c1/split[0]#1", "c1/split[2]#1", "c1/try[1]#1"});
  CHECK(run.At("c1/try[1]#1").job.item == Value(32));
}

TEST_CASE("a join of all waits for every branch, and what is behind it runs once") {
  DrivenRun run = AtSplit(Branched(Join::kAll));
  PassSplit(&run, 3);
  run.Answer(run.At("c1/try[2]#1"), {});
  run.Answer(run.At("c1/try[0]#1"), {});
  CHECK(run.Count("merge") == 0);
  run.Answer(run.At("c1/try[1]#1"), {});
  CHECK(run.Labels() == Labels{"c1/merge#1"});
  CHECK(run.First("merge").job.item.IsNull());
  run.Answer("merge", {});
  CHECK(run.Labels() == Labels{"c1/ship#1"});
  run.Answer("ship", {});
  CHECK(run.candidate(1).verdict == Verdict::kOk);
  CHECK(run.ended() == "candidates");
}

TEST_CASE(
    "a join of any goes on with the first branch that passed, and the others go on beside it") {
  DrivenRun run = AtSplit(Branched(Join::kAny));
  PassSplit(&run, 3);
  run.Answer(run.At("c1/try[2]#1"), {});
  CHECK(run.Labels() == Labels{"c1/try[0]#1", "c1/try[1]#1", "c1/merge#1"});
  run.Answer("merge", {});
  run.Answer("ship", {});
  CHECK_FALSE(run.candidate(1).ended);
  run.Answer(run.At("c1/try[0]#1"), Verdicts(Verdict::kWrong));
  run.Answer(run.At("c1/try[1]#1"), {});
  CHECK(run.candidate(1).verdict == Verdict::kOk);
}

TEST_CASE("a verdict ends its branch and not the others") {
  DrivenRun run = AtSplit(Branched(Join::kAny));
  run.Answer(run.At("c1/split[0]#1"), Verdicts(Verdict::kCrashed));
  CHECK_FALSE(run.candidate(1).ended);
  CHECK(run.Labels() == Labels{"c1/split[1]#1", "c1/split[2]#1"});
  CHECK(run.candidate(1).broken.at({2, 0}) == Verdict::kCrashed);
}

TEST_CASE("steps side by side in a branch end together when one of them has a bad verdict") {
  auto b = Branched(Join::kAny);
  b.Step("lint", "exec", {"split"});
  DrivenRun run = AtSplit(b);
  PassSplit(&run, 3);
  CHECK(run.Count("lint") == 3);
  run.Answer(run.At("c1/try[1]#1"), Verdicts(Verdict::kWrong));
  REQUIRE(run.cancelled().size() == 1);
  CHECK(run.core().Label(run.cancelled()[0].key, 1) == "c1/lint[1]#1");
  CHECK(run.Count("lint") == 2);
  run.Answer(run.At("c1/lint[0]#1"), {});
  CHECK(run.Count("merge") == 0);  // branch 0 has not been tried
  run.Answer(run.At("c1/try[0]#1"), {});
  CHECK(run.Count("merge") == 1);
}

TEST_CASE(
    "when a join of all cannot be met any more the candidate ends with the branch's verdict") {
  DrivenRun run = AtSplit(Branched(Join::kAll));
  PassSplit(&run, 3);
  run.Answer(run.At("c1/try[1]#1"), Verdicts(Verdict::kWrong, "row 3"));
  const Candidate& c = run.candidate(1);
  CHECK(c.verdict == Verdict::kWrong);
  CHECK(c.message == "branch 1: row 3");
  CHECK(c.ended_by == "try");
  CHECK(run.cancelled().size() == 2);
}

TEST_CASE(
    "when no branch is left for a join of any the candidate ends with the first one's verdict") {
  DrivenRun run = AtSplit(Branched(Join::kAny));
  run.Answer(run.At("c1/split[2]#1"), Verdicts(Verdict::kCrashed));
  run.Answer(run.At("c1/split[0]#1"), Verdicts(Verdict::kTimeout, "slow"));
  CHECK_FALSE(run.candidate(1).ended);
  run.Answer(run.At("c1/split[1]#1"), Verdicts(Verdict::kWrong));
  CHECK(run.candidate(1).verdict == Verdict::kTimeout);
  CHECK(run.candidate(1).message == "branch 0: slow");
}

TEST_CASE("with one join that can be met the candidate goes on though another cannot") {
  auto b = Branched(Join::kAll);
  b.Step("some", "exec", {"try"});
  b.last().join = Join::kAny;
  DrivenRun run = AtSplit(b);
  PassSplit(&run, 3);
  run.Answer(run.At("c1/try[0]#1"), Verdicts(Verdict::kWrong));
  CHECK_FALSE(run.candidate(1).ended);
  run.Answer(run.At("c1/try[1]#1"), {});
  run.Answer(run.At("c1/try[2]#1"), {});
  CHECK(run.Labels() == Labels{"c1/some#1"});
  run.Answer("some", {});
  CHECK(run.candidate(1).verdict == Verdict::kOk);
  CHECK(run.candidate(1).steps[b.plan().Find("merge").value()].state == State::kWaiting);
}

TEST_CASE("without a join a candidate stands while one of its branches does") {
  DrivenRun run = AtSplit(Branched(Join::kNone));
  PassSplit(&run, 3);
  run.Answer(run.At("c1/try[0]#1"), Verdicts(Verdict::kWrong));
  run.Answer(run.At("c1/try[1]#1"), Verdicts(Verdict::kCrashed));
  run.Answer(run.At("c1/try[2]#1"), {});
  CHECK(run.candidate(1).verdict == Verdict::kOk);
  DrivenRun none = AtSplit(Branched(Join::kNone));
  for (const char* label : {"c1/split[2]#1", "c1/split[1]#1", "c1/split[0]#1"})
    none.Answer(none.At(label), Verdicts(Verdict::kCrashed, label));
  CHECK(none.candidate(1).verdict == Verdict::kCrashed);
  CHECK(none.candidate(1).message == "branch 0: c1/split[0]#1");
}

TEST_CASE("an empty list has no branches: the join is met at once") {
  for (const Join join : {Join::kAll, Join::kAny}) {
    auto b = Branched(join);
    b.at("split").foreach.list = ListOf({});
    DrivenRun run(b.plan());
    run.PlayBefore("merge");
    CHECK(run.Labels() == Labels{"c1/merge#1"});
    CHECK(run.candidate(1).steps[2].state == State::kSkipped);
    CHECK(run.core().Explain({{SubjectKind::kCandidate, 1}, 2, 0}) ==
          "it was skipped: there was nothing to go over");
  }
  auto b = Branched(Join::kNone);
  b.at("split").foreach.list = ListOf({});
  DrivenRun run(b.plan());
  run.Play();
  CHECK(run.candidate(1).verdict == Verdict::kOk);
}

TEST_CASE("a foreach goes over the list that a step found") {
  auto b = Branched(Join::kAll);
  Foreach& foreach = b.at("split").foreach;
  foreach
    .over = Foreach::Over::kFact;
  foreach
    .step = 1;
  foreach
    .fact = "tiles";
  DrivenRun run(b.plan());
  run.PlayBefore("build");
  JobResult built = GoodAnswer(run.First("build").job);
  built.facts.Set("tiles", ListOf({"wide", "tall"}));
  run.Answer("build", built);
  CHECK(run.Labels() == Labels{"c1/split[0]#1", "c1/split[1]#1"});
  CHECK(run.At("c1/split[1]#1").job.item == Value("tall"));
}

TEST_CASE("a candidate whose foreach has no list to go over is unusable") {
  for (const Value& list : {Value(), Value("16, 32"), Value(3), Value(Value::Map())}) {
    auto b = Branched(Join::kAll);
    Foreach& foreach = b.at("split").foreach;
    foreach
      .over = Foreach::Over::kFact;
    foreach
      .step = 1;
    foreach
      .fact = "tiles";
    DrivenRun run(b.plan());
    run.PlayBefore("build");
    JobResult built = GoodAnswer(run.First("build").job);
    if (!list.IsNull()) built.facts.Set("tiles", list);
    run.Answer("build", built);
    CHECK(run.candidate(1).verdict == Verdict::kUnusable);
    CHECK(run.candidate(1).ended_by == "split");
    CHECK(run.ended() == "candidates");
  }
}

TEST_CASE("a list that is longer than branches can be counted is refused") {
  auto b = Branched(Join::kAll);
  b.at("split").foreach.list = Value(Value::List(kFirstClaim));
  DrivenRun run(b.plan());
  run.PlayBefore("merge");
  CHECK(run.candidate(1).verdict == Verdict::kUnusable);
}

TEST_CASE("a foreach over artefacts gives each branch one of them") {
  auto b = Branched(Join::kAll);
  b.at("split").foreach.over = Foreach::Over::kArtefacts;
  DrivenRun run(b.plan());
  run.PlayBefore("build");
  JobResult built = GoodAnswer(run.First("build").job);
  built.artefacts.push_back(built.artefacts[0]);
  built.artefacts[1].blob = RefOf("second");
  run.Answer("build", built);
  REQUIRE(run.Labels() == Labels{"c1/split[0]#1", "c1/split[1]#1"});
  const Job& second = run.At("c1/split[1]#1").job;
  CHECK(second.item == Value(1));
  REQUIRE(second.artefacts.size() == 1);
  CHECK(second.artefacts[0].blob == RefOf("second"));
  PassSplit(&run, 2);
  run.Answer(run.At("c1/try[0]#1"), {});
  run.Answer(run.At("c1/try[1]#1"), {});
  CHECK(run.First("merge").job.artefacts.size() == 2);
}

TEST_CASE("a branch works on what was compiled in it, and a join on what all branches compiled") {
  // Every branch used to see the artefacts of whichever was compiled last.
  auto b = Branched(Join::kAll);
  b.at("split").stage = "compile";
  b.at("split").kind = StageKind::kCompile;
  DrivenRun run = AtSplit(b);
  for (const int i : {2, 0, 1}) {
    JobResult built;
    built.artefacts.push_back({"", "", "shared_library", RefOf("code " + std::to_string(i)), {}});
    run.Answer(run.At("c1/split[" + std::to_string(i) + "]#1"), built);
  }
  for (const int i : {0, 1, 2}) {
    const Job& job = run.At("c1/try[" + std::to_string(i) + "]#1").job;
    REQUIRE(job.artefacts.size() == 1);
    CHECK(job.artefacts[0].blob == RefOf("code " + std::to_string(i)));
    CHECK(job.artefacts[0].name == "c1");
  }
  for (const int i : {0, 1, 2}) run.Answer(run.At("c1/try[" + std::to_string(i) + "]#1"), {});
  const Job& merge = run.First("merge").job;
  REQUIRE(merge.artefacts.size() == 3);
  CHECK(merge.artefacts[1].blob == RefOf("code 1"));
}

TEST_CASE("a condition sees the item and the facts of its own branch") {
  auto b = Branched(Join::kAll);
  b.at("split").when = Condition("item", Op::kNe, 32);
  b.at("try").when = Condition("split.size", Op::kGt, 10);
  DrivenRun run(b.plan());
  run.PlayBefore("split");
  REQUIRE(run.Labels() == Labels{"c1/split[0]#1", "c1/split[2]#1"});
  const auto sized = [](int size) {
    JobResult r;
    r.facts.Set("size", size);
    return r;
  };
  run.Answer(run.At("c1/split[0]#1"), sized(5));
  CHECK(run.Count("try") == 0);
  run.Answer(run.At("c1/split[2]#1"), sized(50));
  CHECK(run.Labels() == Labels{"c1/try[2]#1"});
  run.Answer("try", {});
  CHECK(run.Labels() == Labels{"c1/merge#1"});  // what was skipped counts as passed
}

TEST_CASE("a job knows the facts of its own branch, and behind the join those of all") {
  // In branch 1 a job used to be told what branch 0 had found.
  auto b = Branched(Join::kAny);
  b.at("try").stage = "exec";
  b.at("try").kind = StageKind::kExec;
  DrivenRun run = AtSplit(b);
  for (const int i : {0, 1, 2}) {
    JobResult r;
    r.facts.Set("size", i * 10);
    run.Answer(run.At("c1/split[" + std::to_string(i) + "]#1"), r);
  }
  CHECK(run.At("c1/try[1]#1").job.candidate->facts["split"]["size"] == Value(10));
  run.Answer(run.At("c1/try[0]#1"), Verdicts(Verdict::kWrong));
  run.Answer(run.At("c1/try[1]#1"), {});
  const Value& facts = run.First("merge").job.candidate->facts;
  CHECK(ToJson(facts["split"]) == R"([{"size":0},{"size":10},{"size":20}])");
  CHECK_FALSE(facts.Has("try"));
}

TEST_CASE("branches that were joined can fan out again") {
  auto b = Branched(Join::kAll);
  Foreach& again = b.at("merge").foreach;  // joins, and fans out itself
  again.over = Foreach::Over::kList;
  again.list = ListOf({"a", "b"});
  b.at("ship").join = Join::kAll;
  DrivenRun run = AtSplit(b);
  PassSplit(&run, 3);
  for (const int i : {0, 1, 2}) run.Answer(run.At("c1/try[" + std::to_string(i) + "]#1"), {});
  REQUIRE(run.Labels() == Labels{"c1/merge[0]#1", "c1/merge[1]#1"});
  CHECK(run.At("c1/merge[1]#1").job.item == Value("b"));
  run.Answer(run.At("c1/merge[1]#1"), {});
  CHECK(run.Count("ship") == 0);
  run.Answer(run.At("c1/merge[0]#1"), {});
  CHECK(run.Labels() == Labels{"c1/ship#1"});
}

TEST_CASE("behind a foreach that is not on its path a candidate's step runs once") {
  // It used to wait for branches that there would never be, and the candidate passed without it.
  PlanBuilder b;
  b.Step("draft", "propose/llm").Step("tune", "propose/tune");
  b.Step("split", "exec", {"draft"});
  b.last().foreach.over = Foreach::Over::kList;
  b.last().foreach.list = ListOf({1, 2});
  b.Step("check", "verify", {"split", "tune"}).Step("pick", "select").Fill("tune");
  b.plan().in_flight = 1;
  b.plan().budget.candidates = 1;
  DrivenRun run(b.plan());
  run.PlayBefore("check");
  REQUIRE(run.Labels() == Labels{"c1/check#1"});
  CHECK(run.First("check").job.item.IsNull());
  CHECK(run.core().CandidateRecord({SubjectKind::kCandidate, 1})["steps"].Has("check"));
  run.Answer("check", Verdicts(Verdict::kWrong, "row 1"));
  CHECK(run.candidate(1).verdict == Verdict::kWrong);
  CHECK(run.candidate(1).message == "row 1");
}

TEST_CASE("a branch that is lost or fails is tried again, alone") {
  DrivenRun run = AtSplit(Branched(Join::kAll));
  run.Answer(run.At("c1/split[1]#1"), Failed(FailureClass::kInfrastructure));
  CHECK(run.Labels() == Labels{"c1/split[0]#1", "c1/split[2]#1", "c1/split[1]#2"});
  const StartAttempt start = run.At("c1/split[2]#1").start;
  run.Apply({AttemptLost{start.key, 1, AttemptLost::Reason::kDrained, true, false, "drained"}});
  CHECK(run.Labels() == Labels{"c1/split[0]#1", "c1/split[1]#2", "c1/split[2]#2"});
}

TEST_CASE("the record names branches") {
  DrivenRun run = AtSplit(Branched(Join::kAll));
  run.Answer(run.At("c1/split[1]#1"), {});
  const Value steps = run.core().CandidateRecord({SubjectKind::kCandidate, 1})["steps"];
  CHECK(steps["split[0]"]["state"] == Value("open"));
  CHECK(steps["split[1]"]["state"] == Value("passed"));
  CHECK(steps["try[1]"]["state"] == Value("open"));
  CHECK_FALSE(steps.Has("split"));
}

TEST_CASE("a later check that refuses a kernel takes it back from best") {
  // Nothing in the graph says that the check comes before the measurement.
  auto b = LinearPlan();
  b.at("confirm").needs = {1};
  b.plan().budget.candidates = 2;
  b.plan().in_flight = 2;
  DrivenRun run(b.plan());
  run.PlayBefore("check");
  REQUIRE(run.core().best());
  run.Answer(run.At("c1/check#1"), {});
  run.Answer(run.At("c2/check#1"), Verdicts(Verdict::kWrong));
  REQUIRE(run.core().best());
  CHECK(run.core().best()->candidate.number == 1);
  DrivenRun none(b.plan());
  none.PlayBefore("check");
  none.Answer(none.At("c1/check#1"), Verdicts(Verdict::kWrong));
  none.Answer(none.At("c2/check#1"), Verdicts(Verdict::kCheated));
  CHECK_FALSE(none.core().best());
  CHECK(none.ended() == "candidates");
}

std::string WhyRefused(const PlanBuilder& b) {
  const auto regions = RegionsOf(const_cast<PlanBuilder&>(b).plan());
  return regions ? "" : regions.error().message;
}

TEST_CASE("plans whose branches cannot be told apart are refused") {
  CHECK(WhyRefused(Branched(Join::kAll)) == "");
  auto inside = Branched(Join::kAll);
  inside.at("try").foreach.over = Foreach::Over::kArtefacts;
  CHECK(WhyRefused(inside) == "step try fans out inside the branches of split: join them first");
  auto two = Branched(Join::kNone);
  two.Step("other", "exec", {"build"});
  two.last().foreach.over = Foreach::Over::kArtefacts;
  two.Step("both", "exec", {"try", "other"});
  CHECK(WhyRefused(two) ==
        "step both needs branches of two foreach steps (split, other): join them first");
  auto list = Branched(Join::kAll);
  list.at("merge").foreach = {Foreach::Over::kFact, Value(), 3, "sizes"};
  CHECK(WhyRefused(list) ==
        "step merge goes over a fact of try, which each branch has one of: join them first and "
        "take the list from a step behind the join");
  auto final = Branched(Join::kAll);
  final.Step("confirm", "profile", {"try"});
  final.last().final_fidelity = true;
  CHECK(WhyRefused(final) ==
        "step confirm measures for best inside the branches of split, which are parts of a "
        "candidate: join them first");
}

TEST_CASE("needs that form a cycle are refused, with or without branches") {
  auto b = LinearPlan();
  b.at("build").needs.push_back(3);
  CHECK(WhyRefused(b) ==
        "step build needs itself, through the steps that it needs: take one of them out");
  auto self = LinearPlan();
  self.at("check").needs = {2};
  CHECK(WhyRefused(self).starts_with("step check needs itself"));
  auto branched = Branched(Join::kAll);
  branched.at("split").needs.push_back(branched.plan().Find("ship").value());
  CHECK(WhyRefused(branched).find("needs itself") != std::string::npos);
  CHECK_FALSE(PlanFrom(ToValue(b.plan())).ok());
}

}  // namespace
}  // namespace kev::testing
