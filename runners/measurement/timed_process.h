// One launch of one contestant in a measurement: its process, and its windows so far.
//
// Threads: one at a time. Errors: what stops the judge; what the kernel did is in `fault`.
#ifndef KEV_RUNNERS_MEASUREMENT_TIMED_PROCESS_H_
#define KEV_RUNNERS_MEASUREMENT_TIMED_PROCESS_H_

#include <memory>
#include <string>
#include <vector>

#include "engine/core/random.h"
#include "runners/measurement/core_visit.h"
#include "runners/measurement/measure.h"

namespace kev {

// A brief of a fault that a canary tells.
inline constexpr char kOutside[] = "it wrote outside of its arrays";

struct Fault {
  Outcome outcome;
  bool wrong = false;   // outputs; outcome.message says how
  bool canary = false;  // seen beside its arrays, whoever broke it
  size_t call = 0;
};

class TimedProcess {
 public:
  // Starts launching; Ready waits for it.
  static Result<std::unique_ptr<TimedProcess>> Launch(const Contestant& contestant, size_t number,
                                                      uint32_t launch, Arena* arena,
                                                      CallValues* values, CoreThread* there,
                                                      const MeasureOptions& options);
  ~TimedProcess();

  // Measures what the process costs without a kernel, loads the library, and freezes. False: see
  // fault().
  bool Ready();
  // One window of `call`, for warming up or to be kept. False: see fault().
  bool TimeWindow(size_t call, bool keep);
  // Whether a single call is so long that what comes before it does not matter.
  bool Slow(size_t call) const;
  // Whether more windows of this call are wanted.
  bool Wants(size_t call) const;
  // Lower quartile of its windows without calls; NaN when there are too few to say.
  double EmptyWindowNs() const;
  // Closes its books: call times. `empty_ns`: what a window without calls takes by a process that
  // is trusted, or NaN.
  void Finish(double empty_ns);

  const Fault& fault() const { return fault_; }
  const RunnerProcess& process() const { return *process_; }
  std::vector<LaunchSamples>& samples() { return samples_; }
  double clock_ghz() const { return clock_ghz_; }
  // For which it could have run within a window but did not.
  double waited_ns() const { return waited_ns_; }

 private:
  // An element of an output as it was when the answer was seen.
  struct Sighting {
    uint32_t at = 0;  // in slots_
    size_t argument = 0;
    uint64_t element = 0;
    char bytes[8] = {};
  };
  // What is known of a call in this process.
  struct Pace {
    double call_ns = 0;                // rough; 0: not known yet
    uint32_t seen = 0;                 // windows so far, warm-up included
    uint32_t undisturbed = 0;          // kept windows with calls
    uint32_t empty = 0;                // kept ones without, undisturbed too
    double spent_ns = 0;               // in both
    std::vector<uint16_t> last_slots;  // of the last window that had any
  };

  TimedProcess(const Contestant& contestant, size_t number, uint32_t launch, Arena* arena,
               CallValues* values, CoreThread* there, const MeasureOptions& options);
  bool Fail(const Outcome& outcome, size_t call, bool wrong = false);
  bool MeasureHarness();
  bool SetUpAll();
  bool LacksEmpty(size_t call) const;
  uint32_t CallsFor(size_t call);
  void DrawSlots(size_t call, uint32_t count);
  DrawnCall Draw(uint16_t slot);
  bool WarmUp(size_t call);
  bool IsLookedAt(size_t call);
  bool Freeze(size_t call);  // false: it could not be stopped
  void LayOut(size_t call, uint32_t count);
  void Sight(size_t call);
  bool Judge(size_t call, bool look);
  bool CheckCalls(size_t call, const std::vector<DrawnCall>& drawn);

  const MeasureOptions& options_;
  const Contestant& contestant_;
  Arena* arena_;
  CallValues* values_;
  CoreThread* there_;
  CounterRandom random_;
  std::string file_;
  std::unique_ptr<RunnerProcess> process_;
  Fault fault_;
  std::vector<Pace> paces_;
  std::vector<LaunchSamples> samples_;
  std::vector<uint16_t> slots_;  // of the present window
  std::vector<DrawnCall> drawn_;
  std::vector<Sighting> sightings_;
  std::vector<uint64_t> draws_;  // random, not used yet
  uint64_t next_turn_ = 0;
  double clock_ghz_ = 0;
  double waited_ns_ = 0;
};

}  // namespace kev

#endif  // KEV_RUNNERS_MEASUREMENT_TIMED_PROCESS_H_
