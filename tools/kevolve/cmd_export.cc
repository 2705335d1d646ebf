// kevolve export: a run as one archive file, whether it has ended, was interrupted or is live.
#include <filesystem>
#include <iostream>

#include "tools/kevolve/commands.h"
#include "tools/live/exit_code.h"
#include "tools/live/run_archive.h"
#include "tools/live/stored_run.h"

namespace kev {

int ExportCommand(const KeepOptions& options) {
  const std::string& id = options.runs.front();
  std::error_code error;
  if (!options.output.ends_with(".kevrun")) {
    return Complain({Code::kInvalid, "'" + options.output +
                                         "' does not end in .kevrun, by which every command knows "
                                         "that it is a file"});
  }
  if (std::filesystem::exists(options.output, error)) {
    return Complain({Code::kExists, options.output + " exists already; it is not overwritten"});
  }
  auto opened = StoredRun::Open(id);
  if (!opened) return Complain(opened.error());
  StoredRun& run = **opened;
  Warn(run);
  if (run.log.empty())
    return Complain(
        {Code::kNotFound, "run " + id + " has nothing committed yet; nothing to export"});
  size_t without = 0;
  std::string first;
  const Status written = WriteArchive(options.output, run.id, run.core->about(), EntriesOf(run.log),
                                      [&](const std::string& sha256) {
                                        auto bytes = run.Blob(sha256);
                                        if (bytes || (bytes.error().code != Code::kCorrupt &&
                                                      bytes.error().code != Code::kNotFound))
                                          return bytes;
                                        if (without++ == 0) first = bytes.error().message;
                                        bytes = Error{Code::kNotFound, bytes.error().message};
                                        return bytes;
                                      });
  if (!written.ok()) return Complain(written.error());
  const bool ended = run.core->phase() == Phase::kEnded;
  if (options.json) {
    Value v;
    v.Set("run", run.id);
    v.Set("file", options.output);
    v.Set("events", run.core->last_seq());
    v.Set("ended", ended);
    std::cout << ToJson(v) << std::endl;
  } else {
    std::cout << "run " << run.id << " is in " << options.output << " up to event "
              << run.core->last_seq() << (ended ? "" : ", not to its end") << "\n";
  }
  if (without == 0) return kExitDone;
  std::cerr << "kevolve: the file is without " << without
            << " blob(s) that the log names: " << first
            << ". Keep the run: what is there of it is all there is" << std::endl;
  return kExitDiffers;
}

}  // namespace kev
