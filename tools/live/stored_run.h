// StoredRun: a run as it is kept, folded and ready to be looked at: from its archive file, or from
// Redis while it is live or was interrupted (then a server is started on its folder for the time of
// reading).
//
// Threads: one. Errors: kNotFound, kCorrupt with what and where.
#ifndef KEV_TOOLS_LIVE_STORED_RUN_H_
#define KEV_TOOLS_LIVE_STORED_RUN_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/core/run_core.h"
#include "queue/archive.h"
#include "tools/live/home.h"

namespace kev {

class StoredRun {
 public:
  enum class State { kEnded, kLive, kInterrupted };
  virtual ~StoredRun() = default;
  // `name`: a run's id, or the path of an archive file.
  static Result<std::unique_ptr<StoredRun>> Open(const std::string& name);
  // The same without folding it: `groups` and `core` stay empty.
  static Result<std::unique_ptr<StoredRun>> OpenUnfolded(const std::string& name);
  // The core from the newest snapshot and what came after it, in which candidates that have ended
  // may have been let go; `log` and `groups` stay empty. What an engine would take up, in as much
  // time and memory. An archive has no snapshots: as Open.
  static Result<std::unique_ptr<StoredRun>> OpenLean(const std::string& name);
  // Only where it is: log, groups and core stay empty; of an archive the log is read.
  static Result<std::unique_ptr<StoredRun>> OpenUnread(const std::string& name);

  virtual Result<std::string> Blob(const std::string& sha256) = 0;

  std::string id;
  State state = State::kEnded;
  std::string warning;        // what is missing of it; empty when it is whole
  std::string where;          // path of the archive or of the run folder
  std::string store_address;  // address of the store that it is in; empty: it is in an archive
  std::vector<LogEntry> log;
  std::vector<EventGroup> groups;  // decoded
  std::unique_ptr<RunCore> core;   // folded to the end
};

// Folds a log from its beginning. Error: kCorrupt when an entry cannot be read or does not follow
// its predecessor.
Result<std::unique_ptr<RunCore>> Fold(const std::string& run, const std::vector<LogEntry>& log,
                                      std::vector<EventGroup>* groups);

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_STORED_RUN_H_
