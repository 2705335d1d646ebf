// Ledger: what really stands in the simulated store's log, followed entry by entry by a fold of its
// own that forgets nothing. It knows of every attempt when it was started, reported and over, and
// says when an entry breaks a rule: attempts that do not count up, a job that begins again after
// its result was accepted, a result of another job, digests and records that the fold does not
// give.
//
// Threads: one at a time. Errors: told to the Story as violations.
#ifndef KEV_TOOLS_SIM_LEDGER_H_
#define KEV_TOOLS_SIM_LEDGER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/core/run_core.h"
#include "engine/host/store.h"
#include "tools/sim/story.h"

namespace kev::sim {

// The latest fields of each projection.
using Projections = std::map<std::string, std::map<std::string, std::string>>;

// Of the bytes of a job. A worker writes it into its result's message (MarkOf), so that the ledger
// sees whether a result is of the job that was asked for.
uint64_t FingerprintOf(std::string_view payload);
std::string MarkOf(uint64_t fingerprint);  // "job:0123456789abcdef"

class Ledger {
 public:
  using AttemptOf = std::pair<JobKey, uint32_t>;
  struct Attempt {
    uint64_t started_seq = 0;
    uint64_t reported_seq = 0;  // its first report in the log; 0: none
    uint64_t over_seq = 0;      // from then on another attempt is current, or none
    bool accepted = false;      // its verdict was taken
    bool solitary = false;
    bool ghost = false;             // stood in a tail that the store has lost
    uint64_t ghost_report_seq = 0;  // its report alone stood there
    uint64_t unknown_to = 0;        // engines from this one on; 0: none
    uint64_t fingerprint = 0;
    uint64_t given_by = 0;               // the engine that sent it to a worker
    std::set<std::string> holders = {};  // the workers that were given it, or kept it
  };

  // `records_each`: the records of each so many-th entry are compared.
  Ledger(Story* story, uint64_t records_each) : story_(story), records_each_(records_each) {}

  // An entry was appended by this engine; `stored` is what the store has of projections now.
  void Appended(const Commit& commit, uint64_t engine, const Projections& stored);
  // The store has lost what came after `left`.
  void Rewound(const std::string& run, const std::vector<std::shared_ptr<const Commit>>& left);
  // This engine, and those after it, begin from what the store has: they do not know the lost
  // tails. Those before them still do, until they hear of it.
  void ForgetGhosts(const std::string& run, uint64_t engine);

  // Whether that engine may know of what the store has lost of it.
  static bool KnownTo(const Attempt& attempt, uint64_t engine) {
    return attempt.unknown_to == 0 || engine < attempt.unknown_to;
  }
  // Null when the attempt was never started in any log that the engine has seen.
  Attempt* Find(const std::string& run, const JobKey& key, uint32_t attempt, uint64_t engine);
  // Also of a run whose first event the store has lost; null when there never was one.
  const Step* StepOf(const std::string& run, uint16_t step) const;
  // The fold of all that stands in the log; null when nothing does.
  const RunCore* Core(const std::string& run) const;
  uint64_t LastSeq(const std::string& run) const;
  // Where the log has the order of a client called `order`; 0: nowhere.
  uint64_t OrderAt(const std::string& run, int64_t order) const;
  uint64_t given(const std::string& run) const;  // CandidatesGiven in the log

  // The whole log once more, by folds that let go of what has ended: the same digests, the same
  // records. A fold from a snapshot on the way must agree, too.
  void Close(const std::string& run, const std::vector<std::shared_ptr<const Commit>>& log,
             const Projections& stored);
  // The live core of an engine whose log is the store's: the same records.
  void Compare(const RunCore& live);

  // Whether the store has the blob.
  std::function<bool(const std::string& sha256)> has_blob;
  // Called when an engine has written that an open attempt is lost.
  std::function<void(uint64_t engine, const std::string& run, const AttemptOf&)> on_lost;

 private:
  struct JobState {
    uint32_t current = 0;
    bool open = false;
    bool accepted = false;
  };
  struct Run {
    std::unique_ptr<RunCore> core;
    std::vector<Step> steps;  // of a plan that the store has lost
    uint64_t entries = 0;
    std::map<AttemptOf, Attempt> attempts;
    std::map<JobKey, JobState> jobs;
    int64_t tokens = 0;  // of the results that count
    std::map<int64_t, uint64_t> orders;
    uint64_t given = 0;
    std::set<std::string> forgotten;  // records that the engine took away; the log still has them
  };

  // `engine` 0: the entry was followed before.
  void Follow(Run& run, const std::string& name, const Commit& commit, uint64_t engine);
  void Report(Run& run, const std::string& name, const JobReported& event, uint64_t seq,
              bool again);
  void Commands(Run& run, const std::string& name, uint64_t seq,
                const std::vector<Command>& commands);
  void CompareRecords(const RunCore& core, const std::vector<Subject>& subjects,
                      const Projections& stored);
  std::string Named(const std::string& run, const JobKey& key, uint32_t attempt) const;

  Story* story_;
  uint64_t records_each_;
  std::map<std::string, Run> runs_;
};

}  // namespace kev::sim

#endif  // KEV_TOOLS_SIM_LEDGER_H_
