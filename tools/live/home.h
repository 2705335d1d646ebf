// Where things live on disk: $KEVOLVE_HOME/runs/<RUN>/ and the shipped configurations.
//
// A run's folder holds: lock, secret, engine.sock, redis/ (socket and append-only files), logs/,
// best/, and, once the run has ended, run.kevrun (then redis/ is gone). Threads: none. Errors:
// kPermission, kExists, kInvalid with the path.
#ifndef KEV_TOOLS_LIVE_HOME_H_
#define KEV_TOOLS_LIVE_HOME_H_

#include <memory>
#include <string>
#include <vector>

#include "engine/core/result.h"

namespace kev {

// $KEVOLVE_HOME, else $XDG_STATE_HOME/kevolve, else ~/.local/state/kevolve.
std::string HomeFolder();
// An error when the environment names none of the three.
Status CheckHome();
std::string RunsFolder();
// Folder with tasks/, targets/, workflows/: beside the program, as installed or as built.
std::string ShippedConfigs();
// How this program was called, for commands that are printed: "kevolve", or the path that was
// typed.
std::string CommandName();
std::string NewRunId(const std::string& task);
// Whether a name can be a run's id: letters, digits, '-', '_', '.'; never a path.
bool IsRunId(const std::string& name);

struct RunFolder {
  std::string id;
  std::string path;
  std::string RedisSocket() const { return path + "/redis/redis.sock"; }
  std::string EngineSocket() const { return path + "/engine.sock"; }
  std::string Redis() const { return path + "/redis"; }
  std::string Logs() const { return path + "/logs"; }
  std::string Archive() const { return path + "/run.kevrun"; }
  std::string Best() const { return path + "/best"; }
};

// Makes a new run's folder. Checks that it is writable and that socket paths in it fit.
Result<RunFolder> CreateRunFolder(const std::string& id);
Result<RunFolder> FindRunFolder(const std::string& id);
std::vector<std::string> RunIds();  // newest last

// Held by the one engine that may write a run. Let go when destroyed or when the process dies.
class RunLock {
 public:
  ~RunLock();
  static Result<std::unique_ptr<RunLock>> Take(
      const RunFolder& folder);  // kExists: a live engine has it
 private:
  explicit RunLock(int fd) : fd_(fd) {}
  int fd_;
};

// Random bits that verify jobs draw held-out shapes from; made once per run, readable by its owner
// only.
Result<int64_t> SecretOf(const RunFolder& folder);

Status WriteFile(const std::string& path, const std::string& text);  // by temporary name and rename
Result<uint64_t> FreeBytes(const std::string& path);

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_HOME_H_
