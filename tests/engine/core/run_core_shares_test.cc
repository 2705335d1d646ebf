// Who of the propose steps gets the open places.
#include <doctest/doctest.h>

#include "tests/engine/support/driven_run.h"

namespace kev::testing {
namespace {

PlanBuilder ThreeProposers() {
  PlanBuilder b;
  b.Step("draft", "propose/llm").Step("mutate", "propose/llm").Step("tune", "propose/tune");
  b.Step("build", "compile", {"draft", "mutate", "tune"}).Step("pick", "select");
  b.plan().in_flight = 10;
  b.plan().budget.candidates = 100;
  return b;
}

std::string Places(const DrivenRun& run) { return ToJson(run.First("pick").job.places); }

TEST_CASE("first shares come first, then in_flight, and fill takes the rest") {
  auto b = ThreeProposers();
  b.Fill("tune").InFlightShare("mutate", 4).First("draft", 3);
  DrivenRun run(b.plan());
  CHECK(Places(run) == R"({"draft":3,"mutate":4,"tune":3})");
}

TEST_CASE("an in_flight share counts what is wished for and what lives") {
  auto b = ThreeProposers();
  b.Fill("tune").InFlightShare("mutate", 4);
  DrivenRun run(b.plan());
  run.Answer("pick", GoodAnswer(run.First("pick").job));
  CHECK(run.Count("mutate") == 4);
  CHECK(run.Count("tune") == 6);
  run.Answer("mutate", GoodAnswer(run.First("mutate").job));
  run.Answer("tune", GoodAnswer(run.First("tune").job));
  CHECK(run.Count("pick") == 0);  // 10 are in flight: 8 wished for, 2 born
  const std::string tuned = Name(Subject{SubjectKind::kCandidate, 2}) + "/build#1";
  run.Answer(run.At(tuned), Verdicts(Verdict::kNoCompile));
  CHECK(Places(run) == R"({"tune":1})");  // mutate still has its 4
}

TEST_CASE("a first share is used up once") {
  auto b = ThreeProposers();
  b.Fill("tune").First("draft", 2);
  DrivenRun run(b.plan());
  run.Answer("pick", GoodAnswer(run.First("pick").job));
  run.PlayBefore("pick");
  CHECK(Places(run) == R"({"tune":1})");  // a place is free, and draft has no claim to it
}

TEST_CASE("two fill shares halve the rest") {
  auto b = ThreeProposers();
  b.plan().in_flight = 5;
  b.Fill("tune").Fill("mutate");
  CHECK(Places(DrivenRun(b.plan())) == R"({"mutate":2,"tune":3})");
}

TEST_CASE("what a disabled step leaves goes to the others") {
  auto b = ThreeProposers();
  b.Fill("tune").InFlightShare("mutate", 4);
  DrivenRun run(b.plan());
  run.Answer("pick", GoodAnswer(run.First("pick").job));
  run.Apply({StepDisabled{"mutate", "no key"}});
  CHECK(run.Count("mutate") == 0);  // its open requests are withdrawn
  CHECK(run.cancelled().size() == 4);
  CHECK(Places(run) == R"({"tune":4})");
}

TEST_CASE("when the step that fills is exhausted, the others get more than their share") {
  auto b = ThreeProposers();
  b.Fill("tune").InFlightShare("mutate", 4);
  DrivenRun run(b.plan());
  run.Answer("pick", Wishes({{"tune", 1, {}, Value()}}));
  run.Answer("pick", {});
  JobResult last = GoodAnswer(run.First("tune").job);
  last.exhausted = true;
  run.Answer("tune", last);
  CHECK(Places(run) == R"({"mutate":9})");
}

TEST_CASE("a wish beyond the places is cut, and one for another step is dropped") {
  auto b = ThreeProposers();
  b.Fill("tune");
  DrivenRun run(b.plan());
  run.Answer("pick", Wishes({{"tune", 1000, {}, Value()},
                             {"mutate", 5, {}, Value()},
                             {"nobody", 5, {}, Value()}}));
  CHECK(run.Count("tune") == 10);
  CHECK(run.Count("mutate") == 0);
}

TEST_CASE("a wish is split into jobs of the step's batch") {
  auto b = ThreeProposers();
  b.at("tune").batch = 4;
  b.Fill("tune");
  DrivenRun run(b.plan());
  run.Answer("pick", GoodAnswer(run.First("pick").job));
  std::vector<uint32_t> counts;
  for (const auto& w : run.waiting()) counts.push_back(w.job.request->count);
  CHECK(counts == std::vector<uint32_t>{4, 4, 2});
}

TEST_CASE("more proposals than wished for are not taken") {
  auto b = ThreeProposers();
  b.Fill("tune");
  DrivenRun run(b.plan());
  run.Answer("pick", GoodAnswer(run.First("pick").job));
  run.Answer("tune", Proposed({ProposalOf("a"), ProposalOf("b")}));
  CHECK(run.core().candidates().size() == 1);
}

TEST_CASE("a select that wishes for nothing is asked again when something has changed") {
  auto b = ThreeProposers();
  b.Fill("tune");
  DrivenRun run(b.plan());
  run.Answer("pick", Wishes({{"tune", 2, {}, Value()}}));
  run.Answer("pick", {});
  CHECK(run.Count("pick") == 0);
  run.Answer("tune", GoodAnswer(run.First("tune").job));
  CHECK(run.Count("pick") == 1);
}

// A tuner that answered "ok" with no proposals was asked again without end.
TEST_CASE("a step that brings nothing new ten times in a row is disabled, and the run ends") {
  const auto ended_with = [](const std::function<JobResult(const Job&)>& tune) {
    auto b = ThreeProposers();
    b.Fill("tune");
    b.plan().budget.candidates = 0;
    DrivenRun run(b.plan());
    run.Play([&](const Job& job) { return job.step == "tune" ? tune(job) : GoodAnswer(job); });
    REQUIRE(run.core().ended().has_value());
    CHECK(run.core().disabled().contains("tune"));
    return run.core().candidates().size();
  };
  CHECK(ended_with([](const Job&) { return Proposed({}); }) == 0);
  CHECK(ended_with([](const Job&) { return Proposed({ProposalOf("the same")}); }) == 11);
}

TEST_CASE("there is one select job at a time") {
  auto b = ThreeProposers();
  b.Fill("tune");
  DrivenRun run(b.plan());
  run.Answer("pick", Wishes({{"tune", 5, {}, Value()}}));
  run.Apply({InFlightSet{50}});
  CHECK(run.Count("pick") == 1);
}

}  // namespace
}  // namespace kev::testing
