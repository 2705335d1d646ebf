// Events: what the run core cannot derive, in the order in which it learned of them; everything
// else is a fold of them.
//
// Events travel in groups; a group is committed as one entry of the event log, with the run time at
// which it was formed and the digest of the commands it gave. Change the form of an event -> raise
// kDecisionVersion (run_core.h). Threads: plain values.
#ifndef KEV_ENGINE_CORE_EVENT_H_
#define KEV_ENGINE_CORE_EVENT_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "engine/core/digest.h"
#include "engine/core/job.h"
#include "engine/core/plan.h"
#include "engine/core/result.h"

namespace kev {

struct RunSubmitted {
  Plan plan;
  Value about;  // map: version, command line, host, started (wall clock, for people only)
};
struct JobReported {  // a worker's RESULT for a current attempt
  JobKey key;
  uint32_t attempt = 0;
  JobResult result;
  std::string worker;  // for people
};
struct AttemptLost {
  JobKey key;
  uint32_t attempt = 0;
  enum class Reason : uint8_t {
    kWorkerDied,
    kEngineRestart,
    kDrained
  } reason = Reason::kWorkerDied;
  bool taken = false;  // the worker had begun it
  bool alone = false;  // it was the only job on its worker
  std::string detail;
};
struct AttemptTimedOut {
  JobKey key;
  uint32_t attempt = 0;
  enum class Kind : uint8_t { kQueued, kRunning } kind = Kind::kRunning;
};
struct Signal {
  enum class Kind : uint8_t { kPause, kResume, kCancel, kBudget } kind = Kind::kCancel;
  Value data;  // kBudget: map budget key -> new limit
};
struct StepDisabled {
  std::string step;
  std::string reason;
};
struct InFlightSet {  // value of `in_flight: auto`
  uint32_t in_flight = 0;
};
struct EpochBegun {
  uint64_t epoch = 0;
  uint32_t decision_version = 0;
};
struct TimePassed {
};  // nothing but the group's run time: lets time budgets act when nothing else happens

using Event = std::variant<RunSubmitted, JobReported, AttemptLost, AttemptTimedOut, Signal,
                           StepDisabled, InFlightSet, EpochBegun, TimePassed>;

struct EventGroup {
  uint64_t first_seq =
      0;  // seq counts events from 1; the group holds [first_seq, first_seq + events.size())
  int64_t run_time_ms = 0;  // monotonic, time when the run was not live left out
  std::vector<Event> events;
  Digest128 digest;  // of the commands that it gave
  uint64_t last_seq() const { return first_seq + events.size() - 1; }
};

// A few words for people: "result c12/build#1 ok".
std::string Summary(const Event& event, const Plan* plan);

// The log entry's body is EncodeCanonical(ToValue(group)) without the digest, which is a field
// beside it.
Value ToValue(const Event& event);
Result<Event> EventFrom(const Value& value);
Value ToValue(const EventGroup& group);
Result<EventGroup> EventGroupFrom(const Value& value);

}  // namespace kev

#endif  // KEV_ENGINE_CORE_EVENT_H_
