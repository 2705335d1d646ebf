// Measures several libraries against each other on one core: launches in rounds, interleaved, one
// timed at a time.
//
// In each round every contestant that still takes part is launched afresh (new process, new copy of
// its library), in random order. Then, window by window and again in random order, one of them is
// given values that it has not seen in slots drawn from the shared arena, let go on, called on each
// slot once between two looks at the judge's clock, the first before it is let go on, and frozen
// again before what it left is read. What an empty call costs is measured in each process before
// foreign code is in it, what a window without calls takes as said at Measure; both are taken off.
// The number of calls per window varies, so that windows that do not grow with their calls are
// seen. All windows are kept; statistics are made from them by runners/statistics.
// Threads: one at a time per core (CoreLock). Errors: what stops the judge; a contestant that fails
// is a Refusal.
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
#include "runners/harness/arena.h"
#include "runners/harness/outcome.h"
#include "runners/harness/runner_process.h"
#include "runners/measurement/call_values.h"
#include "runners/measurement/conditions.h"
#include "runners/measurement/plausible.h"
#include "runners/statistics/call_time.h"

namespace kev {

struct Contestant {
  std::string role;  // candidate, baseline, control, incumbent
  std::string name;
  std::string library;  // bytes of the shared library
  std::string symbol;
  uint32_t launches = 0;  // takes part in the first so many rounds; 0: in all
  bool trusted = false;   // its process does what the harness makes it do and no more
  DeviceCode device = {};
  bool called = true;  // false: its windows have no calls; it shows what a process does besides
};

enum class CacheState {
  kWarm,  // a call finds its arrays in the caches of its core
  kCold,  // a call finds them in no cache
};
const char* Name(CacheState state);

struct MeasureOptions {
  uint32_t rounds = 3;
  uint32_t windows = 10;       // per call, contestant and round, warm-up left out
  uint32_t most_windows = 10;  // where they are short
  uint32_t least_windows = 3;  // where a call takes long
  double window_ns = 300e3;    // length to aim at: shorter calls are put together
  double turn_ns = 4e6;        // no more windows than fit into this time
  // Of those that are not trusted, one window in so many is checked in full, the first in any case.
  uint32_t look_every = 4;
  CacheState cache = CacheState::kWarm;
  int core = -1;
  std::string folder;    // scratch
  RunnerOptions runner;  // all but library, symbol and core
  // Of all random choices: which values, which slots, which windows are checked in full. Must be
  // secret from whoever makes kernels.
  uint64_t seed = 0;
  std::string stream;  // names the random order, e.g. the job's label
  RunnerProcess::Clock::duration deadline = std::chrono::seconds(30);  // of one window
  const std::atomic<bool>* cancelled = nullptr;
};

// Windows of one call in one launch of one contestant.
struct LaunchSamples {
  size_t contestant = 0;
  uint32_t launch = 0;
  size_t call = 0;
  double call_ns = 0;                // one call, from all windows: what inference uses
  HarnessCost harness;               // what was taken off, see plausible.h
  double copy_ns = 0;                // of a copy of as many bytes in the same harness; trusted ones
  double overhead_ns = 0;            // of a window without calls, as its windows tell
  Growth growth = Growth::kUnknown;  // whether windows grow with their calls as they should
  double setup_ns = 0;               // of the set-up function; 0: it has none
  std::vector<TimedWindow> windows;
};

struct Refusal {
  size_t contestant = 0;
  uint32_t launch = 0;
  size_t call = 0;
  Outcome outcome;
  bool wrong = false;  // its outputs, not its behaviour: outcome.message says how
  std::string output;  // standard output and error
  std::string error;
};

struct Measurement {
  std::vector<LaunchSamples> samples;
  std::optional<Refusal> refusal;  // the first; nothing is measured after it
  bool stopped = false;            // by the caller's decision, see Measure
  bool cancelled = false;
  std::string isolation;  // of the weakest confined process
  Conditions conditions;
  double ticks_per_ns = 0;           // of the second clock, over all of it
  std::vector<std::string> outputs;  // standard output and error of each contestant's first launch
  std::vector<std::string> errors;

  // ns per call of each launch of a contestant, in launch order.
  std::vector<double> CallTimes(size_t contestant, size_t call) const;
  // log(of) - log(by) for each launch that both have: positive where `by` is faster.
  std::vector<double> LogRatios(size_t of, size_t by, size_t call) const;
};

// How many slots each call of a measurement should have: enough for a window that stays within the
// caches, and for as many again, so that places vary.
// With a device, enough that what is there once in a window weighs little.
std::vector<uint32_t> SlotsFor(const std::vector<CallSpec>& calls, bool on_host = true);

// What a window takes without its calls is measured by the first contestant that is trusted and
// takes part; without one, by each process before foreign code is in it. `stop`, when given, is
// asked after each round but the last; true ends the measurement there.
Result<Measurement> Measure(const std::vector<Contestant>& contestants, Arena* arena,
                            CallValues* values, const MeasureOptions& options,
                            const std::function<bool(const Measurement&)>& stop = nullptr);

}  // namespace kev

#endif  // KEV_RUNNERS_MEASUREMENT_MEASURE_H_
