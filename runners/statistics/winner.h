// What is left of a winner: the best of many screening values is the best partly by luck, so its
// final value is foretold shrunk; and the best few are compared with each other in shared blocks.
// Threads: functions on values. Errors: none; what cannot be known is NaN or infinite.
#ifndef KEV_RUNNERS_STATISTICS_WINNER_H_
#define KEV_RUNNERS_STATISTICS_WINNER_H_

#include <cstddef>
#include <vector>

#include "runners/statistics/statistics.h"

namespace kev {

struct Screened {
  double log_speedup = 0;
  double standard_error = 0;
};

// Expected final log speed-up of the winner, with the interval in which it should come out.
// Empirical Bayes, normal-normal (Efron and Morris 1973): the true values' spread is taken from the
// upper half of the candidates, since slow ones, however many, say nothing of the fast. The winner
// is moved by no more than the largest of so many errors is expected to be (limited translation,
// Efron and Morris 1972), so that one far ahead of all keeps its lead. Candidates without a
// finite value are left out. REQUIRES: winner < screened.size().
Interval ExpectedFinal(const std::vector<Screened>& screened, size_t winner);

struct HeadToHead {
  // Per kernel log t_reference - log t_kernel: positive where it is faster. All hold at once.
  std::vector<Interval> over_reference;
  size_t best = 0;           // the reference, unless kernels are surely faster: then their first
  std::vector<size_t> tied;  // neither surely faster nor surely slower than the reference
};

// Compares kernels that were timed in the same blocks: log_times[kernel][block], NaN where a kernel
// was not timed. Blocks cancel. The intervals over the kernels but one hold together (Bonferroni),
// provided that `reference` was chosen without these blocks. REQUIRES: reference is one of them,
// rows have equal length.
HeadToHead CompareInBlocks(const std::vector<std::vector<double>>& log_times, size_t reference,
                           double confidence = 0.95);

}  // namespace kev

#endif  // KEV_RUNNERS_STATISTICS_WINNER_H_
