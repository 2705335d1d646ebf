// Where things live on disk: $KEVOLVE_HOME/runs/<RUN>/ and the shipped configurations.
//
// A run's folder holds: lock, secret, epoch, logs/, best/, and, once the run has ended, run.kevrun.
// The engine that drives it has its own folder (tools/live/engine_folder.h): of `kevolve run` that
// is the run's. Threads: none. Errors: kPermission, kExists, kInvalid with the path.
#ifndef KEV_TOOLS_LIVE_HOME_H_
#define KEV_TOOLS_LIVE_HOME_H_

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
  std::string Confirmed() const { return path + "/confirmed"; }  // tools/live/confirmed_mark.h
  std::string Epoch() const { return path + "/epoch"; }  // engines so far, beside the store's
  std::string Outside() const { return path + "/outside-workers"; }  // there: some have joined
  std::string Engine() const { return path + "/engine"; }  // which service has it; else none
  std::string Logs() const { return path + "/logs"; }
  std::string Log() const { return path + "/log.kevrun"; }  // what has left the store
  std::string Archive() const { return path + "/run.kevrun"; }
  std::string Best() const { return path + "/best"; }
};

// Makes a new run's folder. Checks that it is writable and that socket paths in it fit.
Result<RunFolder> CreateRunFolder(const std::string& id);
Result<RunFolder> FindRunFolder(const std::string& id);
std::vector<std::string> RunIds();  // newest last

// Random bits that verify jobs draw held-out shapes from; made once per run, readable by its owner
// only.
Result<int64_t> SecretOf(const RunFolder& folder);

Status WriteFile(const std::string& path, const std::string& text);  // by temporary name and rename

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_HOME_H_
