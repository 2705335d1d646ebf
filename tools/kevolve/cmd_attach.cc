// kevolve attach: follows a live run to its end, whoever started it.
#include <poll.h>

#include <filesystem>
#include <iostream>

#include "tools/kevolve/commands.h"
#include "tools/kevolve/follow_run.h"
#include "tools/live/engine_folder.h"
#include "tools/live/exit_code.h"
#include "tools/live/home.h"
#include "tools/live/live_run.h"
#include "tools/live/report.h"
#include "tools/live/stored_run.h"

namespace kev {

namespace {

constexpr int kLookAgainMs = 200;
constexpr int kTakeOverMs = 10'000;  // a standby has the engine's runs before

// The run's engine is a service, and its standby may be taking over just now. (What has an archive
// has ended.) Its store is not looked into meanwhile: the standby would wait for that.
bool MayBeTakenOver(const std::string& run) {
  const auto folder = FindRunFolder(run);
  std::error_code ignored;
  if (!folder || std::filesystem::exists(folder->Archive(), ignored)) return false;
  const auto engine = EngineOf(*folder);
  return engine && engine->path != folder->path;
}

}  // namespace

int AttachCommand(const ControlOptions& options) {
  const OutputMode output = OutputOf(options.json, options.quiet);
  const bool here = options.engine.empty() && options.access.empty();
  auto engine = OpenEngine({options.engine, options.access, options.run});
  if (!engine && here && MayBeTakenOver(options.run)) {
    std::cerr << "kevolve: no engine drives run " << options.run << " now; waiting "
              << kTakeOverMs / 1000 << " s for one to take over" << std::endl;
    for (int waited_ms = 0; !engine && waited_ms < kTakeOverMs; waited_ms += kLookAgainMs) {
      poll(nullptr, 0, kLookAgainMs);
      engine = OpenEngine({options.engine, options.access, options.run});
    }
  }
  if (engine) return FollowRun(**engine, options.run, output, options.output);
  if (!here) return Complain(engine.error());
  // A run that has ended is shown as it ended.
  auto stored = StoredRun::Open(options.run);
  if (!stored || (*stored)->core->phase() != Phase::kEnded) return Complain(engine.error());
  const RunCore& core = *(*stored)->core;
  if (output == OutputMode::kJson)
    std::cout << ToJson(DoneLine(core, "")) << std::endl;
  else
    std::cout << ClosingReport(core, "", CommandName()) << std::flush;
  return ExitCodeOfEnd(core);
}

}  // namespace kev
