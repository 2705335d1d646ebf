// The closing measurement: what is claimed comes from samples taken after selection.
#include <doctest/doctest.h>

#include "tests/engine/support/driven_run.h"

namespace kev::testing {
namespace {

Plan TwoCandidates() {
  auto b = LinearPlan();
  b.plan().budget.candidates = 2;
  b.plan().in_flight = 1;
  return b.plan();
}

// Plays until the claim is asked for; c1 measures 1.5, c2 measures 2.
void PlayToClaim(DrivenRun& run) {
  run.Play(
      [](const Job& job) {
        return GoodAnswer(job, [](const Job& j) { return j.candidate->name == "c1" ? 1.5 : 2.0; });
      },
      [&] { return run.core().phase() == Phase::kClaiming; });
}

TEST_CASE("the winner is measured once more and that measurement is the claim") {
  DrivenRun run(TwoCandidates());
  PlayToClaim(run);
  REQUIRE(run.Labels() == std::vector<std::string>{"c2/confirm[claim 1]#1"});
  CHECK(run.First("confirm").job.settings["claim"].AsBool());
  run.Answer("confirm", Measured(1.9));
  CHECK(run.ended() == "candidates");
  CHECK(run.core().ended()->status == "done");
  CHECK(run.core().claim()["speedup"].AsDouble() == 1.9);
  CHECK(run.core().best()->facts["speedup"].AsDouble() == 2.0);
  CHECK(run.core().evaluated() == 2);
}

JobResult Overtaken(double speedup, const std::string& by) {
  JobResult r = Measured(speedup);
  r.facts.Set("overtaken_by", by);
  return r;
}

TEST_CASE("the winner is measured beside those that were confirmed next to it") {
  auto plan = TwoCandidates();
  plan.budget.candidates = 7;
  DrivenRun run(plan);
  run.Play(
      [](const Job& job) {
        return GoodAnswer(
            job, [](const Job& j) { return 1.0 + (j.candidate->name.back() - '0') / 10.0; });
      },
      [&] { return run.core().phase() == Phase::kClaiming; });
  std::vector<std::string> rivals;
  for (const Artefact& a : run.First("confirm").job.artefacts) {
    if (a.role == "rival") rivals.push_back(a.name);
  }
  CHECK(rivals == std::vector<std::string>{"c6", "c5", "c4", "c3"});
}

TEST_CASE("a winner that is overtaken head to head gives way, and the other is measured afresh") {
  DrivenRun run(TwoCandidates());
  PlayToClaim(run);
  run.Answer("confirm", Overtaken(1.6, "c1"));
  REQUIRE(run.Labels() == std::vector<std::string>{"c1/confirm[claim 2]#1"});
  CHECK(run.core().best()->candidate.number == 1);
  CHECK(run.core().claim().IsNull());
  // It could go on for ever: who gave way does not come back.
  run.Answer("confirm", Overtaken(1.7, "c2"));
  CHECK(run.core().ended()->status == "done");
  CHECK(run.core().claim()["speedup"].AsDouble() == 1.7);
  CHECK(run.core().best()->candidate.number == 1);
  CHECK(run.candidate(2).verdict == Verdict::kOk);
}

TEST_CASE("being overtaken by one that was not confirmed changes nothing") {
  DrivenRun run(TwoCandidates());
  PlayToClaim(run);
  run.Answer("confirm", Overtaken(1.6, "plain"));
  CHECK(run.core().ended()->status == "done");
  CHECK(run.core().best()->candidate.number == 2);
}

TEST_CASE("looks at held-out shapes are counted") {
  DrivenRun run(TwoCandidates());
  run.Play(
      [](const Job& job) {
        JobResult r = GoodAnswer(job, [](const Job&) { return 1.5; });
        if (job.stage == "verify" && job.candidate) r.facts.Set("held_out", int64_t{2});
        return r;
      },
      nullptr);
  CHECK(run.core().held_out_looks() == 2);
  CHECK(run.core().RunRecord()["held_out_looks"].AsInt() == 2);
}

TEST_CASE("when the winner does not stand, the next best is measured") {
  DrivenRun run(TwoCandidates());
  PlayToClaim(run);
  run.Answer("confirm", Verdicts(Verdict::kWrong, "held-out shape"));
  CHECK(run.candidate(2).verdict == Verdict::kWrong);
  CHECK(run.core().best()->candidate.number == 1);
  REQUIRE(run.Labels() == std::vector<std::string>{"c1/confirm[claim 2]#1"});
  run.Answer("confirm", Measured(1.4));
  CHECK(run.core().claim()["speedup"].AsDouble() == 1.4);
}

TEST_CASE("when no winner stands, the run ends without a best") {
  DrivenRun run(TwoCandidates());
  PlayToClaim(run);
  run.Answer("confirm", Verdicts(Verdict::kWrong));
  run.Answer("confirm", Verdicts(Verdict::kCrashed));
  CHECK(run.ended() == "candidates");
  CHECK_FALSE(run.core().best());
  CHECK(run.core().claim().IsNull());
}

TEST_CASE("a closing measurement that the machine lost is tried again") {
  DrivenRun run(TwoCandidates());
  PlayToClaim(run);
  run.Lose("confirm", AttemptLost::Reason::kWorkerDied, true, false);
  CHECK(run.Labels() == std::vector<std::string>{"c2/confirm[claim 1]#2"});
}

TEST_CASE("a closing measurement that cannot be had falls to the next best") {
  auto plan = TwoCandidates();
  plan.steps[3].retry.max = 0;
  DrivenRun run(plan);
  PlayToClaim(run);
  run.Answer("confirm", Failed(FailureClass::kInfrastructure));
  CHECK(run.candidate(2).verdict == Verdict::kPoison);
  CHECK(run.Labels() == std::vector<std::string>{"c1/confirm[claim 2]#1"});
}

}  // namespace
}  // namespace kev::testing
