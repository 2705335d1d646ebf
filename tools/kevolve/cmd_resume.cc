// kevolve resume: goes on with a run that was interrupted; what was committed is not done again.
#include <filesystem>
#include <iostream>

#include "tools/kevolve/commands.h"
#include "tools/kevolve/drive.h"
#include "tools/live/exit_code.h"
#include "tools/live/report.h"
#include "tools/live/stored_run.h"

namespace kev {

int ResumeCommand(const RunOptions& options) {
  auto folder = FindRunFolder(options.run);
  if (!folder) return Complain(folder.error());
  if (std::filesystem::exists(folder->Archive())) {
    std::cerr << "kevolve: run " << options.run << " has ended; `kevolve show " << options.run
              << "` shows it" << std::endl;
    return kExitBadInput;
  }
  // Read once to learn what it runs on; LiveRun then opens it for writing.
  std::string cores;
  Plan plan;
  {
    auto stored = StoredRun::Open(options.run);
    if (!stored) return Complain(stored.error());
    if ((*stored)->state == StoredRun::State::kLive) {
      return Complain({Code::kExists, "run " + options.run +
                                          " is being driven by another engine; nothing was done"});
    }
    const RunCore& core = *(*stored)->core;
    if (core.phase() == Phase::kNew) {
      return Complain(
          {Code::kNotFound,
           "run " + options.run +
               " was stopped before anything was committed: start it again with `kevolve run`"});
    }
    plan = core.plan();
    auto bundle = (*stored)->Blob(plan.context.sha256);
    if (!bundle) return Complain(bundle.error());
    auto target = TargetCoresOf(*bundle);
    if (!target) return Complain(target.error());
    cores = *target;
  }
  LiveOptions live;
  const int refused = PrepareLive(options, plan, cores, &live);
  if (refused != kExitDone) return refused;
  live.folder = *folder;
  return DriveToEnd(std::move(live), {});
}

}  // namespace kev
