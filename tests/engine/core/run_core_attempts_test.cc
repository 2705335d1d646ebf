// Attempts: what is tried again, when, how often, and what is given up.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

#include "tests/engine/support/driven_run.h"

namespace kev::testing {
namespace {

using Reason = AttemptLost::Reason;

// A run with one candidate whose build is open.
DrivenRun AtBuild(const std::function<void(Step&)>& change = [](Step&) {}) {
  auto b = LinearPlan();
  b.plan().in_flight = 1;
  b.plan().budget.candidates = 1;
  change(b.at("build"));
  DrivenRun run(b.plan());
  run.PlayBefore("build");
  return run;
}

TEST_CASE("an infrastructure failure is tried again after a jittered wait that grows") {
  // Windows 100, 200, 400, then the cap of 500; the wait is anywhere in [0, window).
  int64_t longest[4] = {};
  for (uint64_t seed = 0; seed < 40; ++seed) {
    auto b = LinearPlan();
    b.plan().in_flight = 1;
    b.plan().seed = seed;
    b.at("build").retry = {4, 100, 500};
    DrivenRun run(b.plan());
    run.PlayBefore("build");
    for (int i = 0; i < 4; ++i) {
      run.Answer("build", Failed(FailureClass::kInfrastructure));
      const StartAttempt& again = run.First("build").start;
      REQUIRE(again.attempt == static_cast<uint32_t>(i + 2));
      longest[i] = std::max(longest[i], again.not_before_ms - run.now_ms());
      REQUIRE(again.not_before_ms >= run.now_ms());
    }
  }
  const int64_t windows[4] = {100, 200, 400, 500};
  for (int i = 0; i < 4; ++i) {
    CHECK(longest[i] < windows[i]);
    CHECK(longest[i] > windows[i] / 2);
  }
}

TEST_CASE("after retry.max failures the job is poison") {
  DrivenRun run = AtBuild([](Step& s) { s.retry.max = 2; });
  run.Answer("build", Failed(FailureClass::kDiskFull));
  run.Answer("build", Failed(FailureClass::kRateLimited));
  CHECK(run.Count("build") == 1);
  run.Answer("build", Failed(FailureClass::kInfrastructure, "no device"));
  CHECK(run.candidate(1).verdict == Verdict::kPoison);
  CHECK(run.candidate(1).message == "gave up after 3 infrastructure failures: no device");
  CHECK(run.ended() == "candidates");
}

TEST_CASE("after two deaths a suspect runs alone, and a death alone is poison") {
  DrivenRun run = AtBuild();
  run.Lose("build", Reason::kWorkerDied, true, false);
  CHECK_FALSE(run.First("build").start.solitary);
  run.Lose("build", Reason::kWorkerDied, true, true);
  CHECK(run.First("build").start.solitary);
  run.Lose("build", Reason::kWorkerDied, true, true);
  CHECK(run.candidate(1).verdict == Verdict::kPoison);
}

TEST_CASE("a death before the job was taken makes no suspect") {
  DrivenRun run = AtBuild();
  for (int i = 0; i < 10; ++i) run.Lose("build", Reason::kWorkerDied, false, true);
  CHECK_FALSE(run.First("build").start.solitary);
  CHECK(run.First("build").start.attempt == 11);
}

TEST_CASE("drains and restarts never count") {
  DrivenRun run = AtBuild([](Step& s) { s.retry.max = 0; });
  for (int i = 0; i < 10; ++i)
    run.Lose("build", i % 2 ? Reason::kDrained : Reason::kEngineRestart, true, true);
  CHECK(run.First("build").start.attempt == 11);
  CHECK_FALSE(run.First("build").start.solitary);
  CHECK(run.First("build").start.not_before_ms <= run.now_ms());
}

TEST_CASE("a time-out calls the attempt back and tries again") {
  DrivenRun run = AtBuild([](Step& s) { s.retry.max = 1; });
  const StartAttempt first = run.First("build").start;
  run.Apply({AttemptTimedOut{first.key, 1, AttemptTimedOut::Kind::kRunning}});
  REQUIRE(run.cancelled().size() == 1);
  CHECK(run.cancelled()[0].attempt == 1);
  CHECK(run.First("build").start.attempt == 2);
  run.Apply({AttemptTimedOut{first.key, 2, AttemptTimedOut::Kind::kQueued}});
  CHECK(run.candidate(1).verdict == Verdict::kPoison);
}

TEST_CASE("a result of an attempt that is not current changes nothing, but its cost counts") {
  DrivenRun run = AtBuild();
  const StartAttempt first = run.First("build").start;
  run.Lose("build", Reason::kWorkerDied, false, false);
  JobResult late = Verdicts(Verdict::kNoCompile);
  late.usage.tokens_in = 5;
  run.Apply({JobReported{first.key, first.attempt, late, "w"}});
  CHECK(run.core().stale() == 1);
  CHECK(run.core().usage().tokens_in == 5);
  CHECK_FALSE(run.candidate(1).ended);
  CHECK(run.core().OpenAttempt(first.key) == 2);
}

TEST_CASE("a result that comes twice is counted once") {
  DrivenRun run = AtBuild();
  const StartAttempt first = run.First("build").start;
  JobResult result = GoodAnswer(run.First("build").job);
  result.usage.tokens_in = 5;
  JobResult failure = Failed(FailureClass::kInfrastructure);
  failure.usage.tokens_in = 100;
  run.Apply({JobReported{first.key, 1, failure, "w"}, JobReported{first.key, 1, failure, "w"}});
  CHECK(run.core().usage().tokens_in == 100);
  run.Apply({JobReported{first.key, 2, result, "w"}, JobReported{first.key, 2, result, "w"}});
  CHECK(run.core().usage().tokens_in == 105);
  CHECK(run.Count("check") == 1);
  CHECK(run.core().HasReported(first.key, 1));
  CHECK(run.core().HasReported(first.key, 2));
  CHECK_FALSE(run.core().HasReported(first.key, 3));
}

TEST_CASE("the cost of a job that was called back counts when its result comes after all") {
  // A cancelled attempt used to look as if its result were in the log already.
  auto b = LinearPlan();
  b.plan().budget.tokens = 10;
  DrivenRun run(b.plan());
  run.Answer("pick", GoodAnswer(run.First("pick").job));
  const StartAttempt other = run.At("r3/tune#1").start;
  run.Answer(run.At("r2/tune#1"), Costing({10, 0, 0, 0, 0}));
  REQUIRE(run.core().ended());
  CHECK_FALSE(run.core().HasReported(other.key, 1));
  run.Apply({JobReported{other.key, 1, Costing({7, 0, 0, 0, 0}), "w"}});
  CHECK(run.core().usage().tokens_in == 17);
}

TEST_CASE("events about jobs that never were are ignored") {
  DrivenRun run = AtBuild();
  const std::string before = Picture(run.core());
  for (const JobKey& key :
       {JobKey{{SubjectKind::kCandidate, 99}, 1, 0}, JobKey{{SubjectKind::kCandidate, 1}, 99, 0},
        JobKey{{SubjectKind::kCandidate, 0}, 1, 0}, JobKey{{SubjectKind::kRequest, 99}, 0, 0},
        JobKey{{SubjectKind::kRequest, 1}, 1, 0}, JobKey{{SubjectKind::kPrepared, 1}, 1, 0},
        JobKey{{SubjectKind::kCandidate, 1}, 1, 7}}) {
    run.Apply({JobReported{key, 1, {}, "w"}, AttemptLost{key, 1, {}, true, true, ""},
               AttemptTimedOut{key, 1, {}}});
  }
  CHECK(Picture(run.core()) == before);
}

TEST_CASE("a step whose requests come to nothing again and again is disabled") {
  auto b = LinearPlan();
  b.at("tune").retry.max = 0;
  DrivenRun run(b.plan());
  run.Play([](const Job& job) {
    return job.step == "tune" ? Failed(FailureClass::kInfrastructure, "503") : GoodAnswer(job);
  });
  CHECK(run.core().disabled().contains("tune"));
  CHECK(run.core().ended()->status == "failed");
}

TEST_CASE("a task that is broken fails the run with the stage's words") {
  DrivenRun run = AtBuild();
  run.Answer("build", Failed(FailureClass::kTaskBroken, "no such header: task.h"));
  CHECK(run.core().ended()->status == "failed");
  CHECK(run.core().ended()->message == "c1/build#1: no such header: task.h");
}

}  // namespace
}  // namespace kev::testing
