// The same events give the same commands and the same state, live, replayed and in fold mode.
#include <doctest/doctest.h>

#include "engine/core/random.h"
#include "tests/engine/support/driven_run.h"
#include "tests/engine/support/record_parts.h"

namespace kev::testing {
namespace {

// A run in which much goes wrong, with groups of several events.
DrivenRun Eventful(uint64_t seed) {
  auto b = LinearPlan();
  b.Reference().Baseline("plain");
  b.at("check").when = Condition("build.size", Op::kLt, 90);
  b.plan().in_flight = 6;
  b.plan().budget.candidates = 30;
  b.plan().seed = seed;
  DrivenRun run(b.plan());
  CounterRandom random(seed, "eventful");
  while (!run.core().ended()) {
    std::vector<Event> events;
    for (const auto& w : run.waiting()) {
      if (events.size() >= 1 + random.Below(4)) break;
      const bool prepared = w.start.key.subject.kind == SubjectKind::kPrepared;
      const uint64_t luck = prepared ? 99 : random.Below(100);
      JobResult r = GoodAnswer(w.job, [&](const Job&) { return 0.5 + random.Unit(); });
      if (w.job.step == "build") r.facts.Set("size", static_cast<int64_t>(random.Below(100)));
      if (luck < 5)
        r = Failed(FailureClass::kInfrastructure);
      else if (luck < 15 && w.start.key.subject.kind == SubjectKind::kCandidate)
        r = Verdicts(Verdict::kWrong);
      else if (luck < 25) {
        events.push_back(AttemptLost{w.start.key, w.start.attempt, AttemptLost::Reason::kWorkerDied,
                                     random.Below(4) == 0, false, "died"});
        continue;
      }
      events.push_back(JobReported{w.start.key, w.start.attempt, r, "w"});
    }
    run.Pass(static_cast<int64_t>(random.Below(50)));
    run.Apply(std::move(events));
  }
  return run;
}

TEST_CASE("a second core that folds the same groups gives the same digests and state") {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    const DrivenRun live = Eventful(seed);
    RunCore again("test");
    for (const EventGroup& group : live.log()) {
      REQUIRE(RunCore::DigestCommands(again.Apply(group)) == group.digest);
    }
    CHECK(Picture(again) == Picture(live.core()));
  }
}

TEST_CASE(
    "the fields that are written of a record are the record, and so are its parts one by one") {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    const DrivenRun live = Eventful(seed);
    RunCore core("test");
    WrittenRecords written;
    for (const EventGroup& group : live.log()) {
      core.Apply(group);
      const std::vector<RecordPart> changed = core.TakeChanged();
      written.Write(ChangedProjections(core, changed));
      for (const Subject subject : SubjectsOf(changed)) {
        const Fields fields = FieldsByRecord(core, subject);
        CHECK(FieldsOf(SubjectProjection(core, subject)) == fields);
        CHECK(written.at(subject) == fields);
      }
    }
  }
}

TEST_CASE("fold mode leaves payloads out and changes nothing else") {
  const DrivenRun live = Eventful(9);
  RunCore fold("test", RunCore::Options{.payloads = false, .keep_ended = true});
  for (const EventGroup& group : live.log()) {
    for (const Command& command : fold.Apply(group)) {
      if (const auto* start = std::get_if<StartAttempt>(&command)) REQUIRE(start->payload.empty());
    }
  }
  CHECK(Picture(fold) == Picture(live.core()));
  CHECK(fold.TakeChanged().empty());
}

TEST_CASE("the digest of commands sees every field of a command") {
  const StartAttempt start{{{SubjectKind::kCandidate, 1}, 1, 0}, 1, 0, false, "payload"};
  const Digest128 whole = RunCore::DigestCommands({start});
  StartAttempt other = start;
  other.not_before_ms = 1;
  CHECK(RunCore::DigestCommands({other}) != whole);
  other = start;
  other.solitary = true;
  CHECK(RunCore::DigestCommands({other}) != whole);
  other = start;
  other.payload = "payloae";
  CHECK(RunCore::DigestCommands({other}) != whole);
  const CancelAttempt cancel{start.key, 1};
  CHECK(RunCore::DigestCommands({cancel}) !=
        RunCore::DigestCommands({CancelAttempt{start.key, 2}}));
  CHECK(RunCore::DigestCommands({start, cancel}) != RunCore::DigestCommands({cancel, start}));
}

TEST_CASE("what changed is told once, in order, each part once") {
  auto b = LinearPlan();
  RunCore core("test");
  EventGroup group{1, 0, {RunSubmitted{b.plan(), Value()}}, {}};
  core.Apply(group);
  const auto changed = core.TakeChanged();
  CHECK(changed == std::vector<RecordPart>{{{SubjectKind::kRequest, 1}}});
  CHECK(core.TakeChanged().empty());
}

}  // namespace
}  // namespace kev::testing
