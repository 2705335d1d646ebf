// Compares what workers say they did with what the engine's log says, knowing nothing of the fold.
//
// The log holds late results too: of attempts that were lost before (by a loss of their own, by
// failing, or with all that was open at a restart), and whose job went on under a higher number.
// They do not count, and their worker is told so. What counts is accepted.
//
// Holds when: every attempt whose result was acknowledged as committed is in the log, exactly once,
// and counts; every result in the log was sent by exactly one worker, with that nonce; no attempt
// has two results, no job two accepted ones; accepted attempts of a job only grow; as many
// candidates were proposed as the budget says, and each passed every step of the graph.
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
  uint64_t lost = 0;               // acknowledged, or due, and not accepted
  uint64_t duplicated = 0;         // counted twice
  uint64_t invented = 0;           // in the log, and no worker did it
  uint64_t disorder = 0;           // everything else
  uint64_t acked = 0;              // what was compared: acknowledgements,
  uint64_t accepted = 0;           // accepted results,
  uint64_t late = 0;               // late ones in the log,
  uint64_t stale = 0;              // answers to late ones,
  uint64_t retried = 0;            // accepted results of attempts above the first
  std::vector<std::string> texts;  // the first of each kind, in words
  bool Good() const { return lost + duplicated + invented + disorder == 0; }
};

Findings Check(const std::vector<WorkerRecord>& records, const RunLog& log,
               const Expected& expected);

}  // namespace kev::chaos

#endif  // KEV_TESTS_CHAOS_CHECKER_H_
