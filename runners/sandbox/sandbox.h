// Starts a program that cannot reach anything but what its plan names: own namespaces (by
// bubblewrap, or by kevolve-confine where there is none), or Landlock rules where namespaces are
// not allowed, and limits in every case.
//
// Threads: any number at a time; but the thread that launches must live as long as the process,
// since the kernel ends the process with it. Errors: only what keeps the sandbox from being
// started; how the program ended is data. There is no fake: tests start real processes.
#ifndef KEV_RUNNERS_SANDBOX_SANDBOX_H_
#define KEV_RUNNERS_SANDBOX_SANDBOX_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/result.h"

namespace kev {

// Strongest first.
enum class Isolation { kBubblewrap, kNamespaces, kLandlock, kNone };
// "bubblewrap", "namespaces", "landlock", "none".
const char* Name(Isolation isolation);
// Whether the file system, the network and other processes are out of sight, not only out of reach.
inline bool HasNamespaces(Isolation isolation) { return isolation <= Isolation::kNamespaces; }

// 0: no limit. Each is set as an rlimit (soft = hard, never above the limit that we run under);
// memory and processes also by control groups where those can be written.
struct SandboxLimits {
  uint64_t cpu_seconds = 0;
  uint64_t address_bytes = 0;  // RLIMIT_AS
  uint64_t private_bytes = 0;  // RLIMIT_DATA: heap and private mappings
  uint64_t memory_bytes = 0;   // resident, of all processes together; control groups only
  uint64_t file_bytes = 0;     // of one file
  uint64_t open_files = 0;
  uint64_t processes = 0;  // tasks, threads included
};

// A folder that lies in memory and goes with the sandbox. Only namespaces have one.
struct MemoryFolder {
  std::string path;  // inside; "": none
  uint64_t bytes = 0;
  // Called with the folder, before the program starts, to put files into it. May be null.
  std::function<Status(int folder)> fill;
};

struct SandboxPlan {
  std::vector<std::string> argv;                   // argv[0]: absolute path inside
  std::map<std::string, std::string> environment;  // all there is
  // {path outside, path inside}: a file or a folder with what lies below it. The path outside must
  // exist; symbolic links in it are followed.
  std::vector<std::pair<std::string, std::string>> read_only;
  std::vector<std::pair<std::string, std::string>> writable;
  std::vector<std::pair<std::string, std::string>> links;  // {target, path inside}
  std::vector<std::string> devices;                        // of /dev, beside /dev/null
  std::string folder = "/";                                // working directory inside
  bool proc = false;                                       // a /proc with only its own processes
  uint64_t scratch_bytes = 64 << 20;                       // size of the private /tmp
  MemoryFolder in_memory;
  // {our descriptor, number inside}. All others are closed; 0, 1 and 2 are /dev/null if not given.
  std::vector<std::pair<int, int>> files;
  SandboxLimits limits;
  int core = -1;         // the one CPU that it may use; -1: ours
  int niceness = 0;      // added to ours
  std::string syscalls;  // program of a filter (syscall_filter.h); "": every call is allowed
};

// A running sandbox. Copies share it; the last one closes the descriptors and removes the control
// group, and must be gone only after the process has been reaped.
struct Launched {
  // The outermost process, of a session and group of its own; our child, to be reaped with waitpid.
  pid_t pid = -1;
  // Readable when `pid` has ended. Owned by `handles`.
  int pidfd = -1;
  Isolation isolation = Isolation::kNone;
  bool pinned = true;           // false: the core of the plan cannot be used
  std::string limits_in_force;  // "rlimits" or "rlimits, control groups (memory, pids)"
  // The plan's folder in memory, readable until the last copy goes; -1: none. Owned by `handles`.
  int in_memory = -1;
  struct Handles;
  std::shared_ptr<Handles> handles;
};

// The strongest that works here, found by starting a program in each; asked once per process. The
// variable KEVOLVE_ISOLATION forces one by its name; "required" means that only bubblewrap and
// namespaces will do. Error kUnavailable with what to install or allow.
Result<Isolation> BestIsolation();
// Whether `isolation` works here. Error kUnavailable with the reason.
Status ProbeIsolation(Isolation isolation);

// Starts the plan's program. Error kNotFound or kInvalid for what the plan names wrongly,
// kUnavailable when the system refuses.
//
// With Isolation::kLandlock and kNone paths are those outside: the plan's own paths (argv[0],
// folder) are translated by its read_only and writable lists, other words are for the caller to
// translate with PathInside. There is no private /tmp then.
Result<Launched> LaunchSandboxed(const SandboxPlan& plan, Isolation isolation);

// The name that the program must use for what the plan calls `path` inside.
std::string PathInside(const SandboxPlan& plan, Isolation isolation, const std::string& path);

// The program itself as we see it, to freeze it or to read its clocks; `pid` is only its guardian.
// To be called when the program is known to run (it has said something). Error kNotFound.
Result<pid_t> ProgramPid(const Launched& launched);

// Kills everything in the sandbox, whatever session it has moved to, and waits until it is gone.
// `pid` is left to be reaped.
void KillSandboxed(const Launched& launched);

// Of the status that waitpid gave for `pid`. Guardians report a signal N as exit status 128 + N.
struct SandboxEnd {
  bool signalled = false;
  int number = 0;  // exit status or signal
};
SandboxEnd EndOf(const Launched& launched, int wait_status);
// What a control group stopped: "memory", "processes" or "". To be asked before the last copy of
// `launched` goes.
std::string LimitReached(const Launched& launched);

// Absolute path of one of this project's programs: in the folder KEVOLVE_BUILD_BIN, else beside
// the running program.
std::string SiblingProgram(const std::string& name);

}  // namespace kev

#endif  // KEV_RUNNERS_SANDBOX_SANDBOX_H_
