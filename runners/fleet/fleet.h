// Fleet: starts stage programs as child processes, says which have ended, and stops them.
//
// Each child has its own process group, dies with the thread that started it (parent-death signal:
// call Start from the main thread), and writes to a log file. Threads: one; no thread and no signal
// handler of its own. Waits only for its own children. Errors: Result/Status; an exit is data, what
// to do about it (restart, give up) is the caller's to say.
#ifndef KEV_RUNNERS_FLEET_FLEET_H_
#define KEV_RUNNERS_FLEET_FLEET_H_

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "engine/core/result.h"

namespace kev {

struct ChildOptions {
  std::string program;                 // "kevolve-compile"; with a slash: the path itself
  std::vector<std::string> arguments;  // without argv[0]
  std::vector<int> cores;              // processors it may use; empty: all that the parent may
  std::map<std::string, std::string> environment;  // added to the parent's
  std::string log;  // stdout and stderr are appended here; empty: /dev/null
};

struct ChildExit {
  int pid = 0;
  std::string program;
  int status = 0;  // exit status, when signal is 0
  int signal = 0;
  std::chrono::milliseconds lived{0};
  std::string log;
  // "kevolve-compile (pid 12) ended with status 1 after 20 ms; see …/compile.log"
  std::string Text() const;
};

// Delay before a child is started again: doubles with each exit in a row from `base`, at most
// `cap`.
std::chrono::milliseconds RestartDelay(
    unsigned exits_in_a_row, std::chrono::milliseconds base = std::chrono::milliseconds(100),
    std::chrono::milliseconds cap = std::chrono::milliseconds(10000));

class Fleet {
 public:
  Fleet() = default;
  ~Fleet();  // kills what still runs
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // Path of a program: in $KEVOLVE_BUILD_BIN when that is set, else beside the running executable.
  static Result<std::string> Locate(const std::string& program);

  Result<int> Start(const ChildOptions& options);  // its pid
  std::vector<ChildExit> Reap();       // those that have ended since the last call; does not wait
  Status Signal(int pid, int signal);  // to the child's process group
  // SIGTERM to all, waits up to `grace`, then SIGKILL. Gives the exits.
  std::vector<ChildExit> Stop(std::chrono::milliseconds grace);
  size_t Running() const { return children_.size(); }
  std::vector<int> Pids() const;

 private:
  struct Child {
    std::string program;
    std::string log;
    std::chrono::steady_clock::time_point started;
  };
  void SignalAll(int signal);
  std::map<int, Child> children_;
};

}  // namespace kev

#endif  // KEV_RUNNERS_FLEET_FLEET_H_
