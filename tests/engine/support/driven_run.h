// DrivenRun: a run core driven by hand. It keeps the log of groups with their digests and the jobs
// that wait for an answer, as a host and its workers would, but without either.
//
// Threads: one at a time. Errors: asking for a job that does not wait throws.
#ifndef KEV_TESTS_ENGINE_SUPPORT_DRIVEN_RUN_H_
#define KEV_TESTS_ENGINE_SUPPORT_DRIVEN_RUN_H_

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "engine/core/run_core.h"
#include "tests/engine/support/plans.h"

namespace kev::testing {

class DrivenRun {
 public:
  struct Waiting {
    StartAttempt start;
    Job job;
  };
  explicit DrivenRun(Plan plan);

  // Folds one group of these events at the present run time.
  void Apply(std::vector<Event> events);
  void Pass(int64_t ms) { now_ms_ += ms; }

  // The oldest waiting job of a step; it goes on waiting until it is answered.
  const Waiting& First(const std::string& step) const;
  const Waiting& At(const std::string& label) const;  // "c1/build#1"
  size_t Count(const std::string& step) const;
  std::vector<std::string> Labels() const;  // of all that wait, oldest first

  void Answer(const Waiting& waiting, JobResult result);
  void Answer(const std::string& step, JobResult result) { Answer(First(step), std::move(result)); }
  void Lose(const std::string& step, AttemptLost::Reason reason, bool taken, bool alone);
  // Answers the oldest job again and again with what `worker` says, one group each, until nothing
  // waits, the run has ended or `until` is true.
  using Worker = std::function<JobResult(const Job&)>;
  void Play(const Worker& worker, const std::function<bool()>& until = nullptr);
  void Play(const Speedups& speedup = nullptr);
  // Answers with GoodAnswer all that waits and comes of it, but no job of `step`.
  void PlayBefore(const std::string& step);

  const RunCore& core() const { return core_; }
  const Candidate& candidate(size_t number) const { return core_.candidates().at(number - 1); }
  const std::vector<EventGroup>& log() const { return log_; }
  const std::deque<Waiting>& waiting() const { return waiting_; }
  const std::vector<CancelAttempt>& cancelled() const { return cancelled_; }
  int64_t now_ms() const { return now_ms_; }
  const std::string& ended() const;  // stopped_by, "" while the run goes on

 private:
  RunCore core_;
  int64_t now_ms_ = 0;
  std::vector<EventGroup> log_;
  std::deque<Waiting> waiting_;
  std::vector<CancelAttempt> cancelled_;
};

// Everything that a person could see of a run, as one text: two equal folds give equal texts.
std::string Picture(const RunCore& core);

}  // namespace kev::testing

#endif  // KEV_TESTS_ENGINE_SUPPORT_DRIVEN_RUN_H_
