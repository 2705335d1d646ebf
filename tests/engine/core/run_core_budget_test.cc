// Budgets, stop rules and signals: when and how a run ends.
#include <doctest/doctest.h>

#include <functional>

#include "tests/engine/support/driven_run.h"

namespace kev::testing {
namespace {

Plan With(const std::function<void(Plan&)>& change) {
  auto b = LinearPlan();
  b.plan().budget = {};
  change(b.plan());
  return b.plan();
}

TEST_CASE("the candidate budget is met exactly and what is under way is finished") {
  DrivenRun run(With([](Plan& p) { p.budget.candidates = 7; }));
  run.Play();
  CHECK(run.ended() == "candidates");
  CHECK(run.core().candidates().size() == 7);
  CHECK(run.core().evaluated() == 7);
}

TEST_CASE("the evaluation budget ends the search and cancels what is under way") {
  DrivenRun run(With([](Plan& p) { p.budget.evaluations = 3; }));
  run.Play();
  CHECK(run.ended() == "evaluations");
  CHECK(run.core().evaluated() == 3);
  CHECK(run.core().refused().at("cancelled") == run.core().candidates().size() - 3);
}

TEST_CASE("the wall budget acts when only time passes") {
  DrivenRun run(With([](Plan& p) { p.budget.wall_ms = 1000; }));
  CHECK(run.core().NextDeadline() == 1000);
  run.Pass(999);
  run.Apply({TimePassed{}});
  CHECK(run.core().phase() == Phase::kSearching);
  run.Pass(1);
  run.Apply({TimePassed{}});
  CHECK(run.ended() == "wall");
  CHECK_FALSE(run.core().NextDeadline());
  CHECK(run.waiting().empty());
}

TEST_CASE("run time never goes back") {
  DrivenRun run(With([](Plan& p) { p.budget.wall_ms = 1000; }));
  run.Pass(500);
  run.Apply({TimePassed{}});
  run.Pass(-400);
  run.Apply({TimePassed{}});
  CHECK(run.core().run_time_ms() == 500);
}

TEST_CASE("the token budget counts tokens in both directions") {
  DrivenRun run(With([](Plan& p) { p.budget.tokens = 100; }));
  run.Answer("pick", GoodAnswer(run.First("pick").job));
  JobResult answer = GoodAnswer(run.First("tune").job);
  answer.usage = {60, 39, 0, 0, 0};
  run.Answer("tune", answer);
  CHECK(run.ended() == "");
  answer.usage = {1, 0, 0, 0, 0};
  run.Answer("tune", answer);
  CHECK(run.ended() == "tokens");
}

TEST_CASE("money and device time have budgets too") {
  DrivenRun money(With([](Plan& p) { p.budget.usd = 1; }));
  money.Answer("pick", Costing({0, 0, 1.0, 0, 0}));
  CHECK(money.ended() == "usd");
  DrivenRun device(With([](Plan& p) { p.budget.device_s = 2; }));
  device.Answer("pick", Costing({0, 0, 0, 2000, 0}));
  CHECK(device.ended() == "device");
}

TEST_CASE("the plateau counts candidates that ended after the best one") {
  auto plan = With([](Plan& p) {
    p.stop.plateau = 3;
    p.in_flight = 1;
  });
  DrivenRun run(plan);
  // c2 is best; c3, c4 and c5 do not improve on it.
  run.Play([](const Job& job) {
    return GoodAnswer(job, [](const Job& j) { return j.candidate->name == "c2" ? 2.0 : 1.0; });
  });
  CHECK(run.ended() == "plateau");
  CHECK(run.core().candidates().size() == 5);
  CHECK(run.core().best()->candidate.number == 2);
}

TEST_CASE("duplicates and cancelled candidates are no plateau") {
  DrivenRun run(With([](Plan& p) {
    p.stop.plateau = 1;
    p.in_flight = 1;
  }));
  for (int i = 0; i < 5; ++i) {
    run.PlayBefore("tune");
    if (i == 0) {
      run.Answer("tune", Proposed({ProposalOf("same")}));
      run.PlayBefore("tune");
      continue;  // c1 became best
    }
    run.Answer("tune", Proposed({ProposalOf("same")}));
    CHECK(run.candidate(run.core().candidates().size()).verdict == Verdict::kDuplicate);
  }
  CHECK(run.ended() == "");
}

TEST_CASE("the speed-up rule looks at the lower bound of best") {
  auto plan = With([](Plan& p) {
    p.stop.speedup = 1.5;
    p.in_flight = 1;
  });
  DrivenRun run(plan);
  run.PlayBefore("confirm");
  run.Answer("confirm", Measured(1.5));  // lower bound 1.485
  CHECK(run.core().phase() == Phase::kSearching);
  run.PlayBefore("confirm");
  run.Answer("confirm", Measured(1.6));
  CHECK(run.core().phase() == Phase::kClaiming);
  run.Play();
  CHECK(run.ended() == "speedup");
}

TEST_CASE("the run ends when no propose step has anything new") {
  DrivenRun run(With([](Plan&) {}));
  run.Play([&](const Job& job) {
    JobResult r = GoodAnswer(job);
    r.exhausted = job.stage == "propose/tune";
    return r;
  });
  CHECK(run.ended() == "space_exhausted");
  CHECK(run.core().ended()->status == "done");
}

TEST_CASE("the run ends when select wishes for nothing and nothing is under way") {
  DrivenRun run(With([](Plan&) {}));
  run.Answer("pick", {});
  CHECK(run.ended() == "space_exhausted");
}

TEST_CASE("when every propose step is disabled the run fails and says why") {
  DrivenRun run(With([](Plan&) {}));
  run.Answer("pick", GoodAnswer(run.First("pick").job));
  run.Answer("tune", Failed(FailureClass::kProviderMissing, "no key for the model"));
  CHECK(run.core().ended()->status == "failed");
  CHECK(run.core().ended()->message == "no propose step is left: tune: no key for the model");
}

TEST_CASE("a select step that is disabled ends the run instead of letting it wait for ever") {
  DrivenRun by_event(With([](Plan&) {}));
  by_event.Apply({StepDisabled{"pick", "program missing"}});
  CHECK(by_event.core().ended()->status == "failed");
  DrivenRun by_result(With([](Plan&) {}));
  by_result.Answer("pick", Failed(FailureClass::kProviderMissing, "no policy"));
  CHECK(by_result.core().ended()->status == "failed");
  CHECK(by_result.core().ended()->message == "the select step pick is disabled: no policy");
}

TEST_CASE("a select that cannot do its work ends the run") {
  DrivenRun run(With([](Plan&) {}));
  run.Answer("pick", Verdicts(Verdict::kUnusable, "unknown policy"));
  CHECK(run.core().ended()->status == "failed");
  CHECK(run.core().ended()->message == "r1/pick#1: unknown policy");
}

TEST_CASE("a paused run finishes what it has but asks for nothing new") {
  DrivenRun run(With([](Plan& p) { p.budget.candidates = 20; }));
  run.Answer("pick", GoodAnswer(run.First("pick").job));
  run.Apply({Signal{Signal::Kind::kPause, Value()}});
  run.Play();
  CHECK(run.core().active() == 0);
  CHECK(run.core().paused());
  CHECK(run.core().candidates().size() == 4);
  CHECK(run.ended() == "");
  run.Apply({Signal{Signal::Kind::kResume, Value()}});
  run.Play();
  CHECK(run.ended() == "candidates");
  CHECK(run.core().candidates().size() == 20);
}

TEST_CASE("a cancelled run ends at once and calls everything back") {
  DrivenRun run(With([](Plan&) {}));
  run.Answer("pick", GoodAnswer(run.First("pick").job));
  run.Answer("tune", GoodAnswer(run.First("tune").job));
  const size_t open = run.waiting().size();
  run.Apply({Signal{Signal::Kind::kCancel, Value()}});
  CHECK(run.core().ended()->status == "cancelled");
  CHECK(run.cancelled().size() == open);
  CHECK(run.core().OpenAttempts().empty());
  CHECK(run.candidate(1).verdict == Verdict::kCancelled);
}

TEST_CASE("a budget can be raised and lowered while the run goes on") {
  DrivenRun run(With([](Plan& p) { p.budget.candidates = 4; }));
  Value more;
  more.Set("candidates", 6);
  run.Apply({Signal{Signal::Kind::kBudget, more}});
  run.Play();
  CHECK(run.core().candidates().size() == 6);
}

TEST_CASE("without in_flight nothing is asked for until it is set") {
  DrivenRun run(With([](Plan& p) {
    p.in_flight = 0;
    p.budget.candidates = 3;
  }));
  CHECK(run.waiting().empty());
  CHECK(run.ended() == "");
  run.Apply({InFlightSet{2}});
  run.Play();
  CHECK(run.ended() == "candidates");
}

}  // namespace
}  // namespace kev::testing
