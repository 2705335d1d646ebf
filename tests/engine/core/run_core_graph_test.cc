// The way of candidates through the graph.
#include <doctest/doctest.h>

#include "tests/engine/support/driven_run.h"

namespace kev::testing {
namespace {

using State = StepOutcome::State;

TEST_CASE(
    "a candidate goes through the steps one after the other and select is asked at both ends") {
  auto plan = LinearPlan();
  plan.plan().in_flight = 1;
  plan.plan().budget.candidates = 1;
  DrivenRun run(plan.plan());
  std::vector<std::string> labels;
  run.Play([&](const Job& job) {
    labels.push_back(job.label);
    return GoodAnswer(job);
  });
  CHECK(labels == std::vector<std::string>{"r1/pick#1", "r2/tune#1", "c1/build#1", "c1/check#1",
                                           "c1/confirm#1", "c1/confirm[claim 1]#1"});
  CHECK(run.ended() == "candidates");
  CHECK(run.candidate(1).verdict == Verdict::kOk);
}

TEST_CASE("candidates are numbered in the order in which their results were committed") {
  auto plan = LinearPlan();
  plan.at("tune").batch = 1;
  DrivenRun run(plan.plan());
  run.Answer("pick", GoodAnswer(run.First("pick").job));
  REQUIRE(run.Count("tune") == 4);
  run.Answer(run.At("r4/tune#1"), Proposed({ProposalOf("late request, early answer")}));
  run.Answer(run.At("r2/tune#1"), Proposed({ProposalOf("early request, late answer")}));
  CHECK(run.candidate(1).view.source == RefOf("late request, early answer"));
  CHECK(run.candidate(2).view.source == RefOf("early request, late answer"));
}

TEST_CASE("of a step's needs those that are not on the candidate's path are dropped") {
  PlanBuilder b;
  b.Step("draft", "propose/llm").Step("tune", "propose/tune");
  b.Step("clean", "exec", {"draft"}).Step("build", "compile", {"clean", "tune"});
  b.Step("pick", "select").First("draft", 1).Fill("tune");
  b.plan().in_flight = 2;
  b.plan().budget.candidates = 2;
  DrivenRun run(b.plan());
  run.Answer("pick", GoodAnswer(run.First("pick").job));
  run.Answer("draft", GoodAnswer(run.First("draft").job));
  run.Answer("tune", GoodAnswer(run.First("tune").job));
  // c1 is the draft: it must be cleaned before it is built. c2 is the tuner's: clean is not on its
  // path.
  CHECK(run.Labels() == std::vector<std::string>{"c1/clean#1", "c2/build#1"});
  run.Answer("clean", {});
  CHECK(run.Count("build") == 2);
}

TEST_CASE("a step with two needs waits for both") {
  auto b = LinearPlan();
  b.Step("lint", "exec", {"tune"}).Step("ship", "exec", {"build", "lint"});
  DrivenRun run(b.plan());
  run.PlayBefore("lint");
  CHECK(run.Count("ship") == 0);
  run.Answer("lint", {});
  CHECK(run.Count("ship") == 1);
}

TEST_CASE("a step that its condition skips counts as passed") {
  auto b = LinearPlan();
  b.at("check").when = Condition("build.size", Op::kGt, 100);
  b.plan().in_flight = 1;
  DrivenRun run(b.plan());
  run.PlayBefore("build");
  JobResult small = GoodAnswer(run.First("build").job);
  small.facts.Set("size", 10);
  run.Answer("build", small);
  CHECK(run.Labels() == std::vector<std::string>{"c1/confirm#1"});
  CHECK(run.candidate(1).steps[2].state == State::kSkipped);
  run.Answer("confirm", Measured(1.5));
  CHECK(run.candidate(1).verdict == Verdict::kOk);
}

TEST_CASE("a candidate whose last step is skipped ends with ok") {
  auto b = LinearPlan();
  b.at("confirm").when = Condition("check.error", Op::kLt, 0.5);
  b.plan().in_flight = 1;
  DrivenRun run(b.plan());
  run.PlayBefore("check");
  JobResult result;
  result.facts.Set("error", 0.7);
  run.Answer("check", result);
  CHECK(run.candidate(1).ended);
  CHECK(run.candidate(1).verdict == Verdict::kOk);
  CHECK_FALSE(run.candidate(1).evaluated);
}

TEST_CASE("a condition on a missing best is true, and on a best it is what it says") {
  auto b = LinearPlan();
  b.Step("screen", "profile", {"check"});
  b.at("confirm").needs = {b.plan().Find("screen").value()};
  b.at("confirm").when = Comparison("screen.speedup_high", Op::kGt, "best.speedup_low");
  b.plan().in_flight = 1;
  DrivenRun run(b.plan());
  run.PlayBefore("screen");
  run.Answer("screen", Measured(0.5));
  CHECK(run.Count("confirm") == 1);  // no best yet
  run.Answer("confirm", Measured(2.0));
  run.PlayBefore("screen");
  run.Answer("screen", Measured(1.5));
  CHECK(run.Count("confirm") == 0);  // 1.515 is not above 1.98
  CHECK(run.candidate(2).verdict == Verdict::kOk);
  run.PlayBefore("screen");
  run.Answer("screen", Measured(2.1));
  CHECK(run.Count("confirm") == 1);
}

TEST_CASE("a condition over a fact that is missing is false") {
  auto b = LinearPlan();
  b.at("check").when = Condition("build.size", Op::kGt, 0);
  b.plan().in_flight = 1;
  DrivenRun run(b.plan());
  run.PlayBefore("confirm");
  CHECK(run.candidate(1).steps[2].state == State::kSkipped);
}

TEST_CASE("a verdict ends the candidate and calls its other open jobs back") {
  auto b = LinearPlan();
  b.Step("lint", "exec", {"tune"});
  b.plan().in_flight = 1;
  DrivenRun run(b.plan());
  run.Answer("pick", GoodAnswer(run.First("pick").job));
  run.Answer("tune", GoodAnswer(run.First("tune").job));
  const JobKey lint = run.First("lint").start.key;
  run.Answer("build", Verdicts(Verdict::kNoCompile, "line 3"));
  const Candidate& c = run.candidate(1);
  CHECK(c.ended);
  CHECK(c.verdict == Verdict::kNoCompile);
  CHECK(c.message == "line 3");
  CHECK(c.ended_by == "build");
  REQUIRE(run.cancelled().size() == 1);
  CHECK(run.cancelled()[0].key == lint);
  CHECK(run.core().OpenAttempt(lint) == 0);
}

TEST_CASE("a source that was proposed before is a duplicate and is not built again") {
  DrivenRun run(LinearPlan().plan());
  run.Answer("pick", GoodAnswer(run.First("pick").job));
  run.Answer("tune", Proposed({ProposalOf("same")}));
  run.Answer("tune", Proposed({ProposalOf("same")}));
  CHECK(run.candidate(2).verdict == Verdict::kDuplicate);
  CHECK(run.candidate(2).message == "same source as c1");
  CHECK(run.Count("build") == 1);
}

// Answers every build with a file of its own, whose code is `code`; "" says none.
JobResult Built(const Job& job, const std::string& code) {
  JobResult built = GoodAnswer(job);
  if (!code.empty()) built.artefacts.at(0).launch.Set("code", RefOf(code).sha256);
  return built;
}

TEST_CASE("a candidate whose code is known is a duplicate of the first that had it") {
  auto b = LinearPlan();
  b.plan().one_binary_once = true;
  b.plan().in_flight = 3;
  DrivenRun run(b.plan());
  run.PlayBefore("build");
  const BlobRef own = Built(run.At("c2/build#1").job, "").artefacts[0].blob;
  for (const char* label : {"c1/build#1", "c2/build#1", "c3/build#1"})
    run.Answer(run.At(label), Built(run.At(label).job, label[1] == '3' ? "other" : "code"));
  CHECK_FALSE(run.candidate(1).ended);
  CHECK(run.candidate(2).verdict == Verdict::kDuplicate);
  CHECK(run.candidate(2).message == "same machine code as c1");
  CHECK(run.candidate(2).ended_by == "build");
  CHECK(run.candidate(2).artefacts.at(0).blob == own);  // another file, which still runs
  CHECK_FALSE(run.candidate(3).ended);
  CHECK(run.Count("check") == 2);
  CHECK(run.At("c3/check#1").job.artefacts.at(0).launch["code"] == RefOf("other").sha256);
}

TEST_CASE("one file is one candidate where compile does not say which code it is") {
  auto b = LinearPlan();
  b.plan().one_binary_once = true;
  b.plan().in_flight = 2;
  DrivenRun run(b.plan());
  run.PlayBefore("build");
  const JobResult built = GoodAnswer(run.At("c1/build#1").job);
  run.Answer(run.At("c1/build#1"), built);
  run.Answer(run.At("c2/build#1"), built);
  CHECK(run.candidate(2).message == "same machine code as c1");
}

TEST_CASE("candidates of several artefacts are one when all of them are") {
  auto b = LinearPlan();
  b.plan().one_binary_once = true;
  b.plan().in_flight = 3;
  DrivenRun run(b.plan());
  run.PlayBefore("build");
  for (const char* label : {"c1/build#1", "c2/build#1", "c3/build#1"}) {
    JobResult built = Built(run.At(label).job, "host");
    built.artefacts.push_back(built.artefacts[0]);
    built.artefacts[1].launch.Set("code", RefOf(label[1] == '3' ? "b" : "a").sha256);
    run.Answer(run.At(label), built);
  }
  CHECK(run.candidate(2).message == "same machine code as c1");
  CHECK_FALSE(run.candidate(3).ended);
}

TEST_CASE("best moves at final fidelity only, and only upwards") {
  auto b = LinearPlan();
  b.at("confirm").final_fidelity = false;
  b.Step("final", "profile", {"confirm"});
  b.last().final_fidelity = true;
  b.plan().in_flight = 1;
  DrivenRun run(b.plan());
  run.PlayBefore("confirm");
  run.Answer("confirm", Measured(9));
  CHECK_FALSE(run.core().best());
  run.Answer("final", Measured(1.2));
  CHECK(run.core().best()->candidate.number == 1);
  const auto next = [&](double speedup) {
    run.PlayBefore("final");
    run.Answer("final", Measured(speedup));
    return run.core().best()->candidate.number;
  };
  CHECK(next(1.1) == 1);
  CHECK(next(1.2) == 1);
  CHECK(next(1.3) == 4);
}

TEST_CASE("a candidate with a refused workload, speed-up 0, never becomes best") {
  auto b = LinearPlan();
  b.plan().in_flight = 1;
  DrivenRun run(b.plan());
  run.PlayBefore("confirm");
  run.Answer("confirm", Measured(0));
  CHECK_FALSE(run.core().best());
  CHECK(run.candidate(1).evaluated);
}

}  // namespace
}  // namespace kev::testing
