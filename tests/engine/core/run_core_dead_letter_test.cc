// Jobs that were given up: their list, and what people can do about them.
#include <doctest/doctest.h>

#include <functional>

#include "tests/engine/support/driven_run.h"

namespace kev::testing {
namespace {

using Reason = AttemptLost::Reason;

Event Dead(Signal::Kind kind, const std::string& job) {
  Value data;
  data.Set("job", job);
  return Signal{kind, data};
}
Event RetryOf(const std::string& job) { return Dead(Signal::Kind::kRetryDead, job); }
Event DropOf(const std::string& job) { return Dead(Signal::Kind::kDropDead, job); }

PlanBuilder OneAtATime(uint64_t candidates = 2) {
  auto b = LinearPlan();
  b.plan().in_flight = 1;
  b.plan().budget.candidates = candidates;
  b.at("build").retry = {1, 10, 10};
  return b;
}

void Break(DrivenRun* run, const std::string& step, const std::string& why = "no device") {
  while (run->Count(step) > 0) run->Answer(step, Failed(FailureClass::kInfrastructure, why));
}

TEST_CASE("a job that was given up is in the list with who died of it") {
  DrivenRun run(OneAtATime().plan());
  run.PlayBefore("build");
  const StartAttempt first = run.First("build").start;
  run.Apply({AttemptLost{first.key, 1, Reason::kWorkerDied, true, false, "w1 was killed"}});
  run.Apply({AttemptLost{first.key, 2, Reason::kWorkerDied, true, false, "w2 was killed"}});
  run.Apply({AttemptLost{first.key, 3, Reason::kWorkerDied, true, true, "w3 was killed"}});
  REQUIRE(run.core().dead_letters().size() == 1);
  const DeadLetter& letter = run.core().dead_letters()[0];
  CHECK(run.core().Label(letter.key, letter.attempt) == "c1/build#3");
  CHECK(letter.why == "its worker died 3 times, the last time alone: w3 was killed");
  CHECK(letter.evidence == std::vector<std::string>{"w1 was killed", "w2 was killed",
                                                    "w3 was killed (it was its only job)"});
  CHECK(letter.seq == run.core().last_seq());
  CHECK(run.core().RunRecord()["dead_letters"] == Value(1));
  CHECK(run.candidate(1).verdict == Verdict::kPoison);
}

TEST_CASE("failures that were reported and time-outs are evidence, too") {
  DrivenRun run(OneAtATime().plan());
  run.PlayBefore("build");
  run.Apply({AttemptTimedOut{run.First("build").start.key, 1, AttemptTimedOut::Kind::kNoProgress}});
  run.Answer("build", Failed(FailureClass::kDiskFull, "disk full"));
  REQUIRE(run.core().dead_letters().size() == 1);
  CHECK(run.core().dead_letters()[0].evidence ==
        std::vector<std::string>{"gave no sign of progress for the step's no-progress timeout",
                                 "worker: disk full"});
}

TEST_CASE("a job that is tried again begins with a clean slate, and its candidate lives again") {
  DrivenRun run(OneAtATime().plan());
  run.PlayBefore("build");
  Break(&run, "build");
  REQUIRE(run.candidate(1).ended);
  run.Apply({RetryOf("c1/build")});
  CHECK(run.core().dead_letters().empty());
  CHECK_FALSE(run.candidate(1).ended);
  CHECK(run.candidate(1).message.empty());
  CHECK(run.core().active() == 1);
  const auto& again = run.At("c1/build#3").start;
  CHECK_FALSE(again.solitary);
  run.Answer(run.At("c1/build#3"), Failed(FailureClass::kInfrastructure));
  run.Answer(run.At("c1/build#4"), GoodAnswer(run.At("c1/build#4").job));  // retry.max counts anew
  run.Play();
  CHECK(run.candidate(1).verdict == Verdict::kOk);
  CHECK(run.core().refused().empty());
  CHECK(run.ended() == "candidates");
}

TEST_CASE("a job can be tried again after the run has ended, and there is another claim") {
  DrivenRun run(OneAtATime(2).plan());
  run.PlayBefore("build");
  Break(&run, "build");
  run.Play();
  REQUIRE(run.ended() == "candidates");
  CHECK(run.core().best()->candidate.number == 2);
  run.Apply({RetryOf("c1/build#2")});
  CHECK(run.ended() == "");
  CHECK(run.core().phase() == Phase::kDraining);
  CHECK(run.Labels() == std::vector<std::string>{"c1/build#3"});
  run.Play([](const Job&) { return 3.0; });
  CHECK(run.ended() == "candidates");
  CHECK(run.core().best()->candidate.number == 1);
  CHECK(run.core().candidates().size() == 2);
  CHECK(run.core().claim()["speedup"] == Value(3.0));
}

TEST_CASE("a job that is tried again while the winner is being measured is waited for") {
  DrivenRun run(OneAtATime(2).plan());
  run.PlayBefore("build");
  Break(&run, "build");
  run.Play([](const Job& job) { return GoodAnswer(job); },
           [&] { return run.core().phase() == Phase::kClaiming; });
  run.Apply({RetryOf("c1/build")});
  CHECK(run.Labels() == std::vector<std::string>{"c1/build#3"});
  CHECK(run.cancelled().back().key.claim());
  run.Play([](const Job&) { return 2.0; });
  CHECK(run.ended() == "candidates");
  CHECK(run.core().best()->candidate.number == 1);
}

TEST_CASE(
    "with a job that is tried again comes back what was called back when its candidate ended") {
  // Only the dead job was started again: steps that need the others never came, and the candidate
  // passed without them.
  auto b = OneAtATime(1);
  b.Step("lint", "exec", {"tune"}).Step("ship", "verify", {"confirm", "lint"});
  DrivenRun run(b.plan());
  run.Answer("pick", GoodAnswer(run.First("pick").job));
  run.Answer("tune", GoodAnswer(run.First("tune").job));
  Break(&run, "build");
  REQUIRE(run.ended() == "candidates");
  run.Apply({RetryOf("c1/build")});
  CHECK(run.Labels() == std::vector<std::string>{"c1/build#3", "c1/lint#2"});
  run.PlayBefore("ship");
  REQUIRE(run.Count("ship") == 1);
  run.Answer("ship", Verdicts(Verdict::kWrong));
  CHECK(run.candidate(1).verdict == Verdict::kWrong);
}

TEST_CASE("a branch that was given up is tried again, and the branches that stood still stand") {
  auto b = OneAtATime(1);
  b.Step("split", "exec", {"check"});
  b.last().foreach.over = Foreach::Over::kList;
  b.last().foreach.list = Value(Value::List{1, 2, 3});
  b.last().retry.max = 0;
  b.Step("merge", "exec", {"split"});
  b.last().join = Join::kAll;
  DrivenRun run(b.plan());
  run.PlayBefore("split");
  run.Answer(run.At("c1/split[0]#1"), {});
  run.Answer(run.At("c1/split[1]#1"), Failed(FailureClass::kInfrastructure));
  REQUIRE(run.candidate(1).ended);
  CHECK(run.candidate(1).verdict == Verdict::kPoison);
  REQUIRE(run.core().dead_letters().size() == 1);
  run.Apply({RetryOf("c1/split[1]")});
  CHECK(run.Count("split") == 2);
  run.Answer(run.At("c1/split[2]#2"), {});
  run.Answer(run.At("c1/split[1]#2"), {});
  CHECK(run.Count("merge") == 1);
  run.Play();
  CHECK(run.candidate(1).verdict == Verdict::kOk);
}

TEST_CASE("a nested search that was called back with its parent begins anew") {
  auto b = OneAtATime(20);
  b.Step("refine", "workflow", {"tune"}).Step("vary", "propose/tune");
  b.Step("remake", "exec", {"vary"}).Step("choose", "select");
  b.Nest("refine", "vary", "choose", {.candidates = 2});
  DrivenRun run(b.plan());
  run.Answer("pick", GoodAnswer(run.First("pick").job));
  run.Answer("tune", GoodAnswer(run.First("tune").job));
  run.Answer("choose", GoodAnswer(run.First("choose").job));
  Break(&run, "build");
  REQUIRE(run.core().searches().size() == 1);
  run.Apply({RetryOf("c1/build")});
  REQUIRE(run.core().searches().size() == 2);
  CHECK(run.Count("choose") == 1);
  run.Play([](const Job& job) { return GoodAnswer(job); }, [&] { return run.candidate(1).ended; });
  CHECK(run.candidate(1).verdict == Verdict::kOk);
  CHECK(run.candidate(1).steps[b.plan().Find("refine").value()].facts["candidates"] == Value(2));
}

TEST_CASE("a nested search that comes of a job tried again after the end goes on, too") {
  auto b = OneAtATime(1);
  b.Step("refine", "workflow", {"build"}).Step("vary", "propose/tune");
  b.Step("remake", "exec", {"vary"}).Step("choose", "select");
  b.Nest("refine", "vary", "choose", {.candidates = 2});
  DrivenRun run(b.plan());
  run.PlayBefore("build");
  Break(&run, "build");
  REQUIRE(run.ended() == "candidates");
  run.Apply({RetryOf("c1/build")});
  run.Play();
  CHECK(run.ended() == "candidates");
  // There is no budget for candidates any more: it ended with none.
  const auto& refine = run.candidate(1).steps[b.plan().Find("refine").value()];
  CHECK(refine.state == StepOutcome::State::kPassed);
  CHECK(refine.facts["candidates"] == Value(0));
}

TEST_CASE("a letter can be dropped") {
  DrivenRun run(OneAtATime().plan());
  run.PlayBefore("build");
  Break(&run, "build");
  run.Apply({DropOf("c1/build")});
  CHECK(run.core().dead_letters().empty());
  CHECK(run.candidate(1).verdict == Verdict::kPoison);
  run.Play();
  CHECK(run.core().candidates().size() == 2);
}

TEST_CASE("what is not in the list, or cannot be tried again, changes nothing") {
  DrivenRun run(OneAtATime().plan());
  run.PlayBefore("build");
  Break(&run, "build");
  const std::string before = Picture(run.core());
  for (const char* name : {"", "c1", "c1/", "c1/buil", "c9/build", "c1/check", "c1/build[1]",
                           "c1/build[claim 1]", "c1/build[claim 0]", "x/y", "c1/build[70000]"}) {
    run.Apply({RetryOf(name), DropOf(name)});
    run.Apply({Signal{Signal::Kind::kRetryDead, Value()}});
  }
  CHECK(Picture(run.core()) == before);
}

TEST_CASE("a letter that cannot be tried again stays in the list") {
  // It used to leave the list without a trace.
  auto b = OneAtATime();
  b.at("tune").retry.max = 0;
  DrivenRun run(b.plan());
  run.PlayBefore("tune");
  run.Answer("tune", Failed(FailureClass::kInfrastructure, "503"));
  REQUIRE(run.core().dead_letters().size() == 1);
  const std::string name = run.core().Label(run.core().dead_letters()[0].key, 1);
  run.Apply({RetryOf(name)});
  CHECK(run.core().dead_letters().size() == 1);
  run.Apply({DropOf(name)});
  CHECK(run.core().dead_letters().empty());

  DrivenRun failed(OneAtATime().plan());
  failed.PlayBefore("build");
  Break(&failed, "build");
  failed.Answer(failed.waiting().front(), Failed(FailureClass::kTaskBroken));
  REQUIRE(failed.core().ended()->status == "failed");
  failed.Apply({RetryOf("c1/build")});
  CHECK(failed.core().dead_letters().size() == 1);
  CHECK(failed.core().ended()->status == "failed");
}

TEST_CASE("a candidate with a dead letter is kept until the letter is dropped") {
  auto b = OneAtATime(10);
  RunCore slim("test", {.payloads = true, .keep_ended = false});
  DrivenRun run(b.plan());
  run.PlayBefore("build");
  Break(&run, "build");
  run.Play([](const Job& job) { return GoodAnswer(job); },
           [&] { return run.core().candidates().size() > 5; });
  for (const EventGroup& group : run.log()) slim.Apply(group);
  CHECK(slim.candidates().Find(1) != nullptr);
  CHECK(slim.candidates().Find(3) != nullptr);  // confirmed
  const auto last = run.log().size();
  run.Apply({DropOf("c1/build")});
  run.Apply({TimePassed{}});
  for (size_t i = last; i < run.log().size(); ++i)
    CHECK(RunCore::DigestCommands(slim.Apply(run.log()[i])) == run.log()[i].digest);
  CHECK(slim.candidates().Find(1) == nullptr);
}

}  // namespace
}  // namespace kev::testing
