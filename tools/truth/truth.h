// How often is the judge right? Measures kernels of known ratio against each other, again and
// again, by the code that judges candidates; every repetition links both libraries anew, with code
// and constants elsewhere, and starts fresh processes.
//
// Threads: the caller's. Errors: an exit code, with a message on stderr.
#ifndef KEV_TOOLS_TRUTH_TRUTH_H_
#define KEV_TOOLS_TRUTH_TRUTH_H_

#include <cstdint>
#include <string>
#include <vector>

namespace kev {

struct TruthOptions {
  std::string tasks = "tests/performance/timing_truth";  // folder of task-chain and task-stream
  std::vector<std::string> cells;                        // "chain 1.02"; empty: all
  uint32_t repetitions = 1000;                           // of each cell, in turn
  uint32_t launches = 0;  // of each measurement; 0: as many as a claim needs
  uint64_t seed = 1;
  std::string core;  // to time on, a CPU's number; "": the last one
};

// Prints one line for each repetition: {"cell": "chain 1.02", "true_ratio": 1.02, "ratio": …,
// "low": …, "high": …, "faster": …, "noisy": …, "launches": …}.
int MeasureTruth(const TruthOptions& options);

}  // namespace kev

#endif  // KEV_TOOLS_TRUTH_TRUTH_H_
