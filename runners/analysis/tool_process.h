// One run of a tool of the machine (objdump, llvm-mca, valgrind, a compiler) in the sandbox of
// compilers, since what it reads may be made to break it: limits, a deadline, a clean environment,
// bounded output. The one place where this folder starts processes.
//
// Threads: any number at a time. Errors: kNotFound when there is no such program, kUnavailable when
// it cannot be started; how it ended is data.
#ifndef KEV_RUNNERS_ANALYSIS_TOOL_PROCESS_H_
#define KEV_RUNNERS_ANALYSIS_TOOL_PROCESS_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/result.h"

namespace kev {

struct ToolLimits {
  std::chrono::milliseconds deadline{10'000};
  uint64_t address_space_bytes = 4ull << 30;  // 0: no limit
  uint64_t output_bytes = 16ull << 20;        // of each stream and file; more ends the tool
  uint64_t folder_bytes = 64ull << 20;        // of all that it writes to its folder
  std::string folder;    // working directory, all that it can write to; "": one of its own
  bool proc = false;     // sees a /proc, with its own processes only
  bool forks = true;     // false: it starts threads, but no process
  bool confined = true;  // false: only limits, for a tool that is asked about this machine
  const std::atomic<bool>* cancelled = nullptr;
};

struct ToolOutput {
  int status = 0;  // exit status, 128 + signal when a signal ended it
  bool timed_out = false;
  bool folder_full = false;  // it wrote as much to its folder as it may
  std::string out, err;
  bool Succeeded() const { return status == 0 && !timed_out; }
};

// argv[0] is a path or a name that is looked up in PATH. `input` is its standard input.
Result<ToolOutput> RunTool(const std::vector<std::string>& argv, const std::string& input,
                           const ToolLimits& limits = {});

// Absolute path of the first of `names` that is in PATH; "" when none is.
std::string FindTool(const std::vector<std::string>& names);

// A folder for a tool's files, removed with this object.
class ToolFolder {
 public:
  ToolFolder();  // path() is "" when none can be made
  ~ToolFolder();
  ToolFolder(const ToolFolder&) = delete;
  ToolFolder& operator=(const ToolFolder&) = delete;
  const std::string& path() const { return path_; }
  // Writes `bytes` to the folder's file `name` and gives its path.
  Result<std::string> Write(const std::string& name, std::string_view bytes) const;

 private:
  std::string path_;
};

// Content of a file; "" when it cannot be read.
std::string FileText(const std::string& path);

}  // namespace kev

#endif  // KEV_RUNNERS_ANALYSIS_TOOL_PROCESS_H_
