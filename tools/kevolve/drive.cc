#include "tools/kevolve/drive.h"

#include <filesystem>
#include <iostream>

#include "configs/load.h"
#include "queue/codec.h"
#include "tools/live/exit_code.h"
#include "tools/live/file_system.h"

namespace kev {
namespace {

// Runs of at most so many candidates keep all of them in memory (about 3 kB each).
constexpr uint64_t kMostKept = 50000;

}  // namespace

int PrepareLive(const RunOptions& options, const Plan& plan, const std::string& target_cores,
                LiveOptions* live) {
  if (options.durability.empty() || options.durability == "strict")
    live->durability = Durability::kStrict;
  else if (options.durability == "normal")
    live->durability = Durability::kNormal;
  else
    live->durability = Durability::kFast;
  if (const Status s = CheckListen(options.listen, options.insecure, !options.access.empty());
      !s.ok())
    return Complain(s.error());
  live->listen = options.listen;
  live->access_file = options.access;
  live->store_url = options.store;
  live->force_network_fs = options.force_network_fs;
  const auto keep_free = BytesFrom(options.keep_free);
  if (!keep_free) {
    return Complain(
        {Code::kInvalid, "--keep-free " + options.keep_free + ": write a size, such as 64M or 2G"});
  }
  live->keep_free_bytes = *keep_free;
  live->output = options.json    ? OutputMode::kJson
                 : options.quiet ? OutputMode::kQuiet
                                 : OutputMode::kText;
  auto cores = SplitCores(target_cores);
  if (!cores) return Complain(cores.error());
  live->cores = std::move(*cores);
  live->keep_ended = options.snapshot_every == 0 && plan.budget.candidates != 0 &&
                     plan.budget.candidates <= kMostKept;
  if (options.snapshot_every != 0) live->snapshot_events = options.snapshot_every;
  live->processes = ProcessesFor(plan, live->cores.others.size());
  return kExitDone;
}

Result<std::string> TargetCoresOf(const std::string& bundle_bytes) {
  auto bundle = Decode(bundle_bytes);
  if (!bundle) return bundle.error();
  auto loaded = OpenBundle(*bundle);
  if (!loaded) return loaded.error();
  return loaded->targets.at(0).cores;
}

int DriveToEnd(LiveOptions live, const Beginning& beginning, bool fresh) {
  const std::string folder = live.folder.path;
  bool began = true;
  const int exit_code = [&] {
    LiveRun run(std::move(live));
    if (const Status opened = run.Open(); !opened.ok()) {
      began = false;
      return Complain(opened.error());
    }
    const LiveOutcome outcome = run.Drive(beginning);
    began = run.core().last_seq() > 0;
    if (!outcome.message.empty()) std::cerr << "kevolve: " << outcome.message << std::endl;
    return outcome.exit_code;
  }();
  // A new run that could not begin leaves nothing behind.
  if (!began && fresh) {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  return exit_code;
}

}  // namespace kev
