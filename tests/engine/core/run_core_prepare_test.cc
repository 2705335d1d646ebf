// Before the search: reference, baselines and the calibration that finds the strongest one.
#include <doctest/doctest.h>

#include "tests/engine/support/driven_run.h"

namespace kev::testing {
namespace {

PlanBuilder Prepared() {
  auto b = LinearPlan();
  b.Reference().Baseline("plain").Baseline("blas");
  return b;
}

TEST_CASE("reference and baselines are compiled, baselines verified, and all measured together") {
  DrivenRun run(Prepared().plan());
  CHECK(run.Labels() == std::vector<std::string>{"p1/build#1", "p2/build#1", "p3/build#1"});
  run.Answer(run.At("p2/build#1"), GoodAnswer(run.At("p2/build#1").job));
  CHECK(run.Count("check") == 0);  // nothing to compare with yet
  run.Answer(run.At("p1/build#1"), GoodAnswer(run.At("p1/build#1").job));
  CHECK(run.Count("check") == 0);  // another baseline may be the yardstick
  run.Answer("build", GoodAnswer(run.First("build").job));
  CHECK(run.Count("check") == 2);
  run.Answer("check", {});
  CHECK(run.Count("confirm") == 0);
  run.Answer("check", {});
  CHECK(run.Labels() == std::vector<std::string>{"p4/confirm#1"});
  JobResult measured = Measured(1);
  measured.facts.Set("baseline", "blas");
  run.Answer("confirm", measured);
  CHECK(run.core().strongest() == "blas");
  CHECK(run.core().phase() == Phase::kSearching);
  CHECK(run.Labels() == std::vector<std::string>{"r1/pick#1"});
}

TEST_CASE("without a verify step the search waits for every baseline to be compiled") {
  // A compiled last baseline used to start the search while an earlier one was still being
  // compiled.
  PlanBuilder b;
  b.Step("tune", "propose/tune").Step("build", "compile", {"tune"}).Step("pick", "select");
  b.Fill("tune").Baseline("plain").Baseline("blas");
  b.plan().in_flight = 1;
  DrivenRun run(b.plan());
  run.Answer(run.At("p2/build#1"), GoodAnswer(run.At("p2/build#1").job));
  CHECK(run.core().phase() == Phase::kPreparing);
  run.Answer(run.At("p1/build#1"), GoodAnswer(run.At("p1/build#1").job));
  CHECK(run.core().phase() == Phase::kSearching);
}

TEST_CASE("a task without prepared things starts searching at once") {
  CHECK(DrivenRun(LinearPlan().plan()).core().phase() == Phase::kSearching);
}

TEST_CASE("a prepared thing that fails ends the run and is named") {
  const auto message = [](const std::string& step, const std::string& label, JobResult result) {
    DrivenRun run(Prepared().plan());
    run.PlayBefore(step);
    run.Answer(run.At(label), std::move(result));
    REQUIRE(run.core().ended());
    CHECK(run.core().ended()->status == "failed");
    CHECK(run.waiting().empty());
    return run.core().ended()->message;
  };
  CHECK(message("build", "p1/build#1", Verdicts(Verdict::kNoCompile, "line 1")) ==
        "the task's reference failed at step build (no_compile): line 1");
  CHECK(message("check", "p3/check#1", Verdicts(Verdict::kWrong, "off by 2")) ==
        "the task's baseline 'blas' failed at step check (wrong): off by 2");
  CHECK(message("confirm", "p4/confirm#1", Verdicts(Verdict::kTimeout, "slow")) ==
        "measuring the task's baselines failed at step confirm (timeout): slow");
  CHECK(message("build", "p2/build#1", {}) == "p2/build#1: compile gave no artefact of 'plain'");
}

TEST_CASE("a baseline is tried again like any job before it fails the run") {
  DrivenRun run(Prepared().plan());
  for (int i = 0; i < 3; ++i)
    run.Answer(run.First("build"), Failed(FailureClass::kInfrastructure, "oom"));
  CHECK_FALSE(run.core().ended());
  while (!run.core().ended())
    run.Answer(run.First("build"), Failed(FailureClass::kInfrastructure, "oom"));
  CHECK(run.core().ended()->message.find("gave up after 4 infrastructure failures: oom") !=
        std::string::npos);
}

}  // namespace
}  // namespace kev::testing
