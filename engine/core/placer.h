// Placer: maps ready attempts to workers. It knows credits, quiet hosts, solitary attempts and
// time-outs; it is told the time. It is simulated and tested but not logged: where an attempt runs
// may differ between a run and its replay.
//
// Threads: one at a time. Errors: none; unknown workers and attempts are ignored.
#ifndef KEV_ENGINE_CORE_PLACER_H_
#define KEV_ENGINE_CORE_PLACER_H_

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/job.h"

namespace kev {

using WorkerId = uint64_t;

struct AttemptId {
  JobKey key;
  uint32_t attempt = 0;
  auto operator<=>(const AttemptId&) const = default;
};

struct WorkerSpec {
  std::vector<std::string> stages;
  uint32_t slots = 1;
  std::string host;
};

struct ReadyAttempt {
  AttemptId id;
  std::string stage;
  int64_t not_before_ms = 0;
  bool solitary = false;    // only job on its worker
  bool quiet_host = false;  // nothing else of this engine runs on its host meanwhile
  bool light = false;  // waits for others more than it works (propose, select): quiet jobs do not
                       // wait for it
  uint32_t running_limit_ms = 0;  // 0: none
  uint32_t queued_limit_ms = 0;
};

class Placer {
 public:
  struct Placement {
    WorkerId worker;
    AttemptId id;
  };
  struct Out {  // an attempt that a worker has
    AttemptId id;
    bool taken = false;
    bool alone = false;
  };
  struct Expired {
    AttemptId id;
    bool running = false;  // else queued
  };

  void AddWorker(WorkerId worker, const WorkerSpec& spec);
  // Forgets the worker and gives the attempts that it had.
  std::vector<Out> RemoveWorker(WorkerId worker);
  // No new attempts for this worker.
  void DrainWorker(WorkerId worker);

  void Ready(const ReadyAttempt& attempt, int64_t now_ms);
  // A worker that came back has this ready attempt already. False when it is not ready here.
  bool Adopt(WorkerId worker, const AttemptId& id, int64_t now_ms);
  void Taken(const AttemptId& id, int64_t now_ms);
  // The attempt is over. `busy_ms` is the time that the worker spent on it: it sets how much is
  // sent ahead.
  void Finished(const AttemptId& id, double busy_ms);
  // The attempt is no longer wanted. Gives the worker that has it, if one has.
  std::optional<WorkerId> Withdraw(const AttemptId& id);

  // What to send now. With `holding`, nothing.
  std::vector<Placement> Place(int64_t now_ms, bool holding = false);
  std::vector<Expired> TakeExpired(int64_t now_ms);
  // When Place or TakeExpired may have something new to say without any other call.
  std::optional<int64_t> NextWake() const;

  size_t ready() const { return ready_count_; }
  size_t ready(const std::string& stage) const;
  size_t out() const { return out_.size(); }
  size_t workers() const { return workers_.size(); }
  bool HasWorkerFor(const std::string& stage) const;

 private:
  struct Worker {
    WorkerSpec spec;
    size_t out = 0;
    bool draining = false;
    bool solitary = false;     // has a solitary attempt
    double mean_busy_ms = -1;  // of its jobs; < 0: none yet
    size_t Credit() const;
  };
  struct Given {
    WorkerId worker;
    ReadyAttempt attempt;
    int64_t deadline_ms;  // of the running limit; INT64_MAX until taken
    bool taken = false;
  };
  struct Waiting {
    ReadyAttempt attempt;
    int64_t since_ms;
  };
  bool Fits(const Worker& worker, const ReadyAttempt& attempt) const;
  bool HostBusy(const std::string& host) const;
  Worker* Choose(const std::string& stage, const ReadyAttempt& attempt,
                 const std::vector<std::string>& hushed, WorkerId* id);
  void Give(WorkerId id, Worker& worker, const ReadyAttempt& attempt);

  std::map<WorkerId, Worker> workers_;
  std::map<std::string, std::deque<Waiting>> ready_;    // by stage, in order of arrival
  std::map<int64_t, std::vector<ReadyAttempt>> later_;  // by not_before_ms
  std::map<AttemptId, Given> out_;
  std::map<std::string, size_t> quiet_out_;  // host -> quiet attempts there
  std::map<std::string, size_t> heavy_out_;  // host -> attempts there that are not light
  size_t ready_count_ = 0;
  size_t limited_ = 0;  // attempts with a time limit, ready or out: nothing to look for when 0
};

}  // namespace kev

#endif  // KEV_ENGINE_CORE_PLACER_H_
