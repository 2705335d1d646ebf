// RunCore: the deterministic fold of a run's events. It decides which jobs exist, which attempts
// are ready, what a candidate's verdict is, what `best` is and when the run ends. It knows no
// worker, no clock and no randomness other than counter-based. Live, recovery, replay, simulation
// and the stateful stages run this same code.
//
// Threads: one at a time. Errors: events for attempts that are not current are ignored (and counted
// as stale).
#ifndef KEV_ENGINE_CORE_RUN_CORE_H_
#define KEV_ENGINE_CORE_RUN_CORE_H_

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
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
#include "engine/core/kept.h"
#include "engine/core/plan.h"
#include "engine/core/twins.h"

namespace kev {

// Raise when the same events would give other commands.
inline constexpr uint32_t kDecisionVersion = 5;

struct StartAttempt {
  JobKey key;
  uint32_t attempt = 1;
  int64_t not_before_ms = 0;  // run time
  bool solitary = false;      // must be the only job on its worker
  std::string payload;        // canonical bytes of the Job; empty without payloads
  uint64_t digest = 0;        // of the payload, below 2^63 and above 0; 0 without payloads
};
struct CancelAttempt {
  JobKey key;
  uint32_t attempt = 0;
};
struct RunEnded {
  std::string status;      // done, failed, cancelled
  std::string stopped_by;  // candidates, evaluations, wall, plateau, speedup, space_exhausted,
                           // device, tokens, usd, all_given, cancelled, failed
  std::string message;
  Value claim;  // what is said of the winner: part of the digest, so that a replay holds it too
};
using Command = std::variant<StartAttempt, CancelAttempt, RunEnded>;

// What became of one step for one candidate.
struct StepOutcome {
  enum class State : uint8_t { kWaiting, kOpen, kPassed, kSkipped, kEnded } state = State::kWaiting;
  bool solitary = false;
  bool cached = false;
  Verdict verdict = Verdict::kOk;
  uint32_t attempt = 0;     // current or last one
  uint32_t failures = 0;    // infrastructure failures so far
  uint32_t deaths = 0;      // workers that died with it
  uint32_t reported = 0;    // attempt whose verdict was taken; 0: none
  uint64_t job_digest = 0;  // of the current or last attempt: StartAttempt::digest
  uint64_t seq = 0;         // of the event that ended it
  std::string message;
  Value facts;
  Usage usage;
  std::map<std::string, BlobRef> blobs;
  std::string worker;
  std::vector<std::string> evidence;  // who died with it, and how
};

struct Candidate {
  CandidateView view;   // facts inside it are kept in `steps`, view.facts stays null
  uint16_t origin = 0;  // step that proposed it; the number of steps when it was given
  uint32_t search = 0;
  // Where compile steps run in branches: what the branches gave that still stand, in their order.
  std::vector<Artefact> artefacts;
  // What a branch works on, by (foreach step, branch), where it has artefacts of its own.
  std::map<std::pair<uint16_t, uint16_t>, std::vector<Artefact>> branch_artefacts;
  std::vector<StepOutcome> steps;  // by index into Plan::steps; of a foreach, branch 0
  // The other branches of foreach steps, by (step, branch), and how wide each foreach is.
  std::map<std::pair<uint16_t, uint16_t>, StepOutcome> branches;
  std::map<uint16_t, uint16_t> widths;
  std::map<std::pair<uint16_t, uint16_t>, Verdict> broken;  // branches that a verdict ended
  bool ended = false;
  bool evaluated = false;  // profile gave a result for it
  Verdict verdict = Verdict::kOk;
  std::string message;
  std::string ended_by;  // step that ended it, "" when it passed all
  uint32_t twin = 0;     // number of the earlier candidate that it is the same as; 0: of none
  std::string note;      // the proposer's
  uint64_t born_seq = 0;
  uint64_t ended_seq = 0;
  int64_t born_ms = 0;
  int64_t due_ms = 0;  // search time at which it times out, when candidates do
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
  uint32_t search = 0;
  bool select = false;  // it is select's own job
  bool reserved = false;
  StepOutcome outcome;
  std::vector<Subject> born;  // candidates that came of it
};

// A candidate that was measured, but not at final fidelity.
struct SampledCode {
  uint16_t step = 0;      // the profile step
  uint32_t launches = 1;  // jobs that measured its code, its duplicates' too
};

struct Best {
  Subject candidate;
  uint16_t step = 0;  // the profile step that confirmed it
  Value facts;
  uint64_t seq = 0;
};

// A job that was given up: it killed its workers, or failed too often.
struct DeadLetter {
  JobKey key;
  uint32_t attempt = 0;
  std::string why;
  std::vector<std::string> evidence;
  uint64_t seq = 0;
};

// A search under way: the run's own (number 0), or one nested under a candidate.
// A part of a record, as it is written beside the log.
struct RecordPart {
  enum class Part : uint8_t { kAll, kState, kArtefacts, kStep };
  Subject subject;
  Part part = Part::kAll;
  uint16_t step = 0;  // of kStep, with the index of its job
  uint16_t index = 0;
  auto operator<=>(const RecordPart&) const = default;
};

struct SearchState {
  uint16_t spec = 0;                  // 0: Plan's own, else Plan::nested[spec - 1]
  JobKey parent;                      // the job of a nested one
  std::vector<bool> exhausted;        // these are by step
  std::vector<uint64_t> outstanding;  // wished for, not yet born
  std::vector<uint64_t> proposed;     // born in all
  std::vector<uint64_t> alive;        // born, not ended
  std::vector<uint32_t> given_up;     // requests in a row that came to nothing
  bool select_open = false;
  bool select_idle = false;  // select wished for nothing; ask again when something has changed
  // With those of the searches nested in it, which take from its budget.
  uint64_t wished = 0;  // for, and not yet born
  uint64_t born = 0;
  uint64_t evaluated = 0;
  uint64_t active = 0;  // its own
  uint64_t since_best = 0;
  std::optional<Best> best;  // with those of the searches nested in it; of the run's: RunCore::best
};

enum class Phase : uint8_t { kNew, kPreparing, kSearching, kDraining, kClaiming, kEnded };
const char* Name(Phase phase);

class RunCore {
 public:
  struct Options {
    bool payloads = true;  // false: StartAttempt::payload stays empty (stateful stages)
    // Keep all of an ended candidate. The engine does not: of a million candidates it keeps what a
    // decision can still need.
    bool keep_ended = true;
  };
  explicit RunCore(std::string run);
  RunCore(std::string run, Options options);

  // Folds one group and returns what is to be done. REQUIRES: group.first_seq == last_seq() + 1.
  std::vector<Command> Apply(const EventGroup& group);
  // Digest of commands, as it is logged with the group.
  static Digest128 DigestCommands(const std::vector<Command>& commands);

  // The whole state as bytes, and a core that goes on from there as if it had folded the log. The
  // form may change with kDecisionVersion. Errors: kCorrupt, kConflict (of another version).
  std::string Snapshot() const;
  static Result<std::unique_ptr<RunCore>> FromSnapshot(std::string_view bytes, Options options);
  // The same as fields: "state", and of the two tables that grow with each candidate, and whose
  // rows never change, "sources:N" and "binaries:N", the rows after the first N. Who has the fields
  // of earlier snapshots, as `kept` says, is given only the rows that have come since, so that a
  // snapshot's size does not grow with the run. `kept` becomes what there is now; {}: nothing.
  struct TableRows {
    uint64_t sources = 0;
    uint64_t binaries = 0;
  };
  using SnapshotFields = std::map<std::string, std::string>;
  SnapshotFields SnapshotSince(TableRows* kept) const;
  // Of the newest "state" and all the rows' fields.
  static Result<std::unique_ptr<RunCore>> FromSnapshot(const SnapshotFields& fields,
                                                       Options options);

  // Run time at which something is due without any event (wall budget); nullopt: nothing is.
  std::optional<int64_t> NextDeadline() const;
  // Every attempt that was started and has not ended, in key order: what a restart may find out in
  // the world.
  std::vector<StartAttempt> OpenAttempts() const;
  size_t open_attempts() const { return open_count_; }
  // Number of the job's open attempt; 0 when it has none.
  uint32_t OpenAttempt(const JobKey& key) const;
  // Of the job's last attempt: what it was asked to do. A log that lost its tail may go on with
  // another job under the same number.
  uint64_t JobDigest(const JobKey& key) const;
  // Whether the job's attempts must be alone on their worker.
  bool Solitary(const JobKey& key) const;
  // Whether this attempt's result is in the log.
  bool HasReported(const JobKey& key, uint32_t attempt) const;
  // Whether the engine ever gave this attempt out: a result of any other is a lie.
  bool WasIssued(const JobKey& key, uint32_t attempt) const;
  // What changed of the records since the last call (for the projections), in order, nothing twice.
  std::vector<RecordPart> TakeChanged();

  // Queries.
  const std::string& run() const { return run_; }
  const Plan& plan() const { return plan_; }
  const Value& about() const { return about_; }
  Phase phase() const { return phase_; }
  uint64_t last_seq() const { return last_seq_; }
  int64_t run_time_ms() const { return now_ms_; }
  uint64_t epoch() const { return epoch_; }
  bool paused() const { return paused_; }
  const std::string& stopped_by() const { return stopped_by_; }  // of the search; "": it goes on
  uint32_t in_flight() const { return in_flight_; }
  const Kept<Candidate>& candidates() const { return candidates_; }         // c1 is [0]
  const std::vector<PreparedState>& prepared() const { return prepared_; }  // p1 is [0]
  const Kept<ProposeRequest>& requests() const { return requests_; }        // r1 is [0]
  const std::set<uint32_t>& active_candidates() const { return active_numbers_; }
  const std::map<uint32_t, SearchState>& searches() const { return searches_; }
  const std::optional<Best>& best() const { return best_; }
  // Fresh measurement of the winner after the search; null until there is one.
  const Value& claim() const { return claim_; }
  // Closing measurements that were begun, now or before the run was reopened.
  const std::map<JobKey, StepOutcome>& claims() const { return claims_; }
  // What the outcome of a step is called in its candidate's record: "verify", "verify[2]".
  std::string OutcomeLabel(const Candidate& c, uint16_t step, uint16_t index) const;
  const std::optional<RunEnded>& ended() const { return ended_; }
  uint64_t evaluated() const { return evaluated_; }
  // Full checks so far in which candidates met held-out shapes: each is a look by which a search
  // could fit itself to them.
  uint64_t held_out_looks() const { return held_out_looks_; }
  uint64_t active() const { return active_numbers_.size(); }  // candidates that have not ended
  std::map<std::string, uint64_t> refused() const;  // verdict -> ended candidates, without ok
  const Usage& usage() const { return usage_; }
  int64_t reserved_tokens() const { return reserved_tokens_; }
  double reserved_usd() const { return reserved_usd_; }
  uint64_t stale() const { return stale_; }
  const std::vector<DeadLetter>& dead_letters() const { return dead_; }
  const std::map<std::string, std::string>& disabled() const {
    return disabled_;
  }  // step -> reason
  const std::string& strongest() const {
    return strongest_;
  }  // baseline that speed-ups are against; "" so far none
  std::string Label(const JobKey& key, uint32_t attempt) const;  // "c12/build#1"
  // The job that a label or "c12/build" names.
  std::optional<JobKey> JobNamed(std::string_view name) const;
  // Why the job has not been started, or what it waits for inside the run; "" when it is with the
  // placer.
  std::string Explain(const JobKey& key) const;
  // Why the run does not go on by itself; "" when it does.
  std::string ExplainRun() const;

  // Projections for people and tools: plain maps. Null for what is not there or was let go.
  Value CandidateRecord(Subject subject) const;
  Value RunRecord() const;

 private:
  friend struct SnapshotForm;  // run_core_snapshot.cc
  std::string State(bool rows_apart) const;
  static Result<std::unique_ptr<RunCore>> FromState(std::string_view bytes,
                                                    const SnapshotFields& rows, Options options);
  // What is left to spend, what is held back taken off.
  struct Purse {
    int64_t tokens = 0;
    double usd = 0;
  };
  // What is still asked of a candidate or request that was let go: the step it came from, and the
  // attempts of each of its jobs that began. A million may be gone, but few differ in it. Branches
  // behind the first are left out where the first attempt was reported: which of them began would
  // make each candidate of a wide foreach another one. One that is reported again is then called
  // stale, and is in the log all the same.
  struct PastAttempts {
    uint16_t step = 0;
    uint16_t index = 0;
    uint32_t attempt = 0;   // given out
    uint32_t reported = 0;  // the one whose result counted; 0: none
    auto operator<=>(const PastAttempts&) const = default;
  };
  struct Past {
    uint16_t origin = 0;
    std::vector<PastAttempts> attempts;
    auto operator<=>(const Past&) const = default;
  };

  void On(const RunSubmitted&);
  void On(const JobReported&);
  void On(const AttemptLost&);
  void On(const AttemptTimedOut&);
  void On(const OpenAttemptsLost&);
  void On(const CandidatesGiven&);
  void On(const Signal&);
  void On(const StepDisabled&);
  void On(const InFlightSet&);
  void On(const EpochBegun&);
  void On(const TimePassed&);

  // run_core_prepare.cc: reference and baselines, before the search.
  void BeginPreparing();
  void BeginSearch();
  void AdvancePrepared();
  void PreparedReported(uint32_t number, uint16_t step, const JobReported& event);
  // run_core_candidates.cc: birth, verdict and end of a candidate, and `best`.
  void CandidateReported(const JobReported& event);
  Candidate& NewCandidate(const Proposal& proposal, uint16_t origin, uint32_t search);
  void Born(const Proposal& proposal, ProposeRequest& request);
  void Begin(Candidate& candidate);
  void End(Candidate& candidate, Verdict verdict, const std::string& message,
           const std::string& ended_by);
  void ConsiderBest(Candidate& candidate, uint16_t step, const Value& facts);
  void TakeBack(Subject candidate);
  bool TakesSample(const Candidate& candidate, uint32_t twin) const;
  void TakeSample(Candidate& candidate);
  void Sampled(Candidate& candidate, uint16_t step);
  void NoteScreened(const Candidate& candidate, uint16_t step);
  void Compiled(Candidate& candidate, const JobKey& key, const std::vector<Artefact>& artefacts);
  void GatherArtefacts(Candidate& candidate, uint16_t region);
  void LetGoEnded();
  bool IsNeeded(const Candidate& candidate) const;
  const Past* PastOf(Subject subject) const;
  PastAttempts GoneAttempts(const JobKey& key) const;
  uint32_t PastNumber(Past past);
  void LetGo(Candidate& candidate);
  // run_core_graph.cc: which steps fire, branches and joins.
  void LayOutGraph();
  void Fire(Candidate& candidate);
  bool FireStep(Candidate& candidate, uint16_t step);
  void Advance(Candidate& candidate, uint16_t step, uint16_t branch);
  void EndByBranch(Candidate& candidate, uint16_t region);
  bool NeedsMet(const Candidate& candidate, uint16_t step, uint16_t branch) const;
  bool CanStillBeMet(const Candidate& candidate, uint16_t step, uint16_t region) const;
  bool Passes(const Candidate& candidate, uint16_t step, uint16_t branch) const;
  void BreakBranch(Candidate& candidate, uint16_t region, uint16_t branch, Verdict verdict);
  void Conclude(Candidate& candidate);
  bool Joins(uint16_t step, uint16_t region) const;
  uint16_t RegionOf(const Candidate& candidate, uint16_t step) const;
  uint16_t RegionOf(const JobKey& key) const;
  uint16_t WidthOf(const Candidate& candidate, uint16_t step) const;
  std::optional<size_t> FanOut(Candidate& candidate, uint16_t step) const;
  const std::vector<Artefact>& ArtefactsOf(const Candidate& candidate, uint16_t step,
                                           uint16_t branch) const;
  Value ItemOf(const Candidate& candidate, uint16_t step, uint16_t branch) const;
  StepOutcome& At(Candidate& candidate, uint16_t step, uint16_t branch);
  const StepOutcome* Find(const Candidate& candidate, uint16_t step, uint16_t branch) const;
  // run_core_search.cc: what to ask select and propose for, and when to stop.
  void RequestReported(uint32_t number, const JobReported& event);
  void TakeWishes(SearchState& search, uint32_t id, const JobReported& event);
  void EndRequest(ProposeRequest& request);
  void Disable(const std::string& step, const std::string& reason);
  void DeriveSearches();
  bool DeriveSearch(uint32_t id, SearchState& search);
  const Budget& BudgetOf(const SearchState& s) const;
  const StopRules& StopOf(const SearchState& s) const;
  const std::vector<Share>& SharesOf(const SearchState& s) const;
  std::optional<uint16_t> SelectOf(const SearchState& s) const;
  std::vector<uint32_t> PlacesByStep(const SearchState& search, uint64_t places) const;
  bool MustStop();
  void StopSearch(const std::string& stopped_by, bool cancel_active);
  SearchState NewSearch(uint16_t spec) const;
  void BeginNested(Candidate& candidate, uint16_t step, uint16_t branch);
  void EndNested(uint32_t id, const std::string& stopped_by);
  void CancelNested(const JobKey& parent);
  SearchState* OuterOf(const SearchState& search);
  uint64_t CandidatesLeft(const SearchState& search) const;
  Purse PurseLeft() const;
  static uint64_t Affordable(const Step& step, const Purse& purse);
  std::string WhyNothing(const SearchState& search, bool any) const;
  void Reserve(ProposeRequest& request);
  void Settle(ProposeRequest& request, bool answered);
  void DeriveClaim();
  void WithdrawClaims();
  static constexpr size_t kRivals = 4;
  std::vector<const Candidate*> Rivals(Subject winner) const;
  bool HasClaimed(Subject candidate) const;
  void ClaimReported(const JobKey& key, const JobReported& event);
  // run_core.cc: attempts.
  void Finish(const std::string& status, const std::string& stopped_by, const std::string& message);
  void Start(const JobKey& key, StepOutcome& outcome, int64_t not_before_ms = 0);
  void Withdraw(const JobKey& key, StepOutcome& outcome);
  void Close(StepOutcome& outcome, StepOutcome::State state);
  void Retry(const JobKey& key, const std::string& why, bool counts);
  void GiveUp(const JobKey& key, const std::string& why);
  void Expire();
  StepOutcome* OpenOutcome(const JobKey& key, uint32_t attempt);
  bool IsWork(const JobKey& key) const;
  StepOutcome* OutcomeOf(const JobKey& key);
  const StepOutcome* OutcomeOf(const JobKey& key) const {
    return const_cast<RunCore*>(this)->OutcomeOf(key);
  }
  const Step& StepOf(const JobKey& key) const { return plan_.steps[key.step]; }
  std::string PayloadOf(const JobKey& key, const StepOutcome& outcome) const;  // payload.cc
  void WriteFacts(const Candidate& candidate, uint16_t step, uint16_t branch, PackedMap* out) const;
  void Changed(const JobKey& key);  // the outcome of that job
  void Changed(Subject subject, RecordPart::Part part = RecordPart::Part::kAll);
  // run_core_control.cc: signals and dead letters.
  void ChangeBudget(const Value& limits);
  bool CanRetryDead(const JobKey& key) const;
  void RetryDead(const JobKey& key);
  void Revive(Candidate& candidate);
  void Reopen(Phase phase);
  int64_t SearchTime() const;
  void MindClock();

  std::string run_;
  Options options_;
  Plan plan_;
  Value about_;
  Phase phase_ = Phase::kNew;
  uint64_t last_seq_ = 0;
  uint64_t group_last_seq_ = 0;
  uint64_t current_seq_ = 0;
  int64_t now_ms_ = 0;
  bool paused_ = false;
  // The clock of budgets and time-outs stands still while the run is paused and when it has ended.
  std::optional<int64_t> still_since_ms_;
  int64_t still_ms_ = 0;  // in all, before the present time
  uint32_t in_flight_ = 0;
  bool all_given_ = false;
  std::vector<Command> commands_;

  // Laid out from the plan.
  std::vector<std::vector<bool>> path_;  // by origin: steps on its candidates' path
  std::vector<uint16_t> region_;         // by step: the foreach whose branches it runs in, or kNone
  static constexpr uint16_t kNone = UINT16_MAX;

  Kept<Candidate> candidates_;
  Kept<ProposeRequest> requests_;
  // By number - 1: the number of its past in pasts_, or 0 when it was not let go. Deques, since
  // they take no room in advance.
  std::deque<uint32_t> gone_candidates_;
  std::deque<uint32_t> gone_requests_;
  // Each past once, numbered from 1.
  std::vector<Past> pasts_;
  std::map<Past, uint32_t> past_numbers_;
  std::vector<PreparedState> prepared_;
  Twins by_source_;
  Twins by_binary_;
  std::map<uint32_t, SampledCode> screened_;  // by number; the latest, at most kScreenedKept
  std::set<uint32_t> active_numbers_;
  // Of active candidates, when they have one, in search time.
  std::set<std::pair<int64_t, uint32_t>> deadlines_;
  std::set<uint32_t> open_requests_;
  std::vector<uint32_t> to_let_go_;
  std::vector<uint32_t> requests_to_let_go_;
  size_t open_count_ = 0;
  std::set<std::pair<JobKey, uint32_t>>
      spent_;  // reported attempts that gave no verdict: failed, or stale
  std::map<JobKey, StepOutcome> claims_;
  std::vector<Best> confirmed_;  // the best of those that were confirmed, at most kConfirmedKept
  std::optional<Best> best_;
  std::vector<DeadLetter> dead_;
  Value claim_;
  std::optional<RunEnded> ended_;
  std::string stopped_by_;
  std::map<std::string, std::string> disabled_;
  std::map<uint32_t, SearchState> searches_;
  uint32_t last_search_ = 0;
  std::vector<RecordPart> changed_;
  std::string strongest_;  // the baseline that speed-ups are against
  Value ranking_;          // of the baselines, as the calibration job gave it
  uint64_t evaluated_ = 0;
  uint64_t held_out_looks_ = 0;
  uint64_t ended_count_ = 0;
  std::array<uint64_t, 13> verdicts_{};  // of ended candidates
  uint64_t stale_ = 0;
  uint64_t epoch_ = 0;
  Usage usage_;
  uint64_t reservations_ = 0;
  int64_t reserved_tokens_ = 0;  // held back for answers that are under way
  double reserved_usd_ = 0;
  int64_t forfeited_tokens_ = 0;  // reserved for attempts that were lost: spent, as far as we know
  double forfeited_usd_ = 0;
  struct Fragments;  // payload.cc: what is the same in every payload of a step
  mutable std::shared_ptr<Fragments> fragments_;
};

}  // namespace kev

#endif  // KEV_ENGINE_CORE_RUN_CORE_H_
