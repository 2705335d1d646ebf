// Plan: a workflow after loading, checking and compiling; all that the run core knows of it.
//
// Made by configs/, stored in the run's first event, so that a replay needs no YAML. Immutable once
// a run has begun.
#ifndef KEV_ENGINE_CORE_PLAN_H_
#define KEV_ENGINE_CORE_PLAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/expression.h"
#include "engine/core/job.h"
#include "engine/core/result.h"
#include "engine/core/value.h"

namespace kev {

enum class StageKind : uint8_t { kPropose, kCompile, kVerify, kProfile, kSelect, kExec };
const char* Name(StageKind kind);

struct RetryPolicy {
  uint32_t max = 3;         // infrastructure failures that are retried
  uint32_t base_ms = 1000;  // full jitter: uniform in [0, base * 2^n)
  uint32_t cap_ms = 300000;
};

// How many of select's places a propose step may have.
struct Share {
  uint16_t step = 0;
  enum class Kind : uint8_t { kFill, kInFlight, kFirst } kind = Kind::kFill;
  uint32_t amount = 0;  // kInFlight: places at a time; kFirst: candidates in all, before others
};

struct Step {
  std::string id;
  std::string stage;  // as in `uses`: "propose/tune"
  StageKind kind = StageKind::kExec;
  std::vector<uint16_t>
      needs;       // indices of steps; all of those on a candidate's path must have passed
  Program when;    // empty: always
  Value settings;  // `with`, defaults filled in
  RetryPolicy retry;
  uint32_t timeout_running_ms = 0;  // 0: none
  uint32_t timeout_queued_ms = 0;
  bool quiet_host = false;      // resources: { quiet: host }
  bool final_fidelity = false;  // profile with rigor final: its result can move `best`
  uint32_t batch = 1;           // propose: most candidates one job may give
  bool stateful = false;        // gets history_seq, and one job at a time
  uint32_t workers = 0;         // worker processes to start on one machine; 0: by the machine
};

struct Budget {              // 0 = no limit
  uint64_t candidates = 0;   // proposed
  uint64_t evaluations = 0;  // candidates whose kernel was run by profile
  uint64_t wall_ms = 0;
  double device_s = 0;
  uint64_t tokens = 0;
  double usd = 0;
};
struct StopRules {       // 0 = none
  uint64_t plateau = 0;  // ended candidates since `best` last moved
  double speedup = 0;    // lower bound of best reaches this
};

// A thing of the task that must be compiled (and, but for the reference, verified) before the
// search.
struct Prepared {
  std::string name;  // "reference", or the baseline's name
  bool reference = false;
  BlobRef source;
  std::string source_name;
  Value build;  // map: flags, libraries; as compile reads it
};

struct Plan {
  std::string workflow;  // name
  std::string task;
  std::string target;  // name of the first target (one target for now)
  uint64_t seed = 0;
  Budget budget;
  StopRules stop;
  uint32_t in_flight = 0;   // 0: auto, set by an event
  std::vector<Step> steps;  // in the order of the file
  std::vector<Share> shares;
  std::optional<uint16_t> select;
  std::vector<Prepared> prepared;
  BlobRef context;  // bundle of files for workers

  // Index of the step called `id`, if there is one.
  std::optional<uint16_t> Find(std::string_view id) const;
};

Value ToValue(const Plan&);
Result<Plan> PlanFrom(const Value&);

}  // namespace kev

#endif  // KEV_ENGINE_CORE_PLAN_H_
