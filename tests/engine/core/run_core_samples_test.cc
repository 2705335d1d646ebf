// Duplicates of a code that was screened: they are measured once more, and nothing else.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>

#include "tests/engine/support/driven_run.h"

namespace kev::testing {
namespace {

using State = StepOutcome::State;

// tune -> build -> check -> screen -> confirm, one candidate at a time; confirm asks for too much.
PlanBuilder WithScreen() {
  PlanBuilder b;
  b.Step("tune", "propose/tune").Step("build", "compile", {"tune"});
  b.Step("check", "verify", {"build"}).Step("screen", "profile", {"check"});
  b.Step("confirm", "profile", {"screen"});
  b.last().when = Condition("screen.speedup", Op::kGt, 3.0);
  b.last().final_fidelity = true;
  b.Step("pick", "select").Fill("tune");
  b.plan().one_binary_once = true;
  b.plan().in_flight = 1;
  b.plan().budget.candidates = 20;
  return b;
}

class Sampled {
 public:
  explicit Sampled(Plan plan = WithScreen().plan()) : run(std::move(plan)) {}

  // The next candidate, with this source, up to where its build was answered with this code.
  void Build(const std::string& source, const std::string& code) {
    while (run.Count("tune") == 0) run.Answer("pick", GoodAnswer(run.First("pick").job));
    run.Answer("tune", Proposed({ProposalOf(source)}));
    if (run.Count("build") == 0) return;  // it has ended
    JobResult built = GoodAnswer(run.First("build").job);
    built.artefacts.at(0).launch.Set("code", RefOf(code).sha256);
    run.Answer("build", built);
  }
  void Screen(double speedup) {
    if (run.Count("check") > 0) run.Answer("check", GoodAnswer(run.First("check").job));
    run.Answer("screen", Measured(speedup));
  }

  DrivenRun run;
};

TEST_CASE("a duplicate of what was screened adds a sample instead of an evaluation") {
  Sampled s;
  s.Build("a", "code");
  s.Screen(1.5);
  REQUIRE(s.run.candidate(1).ended);
  s.Build("b", "code");
  const Candidate& twin = s.run.candidate(2);
  CHECK_FALSE(twin.ended);
  CHECK(s.run.Count("check") == 0);
  CHECK(s.run.At("c2/screen#1").job.artefacts.at(0).role == "candidate");
  CHECK(twin.steps[2].state == State::kSkipped);
  s.Screen(1.7);
  CHECK(twin.ended);
  CHECK(twin.verdict == Verdict::kDuplicate);
  CHECK(twin.message == "same machine code as c1, whose samples it adds to");
  CHECK(twin.steps[3].facts["speedup"].AsDouble() == 1.7);
  CHECK(s.run.core().CandidateRecord(twin.view.id)["same_as"] == Value("c1"));
  CHECK(s.run.core().RunRecord()["evaluated"].AsInt() == 1);
  CHECK(s.run.Count("confirm") == 0);
}

TEST_CASE("the same source is compiled, which costs nothing, for another sample") {
  Sampled s;
  s.Build("a", "code");
  s.Screen(1.5);
  s.Build("a", "code");
  CHECK(s.run.Labels() == std::vector<std::string>{"c2/screen#1"});
  s.Screen(1.4);
  CHECK(s.run.candidate(2).verdict == Verdict::kDuplicate);
  // Where the compiler gives another code now, it is a candidate like any other.
  s.Build("a", "another code");
  CHECK(s.run.Count("check") == 1);
  s.Screen(1.6);
  CHECK(s.run.candidate(3).verdict == Verdict::kOk);
  CHECK(s.run.candidate(3).twin == 0);
}

TEST_CASE("five measurements of one code are enough") {
  Sampled s;
  s.Build("a", "code");
  s.Screen(1.5);
  for (int i = 2; i <= 5; ++i) {
    s.Build("source " + std::to_string(i), "code");
    s.Screen(1.5);
  }
  s.Build("one more", "code");
  CHECK(s.run.candidate(6).verdict == Verdict::kDuplicate);
  CHECK(s.run.candidate(6).ended_by == "build");
  CHECK(s.run.candidate(6).message == "same machine code as c1");
}

TEST_CASE("of what was refused or confirmed no more samples are taken") {
  Sampled s;
  s.Build("wrong", "code 1");
  s.run.Answer("check", GoodAnswer(s.run.First("check").job));
  JobResult refused;
  refused.verdict = Verdict::kWrong;
  s.run.Answer("screen", refused);
  s.Build("wrong again", "code 1");
  CHECK(s.run.candidate(2).ended_by == "build");

  s.Build("fast", "code 2");
  s.Screen(4);
  s.run.Answer("confirm", Measured(4));
  s.Build("fast again", "code 2");
  CHECK(s.run.candidate(4).ended_by == "build");
  CHECK(s.run.candidate(4).verdict == Verdict::kDuplicate);
}

TEST_CASE("a duplicate that is refused while it is measured ends so, and is the last one") {
  Sampled s;
  s.Build("a", "code");
  s.Screen(1.5);
  s.Build("b", "code");
  JobResult refused;
  refused.verdict = Verdict::kCrashed;
  s.run.Answer("screen", refused);
  CHECK(s.run.candidate(2).verdict == Verdict::kCrashed);
  CHECK(s.run.candidate(1).verdict == Verdict::kOk);
  s.Build("c", "code");
  CHECK(s.run.candidate(3).ended_by == "build");
}

TEST_CASE("how often a code was measured outlives a restart from a snapshot") {
  Sampled s;
  s.Build("a", "code");
  s.Screen(1.5);
  const std::string bytes = s.run.core().Snapshot();
  const auto read = RunCore::FromSnapshot(bytes, {});
  REQUIRE_MESSAGE(read.ok(), read.error().message);
  const bool same = (*read)->Snapshot() == bytes;  // not printed: it is no text
  CHECK(same);
  // It goes on as the one that was not restarted.
  s.Build("b", "code");
  REQUIRE(s.run.Count("screen") == 1);
  for (const EventGroup& group : s.run.log()) {
    if (group.first_seq <= (*read)->last_seq()) continue;
    CHECK(RunCore::DigestCommands((*read)->Apply(group)) == group.digest);
  }
}

}  // namespace
}  // namespace kev::testing
