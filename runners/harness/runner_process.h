// One process that runs one shared library's function on the arrays of an arena: the judge's end of
// kevolve-runner.
//
// The process is sandboxed (runners/sandbox), has no file but its standard streams and no system
// call but what kernels need, and dies with this object, with the judge, and at each deadline.
// Times are the judge's: it publishes an order in shared memory, spins until the answer and reads
// its own clock at both ends. Threads: one at a time, and the thread that called Start must live as
// long as the process. Errors: Start gives Error when the process cannot be had; everything after
// that is an Outcome.
#ifndef KEV_RUNNERS_HARNESS_RUNNER_PROCESS_H_
#define KEV_RUNNERS_HARNESS_RUNNER_PROCESS_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/core/result.h"
#include "runners/harness/arena.h"
#include "runners/harness/device.h"
#include "runners/harness/outcome.h"
#include "runners/harness/watched_process.h"
#include "runners/sandbox/sandbox.h"

namespace kev {

struct RunnerLimits {
  uint64_t memory_bytes = uint64_t{4} << 30;  // resident, and private; the arena's not counted
  uint64_t cpu_seconds = 600;
  uint64_t output_bytes =
      256 << 10;  // of standard output and of standard error; the rest is dropped
  uint64_t open_files = 64;
  uint32_t tasks = 256;  // threads
};

struct RunnerOptions {
  std::string library;  // path of the shared library on this host
  std::string symbol;
  std::string setup;  // functions called once per process and call, when the library has them
  std::string teardown;
  std::vector<std::string>
      libraries;  // shared libraries that it may use, by soname, beside the C and C++ runtime
  std::map<std::string, std::string> environment;
  DeviceCode device;
  int core = -1;         // CPU to run on; -1: any
  bool patient = false;  // both ends sleep while they wait: nothing that matters is timed
  RunnerLimits limits;
};

// What the judge saw of one order.
struct OrderTimes {
  double ns = 0;         // from publishing the order to seeing the answer
  double late_ns = 0;    // at most how late the answer was seen: since the look before
  uint64_t ticks = 0;    // the same as `ns`, by the second clock (second_clock.h)
  double around_ns = 0;  // devices: what bringing the arrays there and back took, beside `ns`
};

class RunnerProcess {
 public:
  using Clock = std::chrono::steady_clock;

  // Launches and returns at once; several processes can start side by side.
  static Result<std::unique_ptr<RunnerProcess>> Start(const RunnerOptions& options,
                                                      const Arena& arena);
  ~RunnerProcess();
  RunnerProcess(const RunnerProcess&) = delete;
  RunnerProcess& operator=(const RunnerProcess&) = delete;

  // Waits for the process, maps the arrays and defines the calls. No foreign code yet.
  Outcome Prepare();
  // Gives up system calls, then loads the library and finds the function.
  Outcome Load(Clock::duration deadline);

  // Brings slots' arrays into the caches of the process's core.
  Outcome Touch(uint32_t call, std::span<const uint16_t> slots, Clock::duration deadline,
                OrderTimes* times);
  // Calls the function once on each of the slots, in order. `at_mark`, when given, is run at once
  // when the answer is seen, while the process still runs; not with a device, whose outputs are
  // fetched after that.
  Outcome Call(uint32_t call, std::span<const uint16_t> slots, Clock::duration deadline,
               OrderTimes* times, const std::function<void()>& at_mark = nullptr);
  // The same with a function that does nothing.
  Outcome CallNothing(uint32_t call, std::span<const uint16_t> slots, OrderTimes* times);
  // Reads the slots' inputs and writes their outputs without computing anything: what moving as
  // many bytes costs in this harness. Only before Load is the answer to be believed.
  Outcome Copy(uint32_t call, std::span<const uint16_t> slots, OrderTimes* times);
  Outcome SetUp(uint32_t call, Clock::duration deadline, OrderTimes* times);
  Outcome TearDown(uint32_t call, Clock::duration deadline, OrderTimes* times);
  // Effective clock of the process's core in GHz, from a chain of dependent additions. Only before
  // Load is the answer to be believed.
  Outcome MeasureClock(double* ghz);

  // Orders to a stopped process are given by way of `hand_over`: it runs what it gets, once and
  // soon, on a thread that outlives this process. By default the caller's does.
  using HandOver = std::function<void(std::function<void()>)>;
  void GiveOrdersBy(HandOver hand_over) { hand_over_ = std::move(hand_over); }

  // Stops and continues the process, all of its threads. Freeze returns when they have stopped;
  // kCheated, and the process is killed, when they do not.
  [[nodiscard]] Outcome Freeze();
  void Thaw();

  const WatchedProcess& watched() const { return watched_; }
  std::string StandardOutput() const;
  std::string StandardError() const;
  // Where it is confined and how: "bubblewrap, seccomp".
  const std::string& isolation() const { return isolation_; }
  pid_t pid() const { return watched_.pid(); }

 private:
  static constexpr std::chrono::seconds kSetUpDeadline{60};
  static constexpr std::chrono::seconds kOrderDeadline{60};  // of orders without foreign code

  RunnerProcess() = default;
  Outcome Configure();
  Outcome Define();
  Outcome Exchange(harness::Command* command, Clock::duration deadline, harness::Reply* reply);
  Outcome CallOnDevice(uint32_t call, std::span<const uint16_t> slots, Clock::duration deadline,
                       OrderTimes* times);
  Outcome Order(harness::OrderKind kind, uint32_t call, std::span<const uint16_t> slots,
                uint32_t count, Clock::duration deadline, OrderTimes* times,
                const std::function<void()>& at_mark);
  Outcome LookAround(const char* during);
  Outcome Forbidden(const char* during);
  Outcome Ended(const char* during);
  Outcome TimedOut(Clock::duration deadline);
  Outcome FailedReply(const harness::Reply& reply) const;
  bool HasSpoken() const;
  bool Receive(harness::Reply* reply);
  int Lifeline() const;
  void Kill();

  RunnerOptions options_;
  const Arena* arena_ = nullptr;
  HandOver hand_over_;
  std::atomic<int64_t> begun_{0};  // when the last order was given, of Clock
  std::atomic<uint64_t> begun_ticks_{0};
  std::string isolation_;
  std::string library_inside_;  // what the process calls the library
  Launched launched_;
  WatchedProcess watched_;  // the runner itself, which may be a descendant of what was launched
  int control_ = -1;
  int listener_ = -1;  // of the system calls that it must not make
  int page_file_ = -1;
  int output_ = -1;
  int error_ = -1;
  uint64_t page_bytes_ = 0;
  harness::OrderPage* page_ = nullptr;
  uint32_t order_ = 0;
  bool serving_ = false;
  bool reaped_ = false;
  bool dead_ = false;
  bool frozen_ = false;
  uint64_t nonce_ = 0;
};

}  // namespace kev

#endif  // KEV_RUNNERS_HARNESS_RUNNER_PROCESS_H_
