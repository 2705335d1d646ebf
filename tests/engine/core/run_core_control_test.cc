// Pauses, changed budgets, time-outs of candidates, and what a run says of itself.
#include <doctest/doctest.h>

#include <functional>

#include "tests/engine/support/driven_run.h"

namespace kev::testing {
namespace {

const Event kPause = Signal{Signal::Kind::kPause, Value()};
const Event kResume = Signal{Signal::Kind::kResume, Value()};

Event BudgetOf(const std::string& key, Value limit) {
  Value data;
  data.Set(key, std::move(limit));
  return Signal{Signal::Kind::kBudget, data};
}

PlanBuilder With(const std::function<void(Plan&)>& change) {
  auto b = LinearPlan();
  b.plan().in_flight = 1;
  b.plan().budget = {};
  change(b.plan());
  return b;
}

TEST_CASE("time in which a run was paused is left out of its wall budget") {
  DrivenRun run(With([](Plan& p) { p.budget.wall_ms = 1000; }).plan());
  run.Pass(400);
  run.Apply({kPause});
  CHECK_FALSE(run.core().NextDeadline());
  run.Pass(5000);
  run.Apply({TimePassed{}});
  CHECK(run.ended() == "");
  run.Apply({kPause});  // a second one changes nothing
  run.Pass(5000);
  run.Apply({kResume});
  CHECK(run.core().NextDeadline() == 11000);
  run.Pass(599);
  run.Apply({TimePassed{}});
  CHECK(run.ended() == "");
  run.Pass(1);
  run.Apply({TimePassed{}});
  CHECK(run.ended() == "wall");
}

TEST_CASE("resuming what is not paused changes nothing") {
  DrivenRun run(With([](Plan& p) { p.budget.wall_ms = 1000; }).plan());
  run.Pass(400);
  run.Apply({kResume});
  CHECK(run.core().NextDeadline() == 1000);
}

TEST_CASE("a budget that is lowered below what was used ends the search") {
  DrivenRun run(With([](Plan& p) { p.budget.evaluations = 10; }).plan());
  run.Play([](const Job& job) { return GoodAnswer(job); },
           [&] { return run.core().evaluated() == 3; });
  run.Apply({BudgetOf("evaluations", 3)});
  run.Play();
  CHECK(run.ended() == "evaluations");
  CHECK(run.core().evaluated() == 3);
}

TEST_CASE("each limit can be changed while the run goes on, and zero lifts it") {
  DrivenRun run(With([](Plan& p) { p.budget.candidates = 5; }).plan());
  Value all;
  for (const char* key : {"candidates", "evaluations", "wall_ms", "tokens", "plateau"})
    all.Set(key, 70);
  all.Set("device_s", 1.5);
  all.Set("usd", 2.5);
  all.Set("speedup", 3.5);
  run.Apply({Signal{Signal::Kind::kBudget, all}});
  const Budget& b = run.core().plan().budget;
  CHECK(b.candidates == 70);
  CHECK(b.evaluations == 70);
  CHECK(b.wall_ms == 70);
  CHECK(b.tokens == 70);
  CHECK(b.device_s == 1.5);
  CHECK(b.usd == 2.5);
  CHECK(run.core().plan().stop.plateau == 70);
  CHECK(run.core().plan().stop.speedup == 3.5);
  run.Apply({BudgetOf("candidates", 0), BudgetOf("tokens", -5)});
  CHECK(b.candidates == 0);
  CHECK(b.tokens == 0);
}

TEST_CASE("a run that ended for want of budget goes on when it gets more") {
  DrivenRun run(With([](Plan& p) { p.budget.candidates = 2; }).plan());
  run.Play();
  REQUIRE(run.ended() == "candidates");
  const auto claims = run.cancelled().size();
  run.Apply({BudgetOf("candidates", 4)});
  CHECK(run.ended() == "");
  CHECK(run.core().phase() == Phase::kSearching);
  CHECK(run.core().claim().IsNull());
  CHECK_FALSE(run.core().RunRecord().Has("status"));
  CHECK(run.Count("pick") == 1);
  run.Play([](const Job& job) { return job.candidate->name == "c4" ? 2.0 : 1.0; });
  CHECK(run.ended() == "candidates");
  CHECK(run.core().candidates().size() == 4);
  CHECK(run.core().best()->candidate.number == 4);
  CHECK(run.core().claim()["speedup"] == Value(2.0));
  CHECK(run.cancelled().size() == claims);
}

TEST_CASE("more budget while the winner is being measured puts the claim off") {
  // It used to be ignored: the run ended in spite of it.
  DrivenRun run(With([](Plan& p) { p.budget.candidates = 2; }).plan());
  run.Play([](const Job& job) { return GoodAnswer(job); },
           [&] { return run.core().phase() == Phase::kClaiming; });
  run.Apply({BudgetOf("candidates", 3)});
  REQUIRE(run.cancelled().size() == 1);
  CHECK(run.cancelled()[0].key.claim());
  CHECK(run.Labels() == std::vector<std::string>{"r5/pick#1"});
  run.Play();
  CHECK(run.ended() == "candidates");
  CHECK(run.core().candidates().size() == 3);
}

TEST_CASE("time after the end does not count when the run goes on") {
  // A run of ten seconds that was extended an hour later had no wall time left.
  DrivenRun run(With([](Plan& p) {
                  p.budget.wall_ms = 10000;
                  p.budget.candidates = 1;
                }).plan());
  run.Pass(4000);
  run.Play();
  REQUIRE(run.ended() == "candidates");
  run.Pass(3600000);
  run.Apply({BudgetOf("candidates", 2)});
  CHECK(run.ended() == "");
  CHECK(run.core().NextDeadline() == 3600000 + 10000);
  run.Play();
  CHECK(run.core().candidates().size() == 2);
  CHECK(run.ended() == "candidates");
}

TEST_CASE("a run that ended by its wall budget goes on for as long as it gets") {
  DrivenRun run(With([](Plan& p) { p.budget.wall_ms = 1000; }).plan());
  run.Pass(1000);
  run.Apply({TimePassed{}});
  REQUIRE(run.ended() == "wall");
  run.Pass(500);
  run.Apply({BudgetOf("wall_ms", 1200)});
  CHECK(run.core().NextDeadline() == 1700);
  run.Pass(200);
  run.Apply({TimePassed{}});
  CHECK(run.ended() == "wall");
}

TEST_CASE("a run that failed or was cancelled is not reopened by a budget") {
  DrivenRun run(With([](Plan&) {}).plan());
  run.Apply({Signal{Signal::Kind::kCancel, Value()}});
  run.Apply({BudgetOf("candidates", 100)});
  CHECK(run.core().ended()->status == "cancelled");
  CHECK(run.waiting().empty());
}

TEST_CASE("when the reason for the end still holds, a reopened run ends again") {
  DrivenRun run(With([](Plan& p) { p.stop.plateau = 2; }).plan());
  run.Play();
  REQUIRE(run.ended() == "plateau");
  run.Apply({BudgetOf("candidates", 100)});
  run.Play();
  CHECK(run.ended() == "plateau");
  CHECK(run.core().candidates().size() < 10);
}

TEST_CASE("a candidate that takes longer than its time-out ends") {
  auto b = With([](Plan& p) {
    p.candidate_timeout_ms = 500;
    p.budget.candidates = 1;
  });
  DrivenRun run(b.plan());
  run.Pass(100);
  run.PlayBefore("check");
  CHECK(run.core().NextDeadline() == 600);
  run.Pass(499);
  run.Apply({TimePassed{}});
  CHECK_FALSE(run.candidate(1).ended);
  run.Pass(1);
  run.Apply({TimePassed{}});
  CHECK(run.candidate(1).verdict == Verdict::kTimeout);
  CHECK(run.candidate(1).message ==
        "it was not done 500 ms after its birth, the candidate's time-out");
  CHECK(run.cancelled().size() == 1);
  CHECK(run.ended() == "candidates");
}

TEST_CASE("a candidate that was done in time has no deadline any more") {
  DrivenRun run(With([](Plan& p) {
                  p.candidate_timeout_ms = 500;
                  p.budget.candidates = 2;
                }).plan());
  run.PlayBefore("confirm");
  run.Answer("confirm", Measured(1));
  CHECK_FALSE(run.core().NextDeadline());
}

TEST_CASE("paused time does not count for candidates either") {
  // All of them used to time out at once when the run was resumed.
  DrivenRun run(With([](Plan& p) { p.candidate_timeout_ms = 500; }).plan());
  run.PlayBefore("check");
  run.Pass(300);
  run.Apply({kPause});
  run.Pass(10000);
  run.Apply({kResume});
  CHECK_FALSE(run.candidate(1).ended);
  CHECK(run.core().NextDeadline() == 10500);
  run.Pass(200);
  run.Apply({TimePassed{}});
  CHECK(run.candidate(1).verdict == Verdict::kTimeout);
}

TEST_CASE("a candidate that times out takes its nested search with it") {
  auto b = With([](Plan& p) { p.candidate_timeout_ms = 500; });
  b.Step("refine", "workflow", {"build"}).Step("vary", "propose/tune");
  b.Step("remake", "compile", {"vary"}).Step("choose", "select");
  b.Nest("refine", "vary", "choose", {.candidates = 5});
  DrivenRun run(b.plan());
  run.Play([](const Job& job) { return GoodAnswer(job); }, [&] { return run.Count("remake") > 0; });
  REQUIRE(run.core().searches().size() == 2);
  run.Pass(500);
  run.Apply({TimePassed{}});
  CHECK(run.candidate(1).verdict == Verdict::kTimeout);
  CHECK(run.core().searches().size() == 1);
  CHECK(run.Count("remake") == 0);
}

TEST_CASE("a select step that is disabled after the search does no harm") {
  // It failed a run that was measuring its winner.
  DrivenRun run(With([](Plan& p) { p.budget.candidates = 1; }).plan());
  run.Play([](const Job& job) { return GoodAnswer(job); },
           [&] { return run.core().phase() == Phase::kClaiming; });
  run.Apply({StepDisabled{"pick", "program missing"}});
  run.Play();
  CHECK(run.core().ended()->status == "done");
}

TEST_CASE("propose steps without a select end the run instead of letting it wait for ever") {
  auto b = With([](Plan& p) { p.select.reset(); });
  DrivenRun run(b.plan());
  CHECK(run.ended() == "space_exhausted");
}

TEST_CASE("after a restart only what a worker came back with is still current") {
  auto b = With([](Plan& p) { p.in_flight = 3; });
  DrivenRun run(b.plan());
  run.Answer("pick", GoodAnswer(run.First("pick").job));
  REQUIRE(run.Count("tune") == 3);
  const JobKey kept = run.At("r3/tune#1").start.key;
  run.Apply({EpochBegun{2, kDecisionVersion}, OpenAttemptsLost{{{kept, 1}}, "the engine died"}});
  CHECK(run.Labels() == std::vector<std::string>{"r3/tune#1", "r2/tune#2", "r4/tune#2"});
  CHECK(run.core().epoch() == 2);
  run.Apply({OpenAttemptsLost{{{kept, 7}}, "again"}});  // another attempt than the open one
  CHECK(run.At("r3/tune#2").start.attempt == 2);
}

TEST_CASE("why a run stands still can be asked for") {
  RunCore fresh("r");
  CHECK(fresh.ExplainRun() == "it was not submitted yet");
  DrivenRun run(With([](Plan& p) { p.budget.candidates = 2; }).plan());
  CHECK(run.core().ExplainRun() == "");
  run.Apply({kPause});
  CHECK(run.core().ExplainRun() == "it is paused; `kevolve resume test` goes on");
  run.Apply({kResume, InFlightSet{0}});
  run.Play();
  CHECK(run.core().ExplainRun() == "in_flight is 0");
  run.Apply({InFlightSet{1}});
  run.Play();
  CHECK(run.core().ExplainRun() == "it has ended (done, stopped by candidates)");
}

TEST_CASE("why a job waits can be asked for") {
  auto b = With([](Plan&) {});
  b.at("confirm").when = Condition("check.size", Op::kGt, 3);
  b.at("confirm").when.text = "check.size > 3";
  DrivenRun run(b.plan());
  run.PlayBefore("check");
  const auto why = [&](const char* name) {
    return run.core().Explain(run.core().JobNamed(name).value());
  };
  CHECK(why("c1/check") == "");
  CHECK(why("c1/build#1") == "it has passed, with attempt 1");
  CHECK(why("c1/confirm") == "it waits for check");
  CHECK(why("c1/pick") == "it is not on the way of candidates that come from tune");
  CHECK(why("c7/build") == "there is no candidate c7");
  CHECK(why("r9/tune") == "r9 has no job of step tune");
  run.Answer("check", {});
  CHECK(why("c1/confirm") == "it was skipped: its `when` was not true (check.size > 3)");
  CHECK_FALSE(run.core().JobNamed("c1/none"));
  CHECK_FALSE(run.core().JobNamed("c1"));
}

}  // namespace
}  // namespace kev::testing
