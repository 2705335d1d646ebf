// What a worker is told of its job.
#include <doctest/doctest.h>

#include "tests/engine/support/driven_run.h"

namespace kev::testing {
namespace {

std::vector<std::string> Roles(const Job& job) {
  std::vector<std::string> roles;
  for (const Artefact& a : job.artefacts) roles.push_back(a.role + " " + a.name);
  return roles;
}

PlanBuilder WithBaselines() {
  auto b = LinearPlan();
  b.Reference().Baseline("plain").Baseline("blas");
  b.plan().in_flight = 1;
  b.plan().context = RefOf("bundle");
  b.plan().prepared[1].build.Set("flags", "-O2");
  b.at("build").timeout_running_ms = 60000;
  b.at("check").settings.Set("rigor", "smoke");
  b.at("pick").stateful = true;
  return b;
}

TEST_CASE("every job says whose it is and where its files are") {
  DrivenRun run(WithBaselines().plan());
  const Job& job = run.First("build").job;
  CHECK(job.run == "test");
  CHECK(job.label == "p1/build#1");
  CHECK(job.stage == "compile");
  CHECK(job.target == "cpu");
  CHECK(job.seed == 7);
  CHECK(job.context == RefOf("bundle"));
  CHECK(job.running_limit_ms == 60000);
  CHECK(job.secret.IsNull());
}

TEST_CASE("a baseline is compiled with its own flags and verified in full") {
  DrivenRun run(WithBaselines().plan());
  CHECK(run.At("p2/build#1").job.settings["build"]["flags"] == Value("-O2"));
  CHECK(run.At("p2/build#1").job.candidate->name == "plain");
  run.PlayBefore("check");
  const Job& check = run.At("p2/check#1").job;
  CHECK(check.settings["rigor"] == Value("full"));
  CHECK(Roles(check) == std::vector<std::string>{"candidate plain", "baseline plain",
                                                 "baseline blas", "reference reference"});
}

TEST_CASE("the calibration measures the baselines and no candidate") {
  DrivenRun run(WithBaselines().plan());
  run.PlayBefore("confirm");
  const Job& job = run.First("confirm").job;
  CHECK_FALSE(job.candidate);
  CHECK(Roles(job) ==
        std::vector<std::string>{"baseline plain", "baseline blas", "reference reference"});
  CHECK_FALSE(job.settings.Has("baseline"));
}

TEST_CASE("a profile job has candidate, incumbent and baselines, and names the strongest") {
  DrivenRun run(WithBaselines().plan());
  run.PlayBefore("confirm");
  JobResult calibrated = Measured(1);
  calibrated.facts.Set("baseline", "blas");
  run.Answer("confirm", calibrated);
  run.PlayBefore("confirm");
  const Job first = run.First("confirm").job;
  CHECK(Roles(first) == std::vector<std::string>{"candidate c1", "baseline plain", "baseline blas",
                                                 "reference reference"});
  CHECK(first.settings["baseline"] == Value("blas"));
  run.Answer("confirm", Measured(1.5));
  run.PlayBefore("confirm");
  CHECK(Roles(run.First("confirm").job) ==
        std::vector<std::string>{"candidate c2", "incumbent c1", "baseline plain", "baseline blas",
                                 "reference reference"});
}

TEST_CASE("a profile job knows how fast the incumbent was measured to be, and of the newest one") {
  DrivenRun run(WithBaselines().plan());
  run.PlayBefore("confirm");
  JobResult calibrated = Measured(1);
  calibrated.facts.Set("baseline", "blas");
  run.Answer("confirm", calibrated);
  run.PlayBefore("confirm");
  CHECK_FALSE(run.First("confirm").job.settings.Has("incumbent"));
  for (const double speedup : {1.5, 2.5}) {
    JobResult measured = Measured(speedup);
    measured.facts.Set("workloads").Set("square").Set("speedup", speedup);
    measured.facts.Set("workloads").Set("square").Set("latency_ns", 100 / speedup);
    measured.facts.Set("workloads").Set("hidden").Set("held_out", true);
    run.Answer("confirm", measured);
    run.PlayBefore("confirm");
    const Value told = run.First("confirm").job.settings["incumbent"];
    CHECK(told["speedup"] == measured.facts["speedup"]);
    CHECK(told["speedup_low"] == measured.facts["speedup_low"]);
    CHECK(told["workloads"]["square"]["speedup"].AsDouble() == speedup);
    CHECK(told["workloads"]["square"]["latency_ns"].AsDouble() == 100 / speedup);
    CHECK_FALSE(told["workloads"].Has("hidden"));
  }
}

TEST_CASE("a verify job has the candidate, the task's code and the step's own settings") {
  DrivenRun run(WithBaselines().plan());
  run.PlayBefore("confirm");
  run.Answer("confirm", GoodAnswer(run.First("confirm").job));
  while (run.Count("check") == 0)
    run.Answer(run.waiting().front(), GoodAnswer(run.waiting().front().job));
  const Job& job = run.First("check").job;
  CHECK(Roles(job) == std::vector<std::string>{"candidate c1", "baseline plain", "baseline blas",
                                               "reference reference"});
  CHECK(job.settings["rigor"] == Value("smoke"));
  CHECK(job.candidate->facts.IsNull());
}

TEST_CASE("a profile job knows the facts of the steps that its candidate has passed") {
  auto b = LinearPlan();
  b.plan().in_flight = 1;
  DrivenRun run(b.plan());
  run.PlayBefore("check");
  JobResult checked;
  checked.facts.Set("error", 0.25);
  run.Answer("check", checked);
  CHECK(run.First("confirm").job.candidate->facts["check"]["error"].AsDouble() == 0.25);
}

TEST_CASE("a propose job has the wish, a select job the places and how far to read the log") {
  auto b = LinearPlan();
  b.at("pick").stateful = true;
  DrivenRun run(b.plan());
  const Job pick = run.First("pick").job;
  CHECK(ToJson(pick.places) == R"({"tune":4})");
  CHECK(pick.history_seq == 1);
  CHECK_FALSE(pick.request);
  Value hints;
  hints.Set("island", 2);
  run.Answer("pick", Wishes({{"tune", 1, {{SubjectKind::kCandidate, 1}}, hints}}));
  const Job tune = run.First("tune").job;
  CHECK(tune.request->count == 1);
  CHECK(tune.request->hints == hints);
  CHECK(tune.request->parents.size() == 1);
  CHECK(tune.history_seq == 0);
  CHECK_FALSE(tune.candidate);
}

TEST_CASE("compile's artefact goes by the candidate's name, whatever the worker called it") {
  auto b = LinearPlan();
  b.plan().in_flight = 1;
  DrivenRun run(b.plan());
  run.PlayBefore("build");
  JobResult built = GoodAnswer(run.First("build").job);
  built.artefacts[0].name = "blas";
  built.artefacts[0].role = "baseline";
  run.Answer("build", built);
  CHECK(Roles(run.First("check").job) == std::vector<std::string>{"candidate c1"});
}

}  // namespace
}  // namespace kev::testing
