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
  std::string packed =
      {};  // the result's bytes as the worker sent them; empty: encoded from `result`
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
  enum class Kind : uint8_t { kQueued, kRunning, kNoProgress } kind = Kind::kRunning;
};
// The grace after a restart is over: every open attempt is lost but those that a worker came back
// with.
struct OpenAttemptsLost {
  std::vector<std::pair<JobKey, uint32_t>> kept;  // in key order
  std::string detail;
};
// Candidates that come from outside and not from a propose step: a plain graph over given files.
struct CandidatesGiven {
  std::vector<Proposal> proposals;
  bool last = false;  // no more will be given: the run ends when all have ended
};
struct Signal {
  enum class Kind : uint8_t {
    kPause,
    kResume,
    kCancel,
    kBudget,         // data: map budget key -> new limit (seconds are ms: wall_ms)
    kWorkerDrained,  // data: worker; for the record
    kRetryDead,      // data: job ("c12/build"); it is tried again with a clean slate
    kDropDead,       // data: job; it leaves the dead-letter list
  } kind = Kind::kCancel;
  Value data;
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

using Event =
    std::variant<RunSubmitted, JobReported, AttemptLost, AttemptTimedOut, Signal, StepDisabled,
                 InFlightSet, EpochBegun, TimePassed, OpenAttemptsLost, CandidatesGiven>;

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

// Appends Summary's words.
void AppendSummary(const Event& event, const Plan* plan, std::string* out);

// The log entry's body: canonical msgpack without the digest, which is a field beside it.
void Encode(const EventGroup& group, std::string* out);
void Encode(const Event& event, std::string* out);
Result<Event> EventFrom(const PackedView& view);
Result<EventGroup> EventGroupFrom(const PackedView& view);
Value ToValue(const Event& event);
Value ToValue(const EventGroup& group);

}  // namespace kev

#endif  // KEV_ENGINE_CORE_EVENT_H_
