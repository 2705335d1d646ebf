// Placer: maps ready attempts of many runs to workers. It knows credits, priorities, caps, rates,
// resources, labels, quiet hosts, solitary attempts, time-outs and the runs' shares. It is told the
// time (monotonic ms; a time before one already told counts as that one). It is simulated and
// tested but not logged: where an attempt runs may differ between a run and its replay.
//
// What is in use is never counted apart: slots, caps and resources follow from the lists of leased
// attempts (placer_state.h), and Audit() recomputes them all.
//
// Threads: one at a time. Errors: none; unknown workers, runs and attempts are ignored. Not a port:
// tests use the real one.
#ifndef KEV_ENGINE_CORE_PLACER_H_
#define KEV_ENGINE_CORE_PLACER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/attempt_id.h"

namespace kev {

using WorkerId = uint64_t;

struct WorkerSpec {
  std::vector<std::string> stages;
  uint32_t slots = 1;
  std::string host;
  std::map<std::string, uint32_t> resources;  // what it has, in whole pieces: device: 1
  std::map<std::string, std::string> labels;  // what it is: gpu.model: H100
  int64_t expires_at_ms = 0;                  // nothing is begun that would last longer; 0: none
  std::string name;                           // for people; "worker 7" when empty
};

// What the attempts of one step of one run have in common. Registered once, so that ReadyAttempt
// stays small.
struct JobClass {
  uint32_t run = 0;
  std::string stage;
  std::string step;                           // its id, for people
  int32_t priority = 0;                       // among the steps of its run; see kAgeingMs
  uint32_t max_running = 0;                   // out at a time, over all workers; 0: no cap
  double rate_per_s = 0;                      // token bucket; 0: no limit
  uint32_t burst = 1;                         // tokens that it holds
  std::map<std::string, uint32_t> resources;  // of a worker, besides its slot: device: 1
  std::map<std::string, std::string> labels;  // exact, or with * for any characters
  bool quiet_host = false;  // nothing else of this engine begins on its host meanwhile
  bool light = false;       // waits for others more than it works (propose, select): quiet attempts
                            // do not wait for it
  uint32_t queued_limit_ms = 0;    // from when it could be placed until it is taken; 0: none
  uint32_t running_limit_ms = 0;   // from when it was taken
  uint32_t progress_limit_ms = 0;  // from when it was taken, or last heard of
  uint32_t expected_ms = 0;        // not placed on a worker that expires before
};

struct ReadyAttempt {
  AttemptId id;
  uint32_t job_class = 0;
  int64_t not_before_ms = 0;
  bool solitary = false;  // only job on its worker
};

struct PlacerState;

class Placer {
 public:
  // An attempt that waits this long moves up by one priority.
  static constexpr int64_t kAgeingMs = 30'000;
  // So many quiet attempts may run on a host one after another before others get a turn on it.
  static constexpr uint32_t kQuietRow = 4;
  // An attempt that was sent ahead and not begun for so long is worth a retraction when another
  // worker idles. What is sent ahead is half a millisecond of work, unless a job is a slow one.
  static constexpr int64_t kRetractAfterMs = 10;
  // What a removed run has out keeps its slot until the worker answers the cancellation, but no
  // longer than this (the grace of a cancellation is 2 s).
  static constexpr int64_t kOrphanMs = 10'000;

  struct Placement {
    WorkerId worker;
    AttemptId id;
  };
  struct Out {  // an attempt that a worker has
    WorkerId worker = 0;
    AttemptId id;
    bool taken = false;
    bool alone = false;      // nothing else was on that worker
    bool withdrawn = false;  // or told as expired
  };
  enum class Limit : uint8_t { kQueued, kRunning, kNoProgress };
  struct Expired {
    AttemptId id;
    Limit kind = Limit::kQueued;
  };
  struct ClassCounts {
    size_t later = 0;   // wait for their back-off
    size_t ready = 0;   // wait for a worker
    size_t sent = 0;    // on a worker, not begun
    size_t taken = 0;   // begun
    size_t ending = 0;  // withdrawn or expired, and not answered yet
    uint64_t finished = 0;
  };
  struct WorkerCounts {
    size_t out = 0;
    size_t taken = 0;
    size_t credit = 0;   // more that it may be sent now
    uint64_t sent = 0;   // in this session, in all
    uint64_t limit = 0;  // of `sent`, as granted; 0: nothing granted yet
    uint64_t finished = 0;
    double mean_busy_ms = -1;  // < 0: none finished yet
    bool draining = false;
  };

  Placer();
  ~Placer();
  Placer(Placer&&) noexcept;
  Placer& operator=(Placer&&) noexcept;

  // Runs. `weight` is the share of busy slots when several runs want more than there are.
  void AddRun(uint32_t run, double weight = 1, const std::string& name = "");
  // Forgets all of it, and its classes. Gives what is out, to cancel: that keeps its slot until
  // Finished, RemoveWorker, or kOrphanMs have passed.
  std::vector<Out> RemoveRun(uint32_t run, int64_t now_ms);
  // A held (paused) run is not placed, and its queued limits stand still.
  void HoldRun(uint32_t run, bool held, int64_t now_ms);
  // Gives the class's number. A run that is not known is added.
  uint32_t AddClass(const JobClass& job_class);

  void AddWorker(WorkerId worker, const WorkerSpec& spec);
  // Forgets the worker and gives the attempts that it had, by id; those of removed runs left out.
  std::vector<Out> RemoveWorker(WorkerId worker);
  // No new attempts for this worker.
  void DrainWorker(WorkerId worker);
  // How many attempts may have been sent to it in all. Never goes down. Before the first grant a
  // worker has at most as many as it has slots; after it, no more than the grant, nor more than its
  // slots and what keeps it busy for a round trip.
  void SetCredit(WorkerId worker, uint64_t cumulative_limit);

  // False when it is known already, or its class is not one of its run.
  bool Ready(const ReadyAttempt& attempt, int64_t now_ms);
  // A worker that came back has this waiting attempt already. False when it does not wait here.
  bool Adopt(WorkerId worker, const AttemptId& id, int64_t now_ms);
  void Taken(const AttemptId& id, int64_t now_ms);
  void Progressed(const AttemptId& id, int64_t now_ms);
  // The attempt is over, wherever it was. `busy_ms` is the time that the worker spent on it: it
  // sets how much is sent ahead; < 0: not known.
  void Finished(const AttemptId& id, double busy_ms);
  // It was placed and has not been sent: it is forgotten, and cost the worker no credit.
  void NotSent(const AttemptId& id);
  // The worker hands it back unbegun: it is ready again, before those that came after it.
  void Returned(const AttemptId& id, int64_t now_ms);
  // The attempt is no longer wanted. Gives the worker that has it, if one has: its slot stays taken
  // until the worker answers.
  std::optional<WorkerId> Withdraw(const AttemptId& id);

  // What to send now. With `holding`, nothing.
  std::vector<Placement> Place(int64_t now_ms, bool holding = false);
  // What ran into a limit. Each limit of an attempt is told once.
  std::vector<Expired> TakeExpired(int64_t now_ms);
  // What to ask back: attempts not begun on a draining worker, or sent ahead to one while another
  // idles that could do them. Call it after Place.
  std::vector<Placement> TakeRetractions(int64_t now_ms);
  // When one of the three above may have something new to say without any other call.
  std::optional<int64_t> NextWake() const;

  // Why it waits: the first rule that keeps it, in one sentence.
  std::string Explain(const AttemptId& id, int64_t now_ms) const;
  // The same of the first attempt of a class that waits; "" when none does.
  std::string ExplainClass(uint32_t job_class, int64_t now_ms) const;
  ClassCounts CountsOfClass(uint32_t job_class) const;
  WorkerCounts CountsOfWorker(WorkerId worker) const;
  std::optional<WorkerId> WorkerOf(const AttemptId& id) const;

  size_t ready() const;  // waiting ones of all runs, for a worker or for their back-off
  size_t ready(const std::string& stage) const;  // for a worker only
  size_t out() const;
  size_t workers() const;
  bool HasWorkerFor(const std::string& stage) const;

  // "" when all that is kept agrees with what follows from the leased attempts; else the first
  // difference. O(everything): for tests.
  std::string Audit() const;

 private:
  std::unique_ptr<PlacerState> state_;
};

}  // namespace kev

#endif  // KEV_ENGINE_CORE_PLACER_H_
