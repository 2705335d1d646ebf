// kevolve attach: follows a live run to its end, whoever started it.
#include <iostream>

#include "tools/kevolve/commands.h"
#include "tools/kevolve/follow_run.h"
#include "tools/live/exit_code.h"
#include "tools/live/live_run.h"
#include "tools/live/report.h"
#include "tools/live/stored_run.h"

namespace kev {

int AttachCommand(const ControlOptions& options) {
  const OutputMode output = OutputOf(options.json, options.quiet);
  auto engine = OpenEngine({options.engine, options.access, options.run});
  if (engine) return FollowRun(**engine, options.run, output, options.output);
  // A run that has ended is shown as it ended.
  if (!options.engine.empty() || !options.access.empty()) return Complain(engine.error());
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
