#include "engine/core/event.h"

#include <doctest/doctest.h>

#include "tests/engine/support/canonical_reader.h"
#include "tests/engine/support/plans.h"

namespace kev {
namespace {

const JobKey kKey{{SubjectKind::kCandidate, 12}, 1, 3};

std::vector<Event> OneOfEach() {
  Value data;
  data.Set("candidates", 50);
  RunSubmitted submitted{testing::LinearPlan().plan(), data};
  return {
      submitted,
      JobReported{kKey, 2, testing::Measured(1.5), "host:1"},
      AttemptLost{kKey, 2, AttemptLost::Reason::kDrained, true, true, "BYE"},
      AttemptLost{kKey, 2, AttemptLost::Reason::kEngineRestart, false, false, ""},
      AttemptTimedOut{kKey, 2, AttemptTimedOut::Kind::kQueued},
      Signal{Signal::Kind::kBudget, data},
      StepDisabled{"tune", "no provider"},
      InFlightSet{9},
      EpochBegun{3, 1},
      TimePassed{},
  };
}

TEST_CASE("every kind of event survives its form in the log") {
  for (const Event& event : OneOfEach()) {
    const Result<Event> back = EventFrom(testing::Packed(ToValue(event)));
    REQUIRE(back.ok());
    CHECK(back->index() == event.index());
    CHECK(ToJson(ToValue(*back)) == ToJson(ToValue(event)));
  }
}

TEST_CASE("the fields of a lost attempt are read back one by one") {
  const auto back = EventFrom(testing::Packed(
      ToValue(Event(AttemptLost{kKey, 2, AttemptLost::Reason::kDrained, true, true, "BYE"}))));
  REQUIRE(back.ok());
  const auto& lost = std::get<AttemptLost>(*back);
  CHECK(lost.key == kKey);
  CHECK(lost.attempt == 2);
  CHECK(lost.reason == AttemptLost::Reason::kDrained);
  CHECK(lost.taken);
  CHECK(lost.alone);
  CHECK(lost.detail == "BYE");
}

TEST_CASE("a group keeps its seq, its time and the order of its events") {
  EventGroup group{41, 1234, OneOfEach(), {}};
  const Result<EventGroup> back = EventGroupFrom(testing::Packed(ToValue(group)));
  REQUIRE(back.ok());
  CHECK(back->first_seq == 41);
  CHECK(back->last_seq() == 50);
  CHECK(back->run_time_ms == 1234);
  CHECK(ToJson(ToValue(*back)) == ToJson(ToValue(group)));
}

TEST_CASE("malformed events and groups are errors") {
  Value result = ToValue(Event(JobReported{kKey, 2, {}, ""}));
  const auto with = [&](const char* key, Value value) {
    Value v = result;
    v.Set(key, std::move(value));
    return v;
  };
  Value lost = ToValue(Event(AttemptLost{kKey, 1, {}, false, false, ""}));
  lost.Set("reason", "boredom");
  Value signal = ToValue(Event(Signal{}));
  signal.Set("signal", "dance");
  for (const Value& bad : {Value(), with("event", "party"), with("job", "x1"), with("job", 3),
                           with("step", -1), with("step", 65536), with("index", 65536),
                           with("step", Value()), with("result", Value()), lost, signal}) {
    CAPTURE(ToJson(bad));
    CHECK_FALSE(EventFrom(testing::Packed(bad)).ok());
  }
  Value group = ToValue(EventGroup{1, 0, {TimePassed{}}, {}});
  CHECK(EventGroupFrom(testing::Packed(group)).ok());
  Value no_events = group;
  no_events.Set("events", Value::List{});
  CHECK_FALSE(EventGroupFrom(testing::Packed(no_events)).ok());
  Value no_seq = group;
  no_seq.Set("seq", 0);
  CHECK_FALSE(EventGroupFrom(testing::Packed(no_seq)).ok());
}

TEST_CASE("a summary says what happened to which attempt") {
  const Plan plan = testing::LinearPlan().plan();
  const JobKey key{{SubjectKind::kCandidate, 12}, 1, 0};
  CHECK(Summary(JobReported{key, 2, testing::Verdicts(Verdict::kNoCompile), ""}, &plan) ==
        "result c12/build#2 no_compile");
  CHECK(Summary(JobReported{key, 2, testing::Failed(FailureClass::kDiskFull), ""}, &plan) ==
        "result c12/build#2 failed: disk_full");
  CHECK(Summary(AttemptLost{key, 1, {}, false, false, ""}, nullptr) == "lost c12/1#1 worker_died");
}

}  // namespace
}  // namespace kev
