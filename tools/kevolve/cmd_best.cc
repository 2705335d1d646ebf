// kevolve best: the best kernel's source and what is known of it.
#include <iostream>

#include "tools/kevolve/commands.h"
#include "tools/live/exit_code.h"
#include "tools/live/home.h"
#include "tools/live/report.h"
#include "tools/live/stored_run.h"

namespace kev {

int BestCommand(const LookOptions& options) {
  auto opened = StoredRun::OpenLean(options.run);
  if (!opened) return Complain(opened.error());
  Warn(**opened);
  const RunCore& core = *(*opened)->core;
  if (!core.best()) {
    std::cerr << "kevolve: run " << (*opened)->id << " has no confirmed kernel; `kevolve show "
              << (*opened)->id << "` says what became of each candidate" << std::endl;
    return kExitNoneStood;
  }
  const Candidate& c = core.candidates()[core.best()->candidate.number - 1];
  auto source = (*opened)->Blob(c.view.source.sha256);
  if (!source) return Complain(source.error());
  if (!options.output.empty()) {
    if (const Status written = WriteFile(options.output, *source); !written.ok())
      return Complain(written.error());
  }
  if (options.json) {
    Value v = DoneLine(core, options.output)["best"];
    if (options.output.empty()) v.Set("text", *source);
    std::cout << ToJson(v) << "\n";
  } else if (options.output.empty()) {
    std::cout << *source;
  } else {
    std::cout << ClosingReport(core, options.output, CommandName());
  }
  return kExitDone;
}

}  // namespace kev
