// Runs one program of the toolchain in a sandbox (toolchain_sandbox.h): limits, deadline, clean
// environment, lower priority; its output (standard output and error together) is kept with its
// head and tail.
//
// All that it started is killed when the deadline passes, when the job is cancelled and when the
// program has ended. Threads: any number at a time. Errors: only what keeps the child from being
// started; how it ended is data.
#ifndef KEV_RUNNERS_SANDBOX_TOOLCHAIN_PROCESS_H_
#define KEV_RUNNERS_SANDBOX_TOOLCHAIN_PROCESS_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/result.h"
#include "runners/sandbox/sandbox.h"

namespace kev {

struct ProcessLimits {
  std::chrono::milliseconds deadline{60'000};
  uint64_t address_space_bytes = 4ull << 30;
  uint64_t file_bytes = 256ull << 20;    // of one file
  uint64_t folder_bytes = 256ull << 20;  // of all that it writes to its folder
  size_t output_bytes = 64 << 10;
  bool proc = false;  // sees a /proc, with its own processes only
  bool forks = true;  // false: it starts threads, but no process
};

struct ProcessOutcome {
  enum class End { kExited, kSignalled, kDeadline, kCancelled } end = End::kExited;
  Isolation isolation = Isolation::kNone;
  // That it ran into: "memory" or "processes", where a control group tells; "folder".
  std::string limit;
  int status = 0;      // exit status or signal
  std::string output;  // with a line in the middle that says how much was left out
  double seconds = 0;
  bool Succeeded() const { return end == End::kExited && status == 0; }
};

// At most `most` bytes of a file that such a program left; "" when there is none. What lies there
// was made by something that handled a hostile source: a link out of the folder is not followed,
// and nothing but a file is read.
std::string ReadWritten(const std::string& path, uint64_t most = UINT64_MAX);

// Absolute path of `program` as the shell would find it in PATH. Error kNotFound.
Result<std::string> FindProgram(const std::string& program);

// PATH as compilers see it.
std::string SearchPath();

// Runs argv (argv[0] is a path) in `folder`. `cancelled` may be null.
Result<ProcessOutcome> RunToolchain(const std::vector<std::string>& argv, const std::string& folder,
                                    const ProcessLimits& limits,
                                    const std::atomic<bool>* cancelled);

}  // namespace kev

#endif  // KEV_RUNNERS_SANDBOX_TOOLCHAIN_PROCESS_H_
