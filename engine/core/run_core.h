// RunCore: the deterministic fold of a run's events. It decides which jobs exist, which attempts
// are ready, what a candidate's verdict is, what `best` is and when the run ends. It knows no
// worker, no clock and no randomness other than counter-based. Live, recovery, replay, simulation
// and the stateful stages run this same code.
//
// Threads: one at a time. Errors: events for attempts that are not current are ignored (and counted
// as stale).
#ifndef KEV_ENGINE_CORE_RUN_CORE_H_
#define KEV_ENGINE_CORE_RUN_CORE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "engine/core/digest.h"
#include "engine/core/event.h"
#include "engine/core/job.h"
#include "engine/core/plan.h"

namespace kev {

// Raise when the same events would give other commands.
inline constexpr uint32_t kDecisionVersion = 1;

struct StartAttempt {
  JobKey key;
  uint32_t attempt = 1;
  int64_t not_before_ms = 0;  // run time
  bool solitary = false;      // must be the only job on its worker
  std::string payload;        // canonical bytes of ToValue(Job); empty in fold mode
};
struct CancelAttempt {
  JobKey key;
  uint32_t attempt = 0;
};
struct RunEnded {
  std::string status;      // done, failed, cancelled
  std::string stopped_by;  // candidates, evaluations, wall, plateau, speedup, space_exhausted,
                           // cancelled, failed
  std::string message;
  Value claim;  // what is said of the winner: part of the digest, so that a replay holds it too
};
using Command = std::variant<StartAttempt, CancelAttempt, RunEnded>;

// What became of one step for one candidate.
struct StepOutcome {
  enum class State : uint8_t { kWaiting, kOpen, kPassed, kSkipped, kEnded } state = State::kWaiting;
  uint32_t attempt = 0;   // current or last one
  uint32_t failures = 0;  // infrastructure failures so far
  uint32_t deaths = 0;    // workers that died with it
  bool solitary = false;
  Verdict verdict = Verdict::kOk;
  std::string message;
  Value facts;
  Usage usage;
  bool cached = false;
  std::map<std::string, BlobRef> blobs;
  std::string worker;
  uint64_t seq = 0;       // of the event that ended it
  uint32_t reported = 0;  // attempt whose verdict was taken; 0: none
};

struct Candidate {
  CandidateView view;  // facts inside it are kept in `steps`, view.facts stays null
  std::vector<Artefact> artefacts;
  std::vector<StepOutcome> steps;  // by index into Plan::steps
  bool ended = false;
  Verdict verdict = Verdict::kOk;
  std::string message;
  std::string ended_by;  // step that ended it, "" when it passed all
  std::string note;      // the proposer's
  uint64_t born_seq = 0;
  uint64_t ended_seq = 0;
  bool evaluated = false;  // profile gave a result for it
};

struct PreparedState {
  std::vector<Artefact> artefacts;
  bool ready = false;
  bool calibration = false;  // not a thing but the job that finds the strongest baseline
  Candidate record;          // its compile and verify outcomes
};

struct ProposeRequest {
  Request request;
  uint16_t step = 0;
  bool select = false;  // it is select's own job
  StepOutcome outcome;
  std::vector<Subject> born;  // candidates that came of it
};

struct Best {
  Subject candidate;
  uint16_t step = 0;  // the profile step that confirmed it
  Value facts;
  uint64_t seq = 0;
};

enum class Phase : uint8_t { kNew, kPreparing, kSearching, kDraining, kClaiming, kEnded };
const char* Name(Phase phase);

class RunCore {
 public:
  enum class Mode {
    kDerive,
    kFold
  };  // kFold leaves StartAttempt::payload empty (for stateful stages)
  explicit RunCore(std::string run, Mode mode = Mode::kDerive);

  // Folds one group and returns what is to be done. REQUIRES: group.first_seq == last_seq() + 1.
  std::vector<Command> Apply(const EventGroup& group);
  // Digest of commands, as it is logged with the group.
  static Digest128 DigestCommands(const std::vector<Command>& commands);

  // Run time at which something is due without any event (wall budget); nullopt: nothing is.
  std::optional<int64_t> NextDeadline() const;
  // Every attempt that was started and has not ended, in key order: what a restart may find out in
  // the world.
  std::vector<StartAttempt> OpenAttempts() const;
  // Number of the job's open attempt; 0 when it has none.
  uint32_t OpenAttempt(const JobKey& key) const;
  // Whether this attempt's result is in the log.
  bool HasReported(const JobKey& key, uint32_t attempt) const;
  // Subjects whose record changed since the last call (for the projection), in order.
  std::vector<Subject> TakeChanged();

  // Queries.
  const std::string& run() const { return run_; }
  const Plan& plan() const { return plan_; }
  const Value& about() const { return about_; }
  Phase phase() const { return phase_; }
  uint64_t last_seq() const { return last_seq_; }
  int64_t run_time_ms() const { return now_ms_; }
  bool paused() const { return paused_; }
  uint32_t in_flight() const { return in_flight_; }
  const std::vector<Candidate>& candidates() const { return candidates_; }   // c1 is [0]
  const std::vector<PreparedState>& prepared() const { return prepared_; }   // p1 is [0]
  const std::vector<ProposeRequest>& requests() const { return requests_; }  // r1 is [0]
  const std::optional<Best>& best() const { return best_; }
  // Fresh measurement of the winner after the search; null until there is one.
  const Value& claim() const { return claim_; }
  const std::optional<RunEnded>& ended() const { return ended_; }
  uint64_t evaluated() const { return evaluated_; }
  uint64_t active() const { return active_; }       // candidates that have not ended
  std::map<std::string, uint64_t> refused() const;  // verdict -> ended candidates, without ok
  const Usage& usage() const { return usage_; }
  uint64_t stale() const { return stale_; }
  const std::map<std::string, std::string>& disabled() const {
    return disabled_;
  }  // step -> reason
  const std::string& strongest() const {
    return strongest_;
  }  // baseline that speed-ups are against; "" so far none
  std::string Label(const JobKey& key, uint32_t attempt) const;  // "c12/build#1"

  // Projections for people and tools: plain maps.
  Value CandidateRecord(Subject subject) const;
  Value RunRecord() const;

 private:
  void Absorb(const Event& event);
  void On(const RunSubmitted&);
  void On(const JobReported&);
  void On(const AttemptLost&);
  void On(const AttemptTimedOut&);
  void On(const Signal&);
  void On(const StepDisabled&);
  void On(const InFlightSet&);
  void On(const EpochBegun&);
  void On(const TimePassed&);

  // run_core_prepare.cc: reference and baselines, before the search.
  void BeginPreparing();
  void AdvancePrepared();
  void PreparedReported(uint32_t number, uint16_t step, const JobReported& event);
  // run_core_candidates.cc: the way of one candidate through the graph.
  void CandidateReported(uint32_t number, uint16_t step, const JobReported& event);
  void Born(const Proposal& proposal, uint32_t request_number);
  void Fire(Candidate& candidate);
  bool Passes(const Candidate& candidate, const Step& step) const;
  void End(Candidate& candidate, Verdict verdict, const std::string& message,
           const std::string& ended_by);
  void ConsiderBest(Candidate& candidate, uint16_t step);
  // run_core_search.cc: what to ask select and propose for, and when to stop.
  void RequestReported(uint32_t number, const JobReported& event);
  void TakeWishes(const JobReported& event);
  void EndRequest(ProposeRequest& request);
  void Disable(const std::string& step, const std::string& reason);
  void DeriveSearch();
  bool MustStop();
  void StopSearch(const std::string& stopped_by, bool cancel_active);
  void DeriveClaim();
  void ClaimReported(const JobKey& key, const JobReported& event);
  std::vector<uint32_t> PlacesByStep(uint64_t places) const;
  // run_core.cc: attempts.
  void Finish(const std::string& status, const std::string& stopped_by, const std::string& message);
  void Start(const JobKey& key, StepOutcome& outcome, int64_t not_before_ms = 0);
  void Withdraw(const JobKey& key, StepOutcome& outcome);
  void Retry(const JobKey& key, const std::string& why, bool counts);
  void GiveUp(const JobKey& key, const std::string& why);
  StepOutcome* OutcomeOf(const JobKey& key);
  const StepOutcome* OutcomeOf(const JobKey& key) const {
    return const_cast<RunCore*>(this)->OutcomeOf(key);
  }
  const Step& StepOf(const JobKey& key) const { return plan_.steps[key.step]; }
  std::string PayloadOf(const JobKey& key, const StepOutcome& outcome) const;  // payload.cc
  void Changed(Subject subject);

  std::string run_;
  Mode mode_;
  Plan plan_;
  Value about_;
  Phase phase_ = Phase::kNew;
  uint64_t last_seq_ = 0;
  uint64_t group_last_seq_ = 0;
  uint64_t current_seq_ = 0;
  int64_t now_ms_ = 0;
  bool paused_ = false;
  uint32_t in_flight_ = 0;
  std::vector<Command> commands_;

  std::vector<std::vector<bool>> path_;  // by origin step: steps on its candidates' path
  std::vector<Candidate> candidates_;
  std::vector<PreparedState> prepared_;
  std::vector<ProposeRequest> requests_;
  std::unordered_map<std::string, uint32_t>
      by_source_;                // source digest -> candidate number; never iterated
  std::map<JobKey, bool> open_;  // started and not ended
  std::set<std::pair<JobKey, uint32_t>>
      spent_;  // reported attempts that gave no verdict: failed, or stale
  std::map<JobKey, StepOutcome> claims_;  // index >= 1
  std::vector<Best> confirmed_;           // every confirmed candidate
  std::optional<Best> best_;
  Value claim_;
  std::optional<RunEnded> ended_;
  std::string stopped_by_;
  std::map<std::string, std::string> disabled_;
  std::vector<bool> exhausted_;
  std::vector<uint64_t> outstanding_;  // by propose step: wished for, not yet born
  std::vector<uint64_t> proposed_;     // by propose step: born in all
  std::vector<uint64_t> alive_;        // by propose step: born, not ended
  std::vector<uint32_t> given_up_;     // by propose step: requests in a row that came to nothing
  std::vector<Subject> changed_;
  std::string strongest_;  // the baseline that speed-ups are against
  Value ranking_;          // of the baselines, as the calibration job gave it
  bool select_open_ = false;
  bool select_idle_ = false;  // select wished for nothing; ask again when something has changed
  uint64_t active_ = 0;
  uint64_t evaluated_ = 0;
  uint64_t ended_count_ = 0;
  uint64_t since_best_ = 0;
  uint64_t stale_ = 0;
  uint64_t epoch_ = 0;
  Usage usage_;
};

}  // namespace kev

#endif  // KEV_ENGINE_CORE_RUN_CORE_H_
