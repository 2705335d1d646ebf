// Exact counts of what a kernel executes: by callgrind, which simulates the caches, and by the
// CPU's own counters where there are any.
//
// Callgrind dies on AVX-512, so what is counted is a twin of the kernel that was compiled for
// x86-64-v3 (TwinArguments, remarks.h): the counts are the twin's and say so. They are its own
// word, too: what is counted shares its memory with valgrind. A library that holds valgrind's
// requests, with which counting can be switched off, is not counted; code that is made at run time,
// in memory that is writable and executable, is not looked through. Threads: any number at a time;
// a PerfCounters belongs to one thread. Errors: kNotFound without valgrind; kUnavailable with the
// reason where there are no counters; kInvalid when the function was never called.
#ifndef KEV_RUNNERS_ANALYSIS_CALL_COUNTS_H_
#define KEV_RUNNERS_ANALYSIS_CALL_COUNTS_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/result.h"
#include "runners/analysis/tool_process.h"

namespace kev {

struct CallCounts {
  // Per call of the function, callees included.
  double instructions = 0;
  double reads = 0, writes = 0;           // memory operands, of any width
  double d1_misses = 0, ll_misses = 0;    // cache lines, of this machine's cache sizes
  std::map<uint64_t, uint64_t> executed;  // by address in the library, all calls together
};

// A callgrind.out file with instruction addresses, of `calls` calls. `library`: the object whose
// addresses are kept (its file name).
Result<CallCounts> ParseCallgrind(std::string_view text, std::string_view library, double calls);

// Whether a file holds the words that mark a request to valgrind, wherever they are: only code has
// them, and data can become code.
bool SpeaksToValgrind(std::string_view file);

// Runs `argv`, a program that loads `library` and calls `function` `calls` times, under callgrind,
// in a sandbox.
Result<CallCounts> CountCalls(const std::vector<std::string>& argv, const std::string& library,
                              const std::string& function, double calls, ToolLimits limits = {});

struct CounterValues {
  uint64_t instructions = 0, cycles = 0, cache_misses = 0, branch_misses = 0;
  // The part of the time in which they were counting; below 1 the machine has too few counters and
  // the values are scaled up.
  double coverage = 0;
};

// The counters of one process, user mode only. They run from Open on.
class PerfCounters {
 public:
  static Result<PerfCounters> Open(pid_t pid);
  PerfCounters(PerfCounters&& other) noexcept;
  PerfCounters& operator=(PerfCounters&&) = delete;
  ~PerfCounters();
  Result<CounterValues> Read() const;

 private:
  PerfCounters() = default;
  std::vector<int> fds_;  // one group; the first leads
};

// "" when this machine has hardware counters, else why not.
std::string NoCountersBecause();

}  // namespace kev

#endif  // KEV_RUNNERS_ANALYSIS_CALL_COUNTS_H_
