// Searches nested under a candidate.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

#include "tests/engine/support/driven_run.h"

namespace kev::testing {
namespace {

// tune -> build -> refine (a search: vary -> remake -> measure, chosen by choose) -> confirm
PlanBuilder Nested(Budget inner = {.candidates = 3}) {
  PlanBuilder b;
  b.Step("tune", "propose/tune").Step("build", "compile", {"tune"});
  b.Step("refine", "workflow", {"build"});
  b.Step("confirm", "profile", {"refine"});
  b.last().final_fidelity = true;
  b.Step("pick", "select").Fill("tune");
  b.Step("vary", "propose/tune").Step("remake", "compile", {"vary"});
  b.Step("measure", "profile", {"remake"});
  b.last().final_fidelity = true;
  b.Step("choose", "select");
  b.Nest("refine", "vary", "choose", inner);
  b.plan().in_flight = 1;
  b.plan().budget.candidates = 4;
  b.plan().seed = 7;
  return b;
}

const Value& RefineFacts(const DrivenRun& run, size_t candidate) {
  return run.candidate(candidate).steps[2].facts;
}

TEST_CASE("a workflow step is a search of its own, and ends with what that found") {
  DrivenRun run(Nested().plan());
  std::vector<std::string> labels;
  run.Play(
      [&](const Job& job) {
        labels.push_back(job.label);
        return GoodAnswer(job, [](const Job& j) { return j.candidate->name == "c3" ? 2.0 : 1.5; });
      },
      [&] { return run.Count("confirm") > 0; });
  std::string text;
  for (const std::string& label : labels) text += label + " ";
  CHECK(text ==
        "r1/pick#1 r2/tune#1 c1/build#1 r3/choose#1 r4/vary#1 r5/vary#1 c2/remake#1 c3/remake#1 "
        "c2/measure#1 c3/measure#1 r6/choose#1 r7/vary#1 c4/remake#1 c4/measure#1 ");
  CHECK(ToJson(RefineFacts(run, 1)) ==
        R"({"best":"c3","candidates":3,"evaluated":3,"speedup":2.0,)"
        R"("speedup_high":2.02,"speedup_low":1.98,"stopped_by":"candidates"})");
  CHECK(run.candidate(2).search == 1);
  CHECK(run.First("confirm").job.candidate->facts["refine"]["best"] == Value("c3"));
}

TEST_CASE("candidates of a nested search have its parent as their parent") {
  DrivenRun run(Nested().plan());
  run.PlayBefore("vary");
  REQUIRE(run.First("vary").job.request->parents.size() == 1);
  CHECK(Name(run.First("vary").job.request->parents[0]) == "c1");
}

TEST_CASE("a nested search takes from the run's budget as well") {
  auto b = Nested({.candidates = 100});
  DrivenRun run(b.plan());
  run.Play();
  CHECK(run.core().candidates().size() == 4);
  CHECK(run.ended() == "candidates");
  CHECK(RefineFacts(run, 1)["stopped_by"] == Value("candidates"));
  CHECK(RefineFacts(run, 1)["candidates"] == Value(3));
}

TEST_CASE("nested searches that ask at the same time are not offered the same budget twice") {
  // Each was offered all that was left, and all that they wished for was taken.
  auto b = Nested({.candidates = 100});
  b.plan().in_flight = 4;
  b.plan().budget.candidates = 7;
  DrivenRun run(b.plan());
  run.PlayBefore("choose");
  REQUIRE(run.Count("choose") == 4);  // four parents, three candidates left
  while (run.Count("choose") > 0) run.Answer("choose", GoodAnswer(run.First("choose").job));
  CHECK(run.Count("vary") == 3);
  run.Play();
  CHECK(run.core().candidates().size() == 7);
  CHECK(run.ended() == "candidates");
}

TEST_CASE("when a nested search ends, the search around it goes on by itself") {
  // The outer search was looked at first, and nothing woke it when its only candidate ended.
  auto b = Nested({.candidates = 1});
  b.at("confirm").needs = {1};  // nothing comes after the nested search
  DrivenRun run(b.plan());
  run.Play([](const Job& job) { return GoodAnswer(job); },
           [&] { return run.core().candidates().size() == 2 && run.Count("measure") > 0; });
  run.Answer("measure", Measured(1));
  CHECK(run.candidate(1).ended);
  CHECK(run.Count("pick") == 1);
  run.Play();
  CHECK(run.ended() == "candidates");
}

TEST_CASE("a nested search has stop rules of its own") {
  auto evaluations = Nested({.candidates = 100, .evaluations = 1});
  evaluations.plan().budget.candidates = 20;
  DrivenRun by_count(evaluations.plan());
  by_count.PlayBefore("confirm");
  CHECK(RefineFacts(by_count, 1)["stopped_by"] == Value("evaluations"));
  CHECK(RefineFacts(by_count, 1)["evaluated"] == Value(1));

  auto plateau = Nested({.candidates = 100});
  plateau.plan().budget.candidates = 50;
  plateau.plan().nested[0].stop.plateau = 3;
  DrivenRun by_plateau(plateau.plan());
  by_plateau.PlayBefore("confirm");
  CHECK(RefineFacts(by_plateau, 1)["stopped_by"] == Value("plateau"));

  auto speedup = Nested({.candidates = 100});
  speedup.plan().nested[0].stop.speedup = 1.5;
  DrivenRun by_speedup(speedup.plan());
  by_speedup.PlayBefore("measure");
  by_speedup.Answer("measure", Measured(1.6));
  CHECK(RefineFacts(by_speedup, 1)["stopped_by"] == Value("speedup"));
  CHECK(by_speedup.Count("confirm") == 1);

  DrivenRun by_space(Nested({.candidates = 100}).plan());
  by_space.PlayBefore("choose");
  by_space.Answer("choose", {});
  CHECK(RefineFacts(by_space, 1)["stopped_by"] == Value("space_exhausted"));
  CHECK_FALSE(RefineFacts(by_space, 1).Has("best"));
}

TEST_CASE("what a nested search has under way is called back when it stops") {
  auto b = Nested({.candidates = 100, .evaluations = 1});
  b.plan().budget.candidates = 20;
  DrivenRun run(b.plan());
  run.PlayBefore("measure");
  REQUIRE(run.Count("measure") == 2);
  run.Answer("measure", Measured(1.2));
  CHECK(run.Labels() == std::vector<std::string>{"c1/confirm#1"});
  CHECK(run.candidate(3).verdict == Verdict::kCancelled);
  CHECK(run.core().searches().size() == 1);
}

TEST_CASE("a nested search ends with the candidate that it belongs to") {
  auto b = Nested();
  b.Step("lint", "exec", {"build"});
  DrivenRun run(b.plan());
  run.Answer("pick", GoodAnswer(run.First("pick").job));
  run.Answer("tune", GoodAnswer(run.First("tune").job));
  run.Answer("build", GoodAnswer(run.First("build").job));
  run.Answer("choose", GoodAnswer(run.First("choose").job));
  run.Answer("vary", GoodAnswer(run.First("vary").job));
  REQUIRE(run.Count("remake") == 1);
  REQUIRE(run.Count("vary") == 1);
  run.Answer("lint", Verdicts(Verdict::kUnusable, "tabs"));
  CHECK(run.candidate(1).verdict == Verdict::kUnusable);
  CHECK(run.candidate(2).verdict == Verdict::kCancelled);
  CHECK(run.Labels() == std::vector<std::string>{"r6/pick#1"});
  CHECK(run.core().searches().size() == 1);
  // The wish that was called back does not hold places for ever.
  run.Play();
  CHECK(run.core().candidates().size() == 4);
}

TEST_CASE("each nested search has a best of its own, and the run the best of all") {
  auto b = Nested({.candidates = 2});
  b.plan().budget.candidates = 6;
  DrivenRun run(b.plan());
  const auto speed = [](const Job& job) {
    static const std::map<std::string, double> kSpeedups = {{"c1", 1.1}, {"c2", 3.0}, {"c3", 1.0},
                                                            {"c4", 1.2}, {"c5", 2.0}, {"c6", 1.5}};
    return kSpeedups.at(job.candidate->name);
  };
  run.Play(speed);
  CHECK(RefineFacts(run, 1)["best"] == Value("c2"));
  CHECK(RefineFacts(run, 4)["best"] == Value("c5"));
  CHECK(run.core().best()->candidate.number == 2);
}

TEST_CASE("a condition in a nested search looks at that search's best") {
  auto b = Nested({.candidates = 1});
  b.at("measure").when = Condition("best.speedup", Op::kLt, 2.0);
  b.plan().budget.candidates = 4;
  DrivenRun run(b.plan());
  run.PlayBefore("confirm");
  CHECK(run.core().best()->candidate.number == 2);
  run.Answer("confirm", Measured(5));  // the run's best is above the bound now
  run.PlayBefore("measure");
  CHECK(run.Count("measure") == 1);  // the second nested search has none yet
}

TEST_CASE("a search nested in a nested one takes from the budgets of both around it") {
  // Only the run's own budget was looked at besides its own.
  auto b = Nested({.candidates = 4});
  b.Step("deep", "workflow", {"remake"});
  b.at("measure").needs = {static_cast<uint16_t>(b.plan().steps.size() - 1)};
  b.Step("dvary", "propose/tune").Step("dbuild", "compile", {"dvary"}).Step("dpick", "select");
  b.Nest("deep", "dvary", "dpick", {.candidates = 100});
  b.at("deep").search = 1;
  b.plan().budget.candidates = 50;
  b.plan().nested[0].in_flight = 1;
  DrivenRun run(b.plan());
  run.PlayBefore("confirm");
  // c1 is the run's; of the four of its search one is its own, three are of the search in that.
  CHECK(run.core().candidates().size() == 5);
  CHECK(RefineFacts(run, 1)["candidates"] == Value(4));
  CHECK(run.candidate(2).search == 1);
  CHECK(run.candidate(3).search == 2);
  const auto& deep = run.candidate(2).steps[b.plan().Find("deep").value()];
  CHECK(deep.facts["candidates"] == Value(3));
  CHECK(deep.facts["stopped_by"] == Value("candidates"));
}

TEST_CASE("a result for a workflow step, which no worker was given, is not taken") {
  DrivenRun run(Nested().plan());
  run.PlayBefore("choose");
  const JobKey refine{{SubjectKind::kCandidate, 1}, 2, 0};
  CHECK_FALSE(run.core().WasIssued(refine, 1));
  JobResult lie;
  lie.usage.tokens_in = 7;
  run.Apply({JobReported{refine, 1, lie, "liar"}, AttemptLost{refine, 1, {}, true, true, "gone"},
             AttemptTimedOut{refine, 1, {}}});
  CHECK(run.core().usage().tokens_in == 0);
  CHECK(run.candidate(1).steps[2].state == StepOutcome::State::kOpen);
  CHECK(run.Labels() == std::vector<std::string>{"r3/choose#1"});
}

TEST_CASE("a run that is paused starts nothing new in nested searches either") {
  DrivenRun run(Nested().plan());
  run.PlayBefore("measure");
  run.Apply({Signal{Signal::Kind::kPause, Value()}});
  run.Play();
  CHECK(run.waiting().empty());
  CHECK(run.core().candidates().size() == 3);
  run.Apply({Signal{Signal::Kind::kResume, Value()}});
  run.Play();
  CHECK(run.ended() == "candidates");
}

TEST_CASE("what a nested search is doing can be asked for") {
  DrivenRun run(Nested().plan());
  run.PlayBefore("remake");
  CHECK(run.core().Explain({{SubjectKind::kCandidate, 1}, 2, 0}) ==
        "its nested search goes on: 2 candidates so far, 2 under way");
}

}  // namespace
}  // namespace kev::testing
