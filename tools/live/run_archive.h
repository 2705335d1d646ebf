// A run's archive, made from its store; and what else stays of a run that has ended: its best
// kernel's source.
//
// Threads: one, with a store of its own (a service does this beside its loop). Errors: of the store
// and of the disk; a file under its final name is whole.
#ifndef KEV_TOOLS_LIVE_RUN_ARCHIVE_H_
#define KEV_TOOLS_LIVE_RUN_ARCHIVE_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/run_core.h"
#include "queue/archive.h"
#include "queue/redis_store.h"
#include "tools/live/home.h"
#include "tools/live/store_keeper.h"

namespace kev {

using ReadBlob = std::function<Result<std::string>(const std::string& sha256)>;

// Every blob that a log names: sources, artefacts, what the attempts printed, samples.
Result<std::map<std::string, BlobRef>> BlobsNamedBy(const std::vector<LogEntry>& log);
// Calls its argument with every entry of a log, in order, until it fails.
using EachEntry = std::function<Status(const std::function<Status(LogEntry)>&)>;
EachEntry EntriesOf(const std::vector<LogEntry>& log);  // which must outlive it
// kCorrupt when the log has a gap. Blobs that `read_blob` does not find are left out.
Status WriteArchive(const std::string& path, const std::string& run, const Value& about,
                    const EachEntry& each_entry, const ReadBlob& read_blob);

// What is needed to put a run away, apart from its core.
struct Closing {
  RunFolder folder;
  Value about;
  BlobRef best;           // source; empty: there is none
  std::string best_file;  // where it goes
  uint64_t last_seq = 0;  // of its log
};
Closing ClosingOf(const RunCore& core, const RunFolder& folder);
Status SaveBest(RedisStore& store, const Closing& closing);
// The part of the log that has left the store stays where it is until the store has put the run
// away.
Status ArchiveFrom(RedisStore& store, const Closing& closing);
// The store of an engine that had this one run: its own server ends and its files go; in an
// external one the run's keys go, blobs stay (others may name them).
Status PutStoreAway(StoreKeeper& store, const RunFolder& folder);

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_RUN_ARCHIVE_H_
