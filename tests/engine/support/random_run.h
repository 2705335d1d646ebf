// RandomRun: a run of a random plan to which random things happen, good and bad, from one seed. The
// plans have branches, joins, nested searches, reservations, time-outs; among the events are
// results that come twice, late, for attempts that were called back or were never given out.
//
// Threads: one at a time. Errors: a payload that cannot be read throws.
#ifndef KEV_TESTS_ENGINE_SUPPORT_RANDOM_RUN_H_
#define KEV_TESTS_ENGINE_SUPPORT_RANDOM_RUN_H_

#include <map>
#include <string>
#include <vector>

#include "engine/core/random.h"
#include "engine/core/run_core.h"
#include "tests/engine/support/plans.h"

namespace kev::testing {

Plan RandomPlan(uint64_t seed);

class RandomRun {
 public:
  explicit RandomRun(uint64_t seed);
  RandomRun(uint64_t seed, Plan plan);

  // Folds one more group of random events.
  void Turn();
  // Nothing goes wrong any more: resumes, gives all, answers whatever waits; until the run has
  // ended. False when it did not within `turns` groups.
  bool Calm(int turns = 20000);

  const RunCore& core() const { return core_; }
  // The last group, and what it gave.
  const EventGroup& group() const { return group_; }
  const std::vector<Command>& commands() const { return commands_; }
  // What changed of the records with it.
  const std::vector<RecordPart>& changed() const { return changed_; }
  // Payloads that were not the encoding of the job they hold.
  int bad_payloads() const { return bad_payloads_; }

 private:
  void Apply(std::vector<Event> events);
  Event Pick();
  JobResult Answer(const Job& job, bool good);
  JobKey RandomKey();
  Event GiveSome(bool last);
  Event Control();
  bool Lucky(uint64_t in_a_thousand) { return random_.Below(1000) < in_a_thousand; }

  CounterRandom random_;
  RunCore core_;
  int64_t now_ms_ = 0;
  EventGroup group_;
  std::vector<Command> commands_;
  std::vector<RecordPart> changed_;
  std::map<JobKey, Job> open_;
  std::vector<std::pair<JobKey, uint32_t>> issued_;
  std::vector<JobReported> reported_;
  int given_ = 0;
  int bad_payloads_ = 0;
};

}  // namespace kev::testing

#endif  // KEV_TESTS_ENGINE_SUPPORT_RANDOM_RUN_H_
