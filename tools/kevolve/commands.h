// The subcommands of kevolve: one function and one file each. Each returns an exit code
// (tools/live/exit_code.h) and prints its own messages; errors go to stderr as "kevolve: what,
// where, what to do".
#ifndef KEV_TOOLS_KEVOLVE_COMMANDS_H_
#define KEV_TOOLS_KEVOLVE_COMMANDS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "configs/load.h"

namespace kev {

class StoredRun;

struct RunOptions {
  std::string workflow;
  Overrides overrides;
  std::string durability;  // "": strict
  std::string store;       // URL of an external Redis
  bool force_network_fs = false;
  uint64_t snapshot_every = 0;    // events; 0: 50,000, and in long runs only
  std::string keep_free = "64M";  // bytes
  std::vector<std::string> listen;
  bool insecure = false;
  std::string access;  // file with keys for tcp
  bool json = false;
  bool quiet = false;
  std::string run;                 // resume: the run's id
  std::vector<std::string> retry;  // resume: dead letters that are tried again
  // run --engine
  std::string engine;
  std::string key;
  double weight = 1;
  bool detach = false;
  std::string output;  // -o: where the best kernel goes, too
};
// Whether something was asked for that an engine of the run's own heeds, and no other.
inline bool AsksOfOwnEngine(const RunOptions& options) {
  return !options.store.empty() || !options.listen.empty() || !options.durability.empty() ||
         options.force_network_fs || options.insecure || options.snapshot_every != 0;
}
int RunCommand(const RunOptions& options);
int ResumeCommand(const RunOptions& options);

struct EngineCommandOptions {
  std::string name = "default";
  bool standby = false;
  std::string workers = "auto";
  uint64_t snapshot_every = 50000;  // events
  RunOptions common;                // durability, store, listen, access, json, …
};
int EngineCommand(const EngineCommandOptions& options);

// What goes to a live engine: the one that has `run`, or the one named.
struct ControlOptions {
  std::string run;
  std::string engine;
  std::string access;
  bool json = false;
  bool quiet = false;
  std::vector<std::string> words;  // budget: KEY=LIMIT
  std::string subject;             // explain: candidate, job or step; dlq: a job; drain: a worker
  std::string output;              // attach -o
};
int AttachCommand(const ControlOptions& options);
int PauseCommand(const ControlOptions& options);
int CancelCommand(const ControlOptions& options);
int BudgetCommand(const ControlOptions& options);
int DrainCommand(const ControlOptions& options);
int ExplainCommand(const ControlOptions& options);
int WorkersCommand(const ControlOptions& options);
int DlqListCommand(const ControlOptions& options);
int DlqShowCommand(const ControlOptions& options);
int DlqRetryCommand(const ControlOptions& options);
int DlqDropCommand(const ControlOptions& options);

struct KeepOptions {
  std::vector<std::string> runs;  // rm
  int keep = -1;                  // gc: newest ended runs that stay
  std::string older_than;
  std::string quota;
  bool dry_run = false;
  bool json = false;
  std::string path;    // import: the file
  std::string output;  // export: the file
  bool repair = false;
};
int RmCommand(const KeepOptions& options);
int GcCommand(const KeepOptions& options);
int ExportCommand(const KeepOptions& options);
int ImportCommand(const KeepOptions& options);
int FsckCommand(const KeepOptions& options);

struct LookOptions {
  std::string run;
  std::string subject;  // show: a candidate
  std::string output;   // best: file to write to
  bool json = false;
  bool source = false;  // show: print the source too
};
int ListCommand(const LookOptions& options);
int ShowCommand(const LookOptions& options);
int BestCommand(const LookOptions& options);
int LogCommand(const LookOptions& options);
int ReplayCommand(const LookOptions& options);

struct WorkerOptions {
  std::string stage;
  std::string connect;
  std::string access;
  uint32_t slots = 1;
  std::string prefetch;
  std::vector<std::string> labels;
  std::string lost_grace;  // how long it waits for an engine that is away
  std::vector<std::string> resources;
};
int WorkerCommand(const WorkerOptions& options);

struct AccessOptions {
  std::string from = "default";  // an engine's name, or its access file
  std::string role;
  std::string output;
};
int AccessCommand(const AccessOptions& options);

struct JudgeCommandOptions {
  std::string task;
  std::string target = "cpu";
  std::string source;
  uint32_t launches = 0;               // 0: as many as a claim needs
  bool screen = false;                 // as a search screens: fast, no claim
  std::vector<std::string> libraries;  // that the task declares and the kernel needs
  std::string samples;                 // file for all raw samples
  std::string profile;                 // file for the record of why it is slow
  bool json = false;
};
int JudgeCommand(const JudgeCommandOptions& options);

struct ValidateOptions {
  std::vector<std::string> workflows;
  Overrides overrides;
  std::string qualify;  // a task, instead of workflows: can it be hacked?
  bool json = false;
};
int ValidateCommand(const ValidateOptions& options);

struct DoctorOptions {
  bool measure = false;
  int core = -1;  // to measure; -1: the one that kernels are timed on by default
  bool json = false;
};
int DoctorCommand(const DoctorOptions& options);

// Prints "kevolve: message" to stderr and gives the exit code that fits the error.
int Complain(const Error& error);
int ExitCodeOf(const Error& error);
// Complains; with `json` {"error", "exit_code"} goes to stdout as well. Gives `exit_code`.
int Complain(const Error& error, int exit_code, bool json);
int ComplainInJson(const Error& error, int exit_code);
// Of an error that stages/judge gave: the task or the toolchain is broken, or the machine refuses.
int JudgeExitCode(const Error& error);
// Says on stderr what is missing of a run that could be read in part.
void Warn(const StoredRun& run);

}  // namespace kev

#endif  // KEV_TOOLS_KEVOLVE_COMMANDS_H_
