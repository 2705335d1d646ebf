// One process that runs one shared library's function on the arrays of a region: the judge's end of
// kevolve-runner.
//
// The child has its own session, limits, an empty environment but for what is declared, and no file
// but its standard streams. It dies with this object (its whole process group, by SIGKILL), with
// the judge, and at each deadline. Threads: one at a time, and the thread that called Start must
// live as long as the process. Errors: Start gives Error when the process cannot be had; everything
// after that is an Outcome.
#ifndef KEV_RUNNERS_HARNESS_RUNNER_PROCESS_H_
#define KEV_RUNNERS_HARNESS_RUNNER_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/core/result.h"
#include "runners/harness/outcome.h"
#include "runners/harness/region.h"

namespace kev {

// How strongly a runner process is confined: a process with limits; no file-system or system-call
// filter.
inline constexpr const char* kIsolation = "process";

struct RunnerLimits {
  uint64_t memory_bytes = uint64_t{4} << 30;    // resident, arrays included
  uint64_t address_bytes = uint64_t{64} << 30;  // stops what asks for everything at once
  uint64_t cpu_seconds = 600;
  uint64_t output_bytes =
      256 << 10;  // of standard output and of standard error; the rest is dropped
  uint64_t open_files = 64;
  uint64_t processes = 4096;  // of this user; not applied to root by the kernel
};

struct RunnerOptions {
  std::string library;  // path of the shared library
  std::string symbol;
  std::map<std::string, std::string> environment;
  std::string folder;  // working directory
  int core = -1;       // CPU to run on; -1: any
  RunnerLimits limits;
};

struct TimedSamples {
  uint64_t batch = 1;
  std::vector<double> ns;  // per call, one for each sample
  double claimed_ns = 0;   // whole command by the runner's clock
  double cpu_ns = 0;       // CPU time that the kernel charged meanwhile
  double outer_ns = 0;     // whole command by the judge's clock
};

// Whether a runner's claim of time agrees with what the judge saw. "" when it does.
std::string ImplausibleClaim(const TimedSamples& timed);

// Path of kevolve-runner: $KEVOLVE_BUILD_BIN, else beside this executable.
std::string RunnerProgram();

class RunnerProcess {
 public:
  using Clock = std::chrono::steady_clock;

  static Result<std::unique_ptr<RunnerProcess>> Start(const RunnerOptions& options,
                                                      const RegionImage& image);
  ~RunnerProcess();
  RunnerProcess(const RunnerProcess&) = delete;
  RunnerProcess& operator=(const RunnerProcess&) = delete;

  // Loads the library, finds the function and makes the image's calls known.
  Outcome Load(Clock::duration deadline);
  // One call of call number `call`; `ns`, when given, is set to its time by the runner's clock.
  Outcome Call(uint32_t call, Clock::duration deadline, double* ns = nullptr);
  // `warmup` calls, then `samples` timed samples of `batch` calls.
  // REQUIRES: samples <= harness::kMaxSamples.
  Outcome Measure(uint32_t call, uint64_t warmup, uint64_t batch, uint32_t samples,
                  Clock::duration deadline, TimedSamples* timed);

  // Stops and continues the whole process group. Freeze returns when the process has stopped.
  void Freeze();
  void Thaw();

  // The region as it is now, or with new content. Freeze first when the library is not trusted.
  Result<std::string> ReadRegion() const;
  Status WriteRegion(const std::string& bytes);

  std::string StandardOutput() const;
  std::string StandardError() const;
  bool pinned() const { return pinned_; }  // runs on the core that was asked for
  pid_t pid() const { return pid_; }

 private:
  Outcome MeasureOnce(uint32_t call, uint64_t warmup, uint64_t batch, uint32_t samples,
                      Clock::duration deadline, TimedSamples* timed);
  RunnerProcess() = default;
  Outcome Configure();
  Outcome Define();
  Outcome Exchange(harness::Command* command, Clock::duration deadline, harness::Reply* reply);
  Outcome Ended(const char* during);
  Outcome FailedReply(const harness::Reply& reply) const;
  void Kill();
  double CpuNs() const;
  uint64_t ResidentBytes() const;

  RunnerOptions options_;
  const RegionImage* image_ = nullptr;
  uint64_t region_bytes_ = 0;
  pid_t pid_ = -1;
  int control_ = -1;
  int process_ = -1;  // pidfd
  int region_ = -1;
  int output_ = -1;
  int error_ = -1;
  bool dead_ = false;
  bool frozen_ = false;
  bool pinned_ = true;
  int cpu_clock_ = 0;
  uint64_t nonce_ = 0;
};

}  // namespace kev

#endif  // KEV_RUNNERS_HARNESS_RUNNER_PROCESS_H_
