#include "tools/kevolve/follow_run.h"

#include <filesystem>
#include <iostream>

#include "tools/live/exit_code.h"
#include "tools/live/interrupts.h"
#include "tools/live/live_run.h"
#include "tools/live/report.h"
#include "tools/live/run_archive.h"
#include "tools/live/stored_run.h"

namespace kev {
namespace {

// Where the best kernel's source is: where the user wants it, or where the engine has put it when
// that is this machine.
Result<std::string> FetchBest(ClientSession& engine, const RunCore& core,
                              const std::string& wanted) {
  const Closing closing = ClosingOf(core, {core.run(), RunsFolder() + "/" + core.run()});
  std::error_code error;
  if (closing.best.empty()) return std::string();
  if (wanted.empty())
    return std::filesystem::exists(closing.best_file, error) ? closing.best_file : std::string();
  Value arguments;
  arguments.Set("run", core.run());
  arguments.Set("sha256", closing.best.sha256);
  const Result<Value> source = engine.Call("blob", std::move(arguments), kCallLimit);
  if (!source) return source.error();
  if (Status s = WriteFile(wanted, source->AsBytes()); !s.ok()) return s.error();
  return wanted;
}

}  // namespace

OutputMode OutputOf(bool json, bool quiet) {
  return json ? OutputMode::kJson : quiet ? OutputMode::kQuiet : OutputMode::kText;
}

int FollowRun(ClientSession& engine, const std::string& run, OutputMode output,
              const std::string& source_path) {
  InterruptCounter interrupts;
  LiveProgress progress(output);
  RunCore core(run, {.payloads = false, .keep_ended = true});
  // An engine of one run goes with it: what it did not tell any more, the archive says.
  auto followed = Follow(engine, &core, &progress, [&] { return interrupts.count() == 0; });
  progress.ClearLine();
  if (!followed && followed.error().code == Code::kUnavailable) {
    auto stored = StoredRun::Open(run);
    if (stored && (*stored)->core->phase() == Phase::kEnded) {
      core = std::move(*(*stored)->core);
      followed = true;
    }
  }
  if (!followed) return Complain(followed.error());
  if (!*followed) {
    std::cerr << "kevolve: left run " << run << ", which goes on; `" << CommandName() << " attach "
              << run << "` follows it again" << std::endl;
    return kExitInterrupted;
  }
  const auto source = FetchBest(engine, core, source_path);
  if (!source) return Complain(source.error());
  if (output == OutputMode::kJson)
    std::cout << ToJson(DoneLine(core, *source)) << std::endl;
  else
    std::cout << ClosingReport(core, *source, CommandName()) << std::flush;
  return ExitCodeOfEnd(core);
}

}  // namespace kev
