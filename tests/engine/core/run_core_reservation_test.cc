// Money and tokens that are held back for answers that are under way.
#include <doctest/doctest.h>

#include <algorithm>

#include "engine/core/random.h"
#include "tests/engine/support/driven_run.h"
#include "tests/support/seeds.h"

namespace kev::testing {
namespace {

// As LinearPlan, its propose step a model of which each candidate may cost 10 tokens or 0.1 usd.
PlanBuilder Paid(int64_t tokens, double usd) {
  auto b = LinearPlan();
  b.plan().budget = {};
  b.plan().budget.tokens = static_cast<uint64_t>(tokens);
  b.plan().budget.usd = usd;
  if (tokens > 0) b.at("tune").reserve_tokens = 10;
  if (usd > 0) b.at("tune").reserve_usd = 0.1;
  return b;
}

JobResult Costs(const Job& job, int64_t tokens, double usd) {
  JobResult r = GoodAnswer(job);
  r.usage.tokens_in = tokens;
  r.usage.usd = usd;
  return r;
}

TEST_CASE(
    "no more is asked for than the budget pays for, and it is held back until it is settled") {
  DrivenRun run(Paid(25, 0).plan());
  CHECK(ToJson(run.First("pick").job.places) == R"({"tune":2})");
  run.Answer("pick", GoodAnswer(run.First("pick").job));
  CHECK(run.core().reserved_tokens() == 20);
  CHECK(run.core().RunRecord()["reserved_tokens"] == Value(20));
  run.Answer("tune", Costs(run.First("tune").job, 4, 0));
  CHECK(run.core().reserved_tokens() == 10);
  // 25 - 4 - 10: one more can be paid for.
  REQUIRE(run.Count("pick") == 1);
  CHECK(ToJson(run.First("pick").job.places) == R"({"tune":1})");
}

TEST_CASE("the search ends with the budget's name when the next answer cannot be paid for") {
  DrivenRun tokens(Paid(25, 0).plan());
  tokens.Play([](const Job& job) {
    return Costs(job, job.stage == "propose/tune" ? 9 * job.request->count : 0, 0);
  });
  CHECK(tokens.ended() == "tokens");
  CHECK(tokens.core().usage().tokens_in <= 25);
  CHECK(tokens.core().ended()->status == "done");
  DrivenRun usd(Paid(0, 0.25).plan());
  usd.Play([](const Job& job) {
    return Costs(job, 0, job.stage == "propose/tune" ? 0.09 * job.request->count : 0);
  });
  CHECK(usd.ended() == "usd");
  CHECK(usd.core().usage().usd <= 0.25);
  // Of two budgets the one that is short is named.
  DrivenRun both(Paid(1000000, 0.25).plan());
  both.Play([](const Job& job) {
    return Costs(job, 1, job.stage == "propose/tune" ? 0.09 * job.request->count : 0);
  });
  CHECK(both.ended() == "usd");
}

TEST_CASE("ten tenths of a budget are ten, and leave no dust") {
  DrivenRun run(Paid(0, 1.0).plan());
  run.Play([](const Job& job) {
    return Costs(job, 0, job.stage == "propose/tune" ? 0.1 * job.request->count : 0);
  });
  CHECK(run.core().candidates().size() == 10);
  CHECK(run.core().reserved_usd() == 0);
  CHECK_FALSE(run.core().RunRecord().Has("reserved_usd"));
}

TEST_CASE("what a lost attempt may have cost stays spent") {
  auto b = Paid(35, 0);
  b.plan().in_flight = 1;
  DrivenRun run(b.plan());
  run.PlayBefore("tune");
  run.Lose("tune", AttemptLost::Reason::kWorkerDied, true, false);
  CHECK(run.First("tune").start.attempt == 2);
  CHECK(run.core().reserved_tokens() == 10);
  run.Lose("tune", AttemptLost::Reason::kEngineRestart, false, false);
  CHECK(run.First("tune").start.attempt == 3);
  // 20 are gone, 10 held back: a fourth attempt would go beyond 35.
  run.Lose("tune", AttemptLost::Reason::kDrained, false, false);
  CHECK(run.waiting().empty());
  CHECK(run.core().reserved_tokens() == 0);
  CHECK(run.ended() == "tokens");
  CHECK(run.core().dead_letters().empty());
  CHECK(run.core().usage().tokens_in == 0);
}

TEST_CASE("a failure that was reported costs what it says, not what was held back") {
  auto b = Paid(100, 0);
  b.plan().in_flight = 1;
  DrivenRun run(b.plan());
  run.PlayBefore("tune");
  JobResult failed = Failed(FailureClass::kRateLimited);
  failed.usage.tokens_in = 2;
  run.Answer("tune", failed);
  CHECK(run.core().reserved_tokens() == 10);
  run.Answer("tune", Costs(run.First("tune").job, 3, 0));
  CHECK(run.core().reserved_tokens() == 0);
  run.PlayBefore("tune");
  // 100 - 5: nine of ten tokens each.
  run.Apply({InFlightSet{100}});
  while (run.Count("pick") == 0 && run.Count("tune") > 0)
    run.Answer("tune", Costs(run.First("tune").job, 0, 0));
  CHECK(run.core().usage().tokens_in == 5);
}

TEST_CASE("a request that kills its workers gives back what was held for it") {
  // What was held back for a request that was given up used to be held for ever.
  auto b = Paid(1000, 0);
  b.plan().in_flight = 1;
  DrivenRun run(b.plan());
  run.PlayBefore("tune");
  for (int i = 0; i < 3; ++i) run.Lose("tune", AttemptLost::Reason::kWorkerDied, true, true);
  REQUIRE(run.core().dead_letters().size() == 1);
  CHECK(run.core().reserved_tokens() == 0);
  run.PlayBefore("tune");
  CHECK(run.core().reserved_tokens() == 10);
}

TEST_CASE("requests that are called back are settled, too") {
  auto b = Paid(1000, 0);
  b.plan().budget.evaluations = 1;
  DrivenRun run(b.plan());
  run.Answer("pick", Wishes({{"tune", 1, {}, Value()}}));
  run.Answer("tune", Costs(run.First("tune").job, 1, 0));
  while (run.Count("tune") == 0) run.Answer("pick", GoodAnswer(run.First("pick").job));
  CHECK(run.core().reserved_tokens() > 0);
  run.PlayBefore("tune");
  CHECK(run.ended() == "evaluations");
  CHECK(run.core().reserved_tokens() == 0);
}

TEST_CASE("a step that costs nothing goes on when another cannot be paid for any more") {
  auto b = Paid(15, 0);
  b.Step("free", "propose/tune").Fill("free");
  b.at("build").needs.push_back(b.plan().Find("free").value());
  b.plan().budget.candidates = 20;
  DrivenRun run(b.plan());
  run.Play();
  CHECK(run.ended() == "candidates");
  CHECK(run.core().candidates().size() == 20);
}

TEST_CASE("whatever happens to its requests a run never promises more than its budget") {
  for (uint64_t seed = 1; seed <= Seeds(200); ++seed) {
    CAPTURE(seed);
    CounterRandom random(seed, "paid");
    auto b = Paid(60 + static_cast<int64_t>(random.Below(200)), 0);
    b.Step("nest", "workflow", {"build"}).Step("dvary", "propose/llm").Step("dpick", "select");
    b.at("dvary").reserve_tokens = 7;
    b.at("dvary").batch = 2;
    b.at("tune").retry.max = b.at("dvary").retry.max = 100;
    b.Nest("nest", "dvary", "dpick", {.candidates = 3});
    b.plan().in_flight = 6;
    const auto most = static_cast<int64_t>(b.plan().budget.tokens);
    DrivenRun run(b.plan());
    int64_t forfeited = 0;
    while (!run.core().ended()) {
      REQUIRE_FALSE(run.waiting().empty());
      const auto& waiting = run.waiting()[random.Below(run.waiting().size())];
      const StartAttempt start = waiting.start;
      const bool paid = waiting.job.stage.starts_with("propose");
      const auto held = paid ? static_cast<int64_t>(waiting.job.request->count) *
                                   (waiting.job.step == "tune" ? 10 : 7)
                             : 0;
      if (random.Below(4) == 0 && paid) {
        forfeited += held;
        if (random.Below(2) == 0)
          run.Apply({AttemptLost{start.key, start.attempt, {}, false, false, "gone"}});
        else
          run.Apply({AttemptTimedOut{start.key, start.attempt, {}}});
      } else {
        const uint32_t used =
            paid ? static_cast<uint32_t>(random.Below(static_cast<uint64_t>(held) + 1)) : 0;
        run.Answer(waiting, random.Below(5) == 0 && paid ? [&] {
          JobResult r = Failed(FailureClass::kRateLimited);
          r.usage.tokens_in = used;
          return r;
        }()
                                                         : Costs(waiting.job, used, 0));
      }
      REQUIRE(run.core().usage().tokens_in + forfeited + run.core().reserved_tokens() <= most);
      REQUIRE(run.core().reserved_tokens() >= 0);
    }
    CHECK(run.core().reserved_tokens() == 0);
    CHECK(run.ended() == "tokens");
  }
}

}  // namespace
}  // namespace kev::testing
