// Plan: a workflow after loading, checking and compiling; all that the run core knows of it.
//
// Made by configs/, stored in the run's first event, so that a replay needs no YAML. Immutable once
// a run has begun.
#ifndef KEV_ENGINE_CORE_PLAN_H_
#define KEV_ENGINE_CORE_PLAN_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/expression.h"
#include "engine/core/job.h"
#include "engine/core/result.h"
#include "engine/core/value.h"

namespace kev {

// kWorkflow: the step is a search of its own, nested under one candidate (Plan::nested).
enum class StageKind : uint8_t { kPropose, kCompile, kVerify, kProfile, kSelect, kExec, kWorkflow };
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

// How a step fans out over branches. Steps behind it run once per branch, until one that joins.
struct Foreach {
  enum class Over : uint8_t { kNothing, kList, kFact, kArtefacts } over = Over::kNothing;
  Value list;         // kList
  uint16_t step = 0;  // kFact: a needed step …
  std::string fact;   // … and its fact, a list
};
enum class Join : uint8_t {
  kNone,
  kAll,  // every branch passed
  kAny,  // one branch passed; the others go on
};

// What a fact of a result is, as the stage's contract declares it.
enum class FactKind : uint8_t { kInt, kNumber, kBool, kText, kList, kMap };
const char* Name(FactKind kind);

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
  Foreach foreach;
  Join join = Join::kNone;
  uint16_t search = 0;  // the search that it belongs to: 0 the run's own, k Plan::nested[k - 1]
  uint16_t nested = 0;  // kWorkflow: the search that it runs, counted as above
  // Upper bound of what one candidate asked of this step may cost: held back from the budget until
  // the answer is there.
  int64_t reserve_tokens = 0;
  double reserve_usd = 0;
  // Placement; the core does not look at it.
  int32_t priority = 0;
  uint32_t max_running = 0;  // at a time, 0: no cap
  double rate_per_s = 0;     // 0: no limit
  uint32_t rate_burst = 1;
  std::map<std::string, uint32_t> resources;  // device: 1
  std::map<std::string, std::string> labels;  // gpu.model: H100
  uint32_t timeout_no_progress_ms = 0;
  std::map<std::string, FactKind> facts;  // what its results may hold; others are not looked at
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

// A search: where candidates come from and when it ends. The run's own stands in Plan itself.
struct Search {
  Budget budget;  // candidates and evaluations only; they count in the run's budget as well
  StopRules stop;
  uint32_t in_flight = 8;
  std::vector<Share> shares;
  std::optional<uint16_t> select;
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
  std::vector<Search> nested;
  // Candidates come from outside (CandidatesGiven), not from propose steps.
  bool given = false;
  // Two candidates whose compiled code is the same (launch["code"] of their artefacts, else their
  // bytes) are one: the later is a duplicate.
  bool one_binary_once = false;
  uint64_t candidate_timeout_ms = 0;  // from birth to end, run time; 0: none
  std::vector<Prepared> prepared;
  BlobRef context;  // bundle of files for workers

  // Index of the step called `id`, if there is one.
  std::optional<uint16_t> Find(std::string_view id) const;
};

// By step: the foreach step whose branches it runs in (itself for the foreach), or UINT16_MAX.
// kInvalid: needs that form a cycle, a foreach inside the branches of another, a step behind two of
// them, a list that a branch gave, a measurement for `best` in a branch.
Result<std::vector<uint16_t>> RegionsOf(const Plan&);

Value ToValue(const Plan&);
Result<Plan> PlanFrom(const Value&);

}  // namespace kev

#endif  // KEV_ENGINE_CORE_PLAN_H_
