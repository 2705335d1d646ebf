// Measures several libraries against each other on one core: launches in rounds, interleaved, one
// timed at a time.
//
// In each round every contestant that still takes part is launched afresh (new process, new copy of
// its library, new pages), in random order; then, turn by turn and again in random order, one of
// them is thawed, warmed up and timed on all calls while the others are frozen. All samples are
// kept; statistics are made from them by runners/statistics. Threads: one at a time per core
// (CoreLock). Errors: what stops the judge; a contestant that fails is a Refusal.
#ifndef KEV_RUNNERS_MEASUREMENT_MEASURE_H_
#define KEV_RUNNERS_MEASUREMENT_MEASURE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/result.h"
#include "runners/harness/outcome.h"
#include "runners/harness/region.h"
#include "runners/harness/runner_process.h"

namespace kev {

struct Contestant {
  std::string role;  // candidate, baseline, control, incumbent
  std::string name;
  std::string library;  // bytes of the shared library
  std::string symbol;
  uint32_t launches = 0;  // takes part in the first so many rounds; 0: in all
};

struct MeasureOptions {
  uint32_t rounds = 3;
  uint32_t turns = 1;          // times that each process is timed in its round
  double sample_ns = 100e3;    // least length of one sample; shorter calls are batched
  double turn_ns = 3e6;        // time for the samples of one call in one turn
  uint32_t least_samples = 3;  // per call and turn, unless one call alone is longer than turn_ns
  uint32_t most_samples = 15;
  int core = -1;
  std::string folder;  // scratch; also the processes' working directory
  std::map<std::string, std::string> environment;
  RunnerLimits limits;
  uint64_t seed = 0;
  std::string stream;  // names the random order, e.g. the job's label
  RunnerProcess::Clock::duration deadline = std::chrono::seconds(30);  // of one command
  const std::atomic<bool>* cancelled = nullptr;
};

// Samples of one call in one launch of one contestant, all turns together.
struct LaunchSamples {
  size_t contestant = 0;
  uint32_t launch = 0;
  size_t call = 0;
  uint64_t batch = 1;
  std::vector<double> ns;  // per call of the function
};

struct Refusal {
  size_t contestant = 0;
  uint32_t launch = 0;
  size_t call = 0;
  Outcome outcome;
  std::string output;  // standard output and error
  std::string error;
};

struct Measurement {
  std::vector<LaunchSamples> samples;
  std::optional<Refusal> refusal;  // the first; nothing is measured after it
  bool stopped = false;            // by the caller's decision, see Measure
  bool cancelled = false;
  bool pinned = true;  // all processes ran on the core
  // Region of each contestant's first launch after it was timed, for comparing what the timed calls
  // gave.
  std::vector<std::string> regions;
  std::vector<std::string> outputs;  // standard output and error of the first launch
  std::vector<std::string> errors;

  // Median ns per call of each launch of a contestant, in launch order.
  std::vector<double> LaunchMedians(size_t contestant, size_t call) const;
  // log(of) - log(by) for each launch that both have: positive where `by` is faster.
  std::vector<double> LogRatios(size_t of, size_t by, size_t call) const;
};

// `stop`, when given, is asked after each round but the last; true ends the measurement there.
Result<Measurement> Measure(const std::vector<Contestant>& contestants, const RegionImage& image,
                            const MeasureOptions& options,
                            const std::function<bool(const Measurement&)>& stop = nullptr);

}  // namespace kev

#endif  // KEV_RUNNERS_MEASUREMENT_MEASURE_H_
