// kevolve import: a run of an archive file becomes one of this home.
#include <filesystem>
#include <iostream>

#include "queue/archive.h"
#include "tools/kevolve/commands.h"
#include "tools/live/check_run.h"
#include "tools/live/exit_code.h"
#include "tools/live/home.h"
#include "tools/live/run_archive.h"
#include "tools/live/stored_run.h"

namespace kev {
namespace {

// What a cut file has lost, in words; "" when it is whole. `*blobs_missing`: how many of its blobs.
std::string Missing(StoredRun& run, size_t* blobs_missing) {
  if (run.warning.empty()) return "";
  std::string text = run.warning;
  const auto blobs = BlobsNamedBy(run.log);
  size_t& missing = *blobs_missing;
  for (const auto& [sha256, ref] : blobs ? *blobs : std::map<std::string, BlobRef>{}) {
    if (!run.Blob(sha256)) ++missing;
  }
  return text + "; of " + std::to_string(blobs ? blobs->size() : 0) +
         " blobs that its events name " + std::to_string(missing) + " are missing";
}

// What is in the file and is not what an engine would have written, in words; "" when nothing is.
std::string Differs(StoredRun& run) {
  RunCore core(run.id);
  if (const auto finding = CheckLog(run, &core)) return finding->what;
  const auto reader = ArchiveReader::Open(run.where);
  const Status good = reader ? (*reader)->Verify() : reader.error();
  return good.ok() ? "" : good.error().message;
}

}  // namespace

int ImportCommand(const KeepOptions& options) {
  if (!options.path.ends_with(".kevrun")) {
    return Complain({Code::kInvalid, "'" + options.path + "' is not the path of a .kevrun file"});
  }
  auto opened = StoredRun::Open(options.path);
  if (!opened) return Complain(opened.error());
  StoredRun& run = **opened;
  if (!IsRunId(run.id))
    return Complain({Code::kCorrupt, options.path + " names its run '" + run.id +
                                         "', which cannot be a run's name"});
  size_t blobs_missing = 0;
  const std::string missing = Missing(run, &blobs_missing);
  if (!missing.empty()) std::cerr << "kevolve: warning: " << missing << std::endl;
  const std::string differs = Differs(run);
  if (!differs.empty()) std::cerr << "kevolve: warning: " << differs << std::endl;
  auto folder = CreateRunFolder(run.id);
  if (!folder) {
    Error error = folder.error();
    if (error.code == Code::kExists) {
      error.message = "there is a run " + run.id + " already; nothing was imported. `" +
                      CommandName() + " rm " + run.id + "` removes it";
    }
    return Complain(error);
  }
  Status written = WriteArchive(folder->Archive(), run.id, run.core->about(), EntriesOf(run.log),
                                [&](const std::string& sha256) { return run.Blob(sha256); });
  if (written.ok()) {
    const auto secret = SecretOf(*folder);  // it marks the folder's age as well
    if (!secret) written = secret.error();
  }
  if (!written.ok()) {
    std::error_code ignored;
    std::filesystem::remove_all(folder->path, ignored);
    return Complain(written.error());
  }
  const bool ended = run.core->phase() == Phase::kEnded;
  if (options.json) {
    Value v;
    v.Set("run", run.id);
    v.Set("events", run.core->last_seq());
    v.Set("ended", ended);
    if (!missing.empty()) v.Set("missing", missing);
    if (!differs.empty()) v.Set("differs", differs);
    std::cout << ToJson(v) << std::endl;
  } else {
    std::cout << "imported run " << run.id << ", " << run.core->last_seq() << " events";
    if (!ended && blobs_missing > 0)
      std::cout << "; it has not ended, and without its blobs it can be read, not resumed";
    else if (!ended)
      std::cout << "; it has not ended: `" << CommandName() << " resume " << run.id << "` goes on";
    std::cout << "\n";
  }
  return kExitDone;
}

}  // namespace kev
