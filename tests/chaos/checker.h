// Compares what workers say they did with what the engine's log says, knowing nothing of the fold.
//
// Holds when: every attempt whose result was acknowledged as committed is in the log, exactly once;
// every accepted result in the log was done by exactly one worker, with that nonce; no attempt has
// two results, no job two accepted ones; attempts of a job only grow; as many candidates were
// proposed as the budget says, and each passed every step of the graph.
//
// Threads: pure functions. Errors: findings, in words.
#ifndef KEV_TESTS_CHAOS_CHECKER_H_
#define KEV_TESTS_CHAOS_CHECKER_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "tests/chaos/history.h"

namespace kev::chaos {

struct Expected {
  uint64_t candidates = 0;     // the budget
  std::set<uint32_t> steps{};  // which every candidate passes
};

struct Findings {
  uint64_t lost = 0;        // acknowledged, or due, and not in the log
  uint64_t duplicated = 0;  // counted twice
  uint64_t invented = 0;    // in the log, and no worker did it
  uint64_t disorder = 0;    // everything else
  uint64_t acked = 0;       // what was compared
  uint64_t accepted = 0;
  uint64_t stale = 0;
  uint64_t retried = 0;            // attempts above the first in the log
  std::vector<std::string> texts;  // the first of each kind, in words
  bool Good() const { return lost + duplicated + invented + disorder == 0; }
};

Findings Check(const std::vector<WorkerRecord>& records, const RunLog& log,
               const Expected& expected);

}  // namespace kev::chaos

#endif  // KEV_TESTS_CHAOS_CHECKER_H_
