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
  std::string durability = "strict";
  std::vector<std::string> listen;
  bool insecure = false;
  std::string access;  // file with keys for tcp
  bool json = false;
  bool quiet = false;
  std::string run;  // resume: the run's id
};
int RunCommand(const RunOptions& options);
int ResumeCommand(const RunOptions& options);

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
  std::vector<std::string> resources;
};
int WorkerCommand(const WorkerOptions& options);

struct ValidateOptions {
  std::vector<std::string> workflows;
  Overrides overrides;
};
int ValidateCommand(const ValidateOptions& options);

// Prints "kevolve: message" to stderr and gives the exit code that fits the error.
int Complain(const Error& error);
int ExitCodeOf(const Error& error);
// Says on stderr what is missing of a run that could be read in part.
void Warn(const StoredRun& run);

}  // namespace kev

#endif  // KEV_TOOLS_KEVOLVE_COMMANDS_H_
