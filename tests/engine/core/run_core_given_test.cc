// Runs over candidates that are given, not proposed.
#include <doctest/doctest.h>

#include "tests/engine/support/driven_run.h"

namespace kev::testing {
namespace {

// build -> check; nothing proposes.
PlanBuilder Given() {
  PlanBuilder b;
  b.Step("build", "compile").Step("check", "verify", {"build"});
  b.plan().given = true;
  b.plan().seed = 7;
  return b;
}

CandidatesGiven These(std::vector<std::string> sources, bool last = false) {
  CandidatesGiven given;
  for (const std::string& source : sources) given.proposals.push_back(ProposalOf(source));
  given.last = last;
  return given;
}

TEST_CASE("given candidates go through the graph and the run ends when the last of them has") {
  DrivenRun run(Given().plan());
  CHECK(run.waiting().empty());
  CHECK(run.core().ExplainRun() == "it waits for candidates to be given");
  run.Apply({These({"a", "b"})});
  CHECK(run.Labels() == std::vector<std::string>{"c1/build#1", "c2/build#1"});
  CHECK(run.candidate(1).view.origin == "given");
  CHECK(run.First("build").job.candidate->source == RefOf("a"));
  run.Play();
  CHECK(run.ended() == "");
  run.Apply({These({"c"}, /*last=*/true)});
  CHECK(run.ended() == "");
  run.Play();
  CHECK(run.ended() == "all_given");
  CHECK(run.core().ended()->status == "done");
  CHECK(run.core().candidates().size() == 3);
}

TEST_CASE("the word that no more come ends a run that has nothing to do") {
  DrivenRun run(Given().plan());
  run.Apply({These({"a"})});
  run.Play();
  run.Apply({These({}, /*last=*/true)});
  CHECK(run.ended() == "all_given");
}

TEST_CASE("a run that is given nothing at all ends") {
  DrivenRun run(Given().plan());
  run.Apply({These({}, /*last=*/true)});
  CHECK(run.ended() == "all_given");
}

TEST_CASE("candidates given before the preparations are over wait for them") {
  auto b = Given();
  b.Reference();
  DrivenRun run(b.plan());
  run.Apply({These({"a", "a", "b"}, /*last=*/true)});
  CHECK(run.Labels() == std::vector<std::string>{"p1/build#1"});
  CHECK(run.core().active() == 3);
  run.Answer("build", GoodAnswer(run.First("build").job));
  CHECK(run.Labels() == std::vector<std::string>{"c1/build#1", "c3/build#1"});
  CHECK(run.candidate(2).verdict == Verdict::kDuplicate);
  run.Play();
  CHECK(run.ended() == "all_given");
}

TEST_CASE("the same source given twice is a duplicate") {
  DrivenRun run(Given().plan());
  run.Apply({These({"a"})});
  run.Play();
  run.Apply({These({"a", "b"})});
  CHECK(run.candidate(2).verdict == Verdict::kDuplicate);
  CHECK(run.candidate(2).message == "same source as c1");
  CHECK(run.Labels() == std::vector<std::string>{"c3/build#1"});
}

TEST_CASE("what does not fit into the budget is not taken, and more budget lets more be given") {
  auto b = Given();
  b.plan().budget.candidates = 2;
  DrivenRun run(b.plan());
  run.Apply({These({"a", "b", "c"}, /*last=*/true)});
  CHECK(run.core().candidates().size() == 2);
  run.Play();
  CHECK(run.ended() == "candidates");
  // It used to take itself for complete, though c was never taken.
  Value more;
  more.Set("candidates", 4);
  run.Apply({Signal{Signal::Kind::kBudget, more}});
  CHECK(run.ended() == "");
  CHECK(run.core().ExplainRun() == "it waits for candidates to be given");
  run.Apply({These({"c"}, /*last=*/true)});
  run.Play();
  CHECK(run.ended() == "all_given");
  CHECK(run.core().candidates().size() == 3);
}

TEST_CASE("a verdict on a given candidate ends it and not the run") {
  DrivenRun run(Given().plan());
  run.Apply({These({"a", "b"}, /*last=*/true)});
  run.Answer("build", Verdicts(Verdict::kNoCompile));
  CHECK(run.candidate(1).verdict == Verdict::kNoCompile);
  run.Play();
  CHECK(run.ended() == "all_given");
  CHECK(run.core().refused().at("no_compile") == 1);
}

TEST_CASE(
    "candidates that are given to a run with propose steps, or after the end, are not taken") {
  DrivenRun search(LinearPlan().plan());
  search.Apply({These({"a"})});
  CHECK(search.core().candidates().empty());
  DrivenRun over(Given().plan());
  over.Apply({These({}, /*last=*/true)});
  over.Apply({These({"late"})});
  CHECK(over.core().candidates().empty());
}

TEST_CASE("a given candidate may have a nested search") {
  auto b = Given();
  b.Step("refine", "workflow", {"check"}).Step("vary", "propose/tune");
  b.Step("remake", "compile", {"vary"}).Step("choose", "select");
  b.Nest("refine", "vary", "choose", {.candidates = 2});
  b.plan().select.reset();
  DrivenRun run(b.plan());
  run.Apply({These({"a"}, /*last=*/true)});
  run.Play();
  CHECK(run.ended() == "all_given");
  CHECK(run.core().candidates().size() == 3);
  CHECK(run.candidate(1).steps[2].facts["candidates"] == Value(2));
}

}  // namespace
}  // namespace kev::testing
