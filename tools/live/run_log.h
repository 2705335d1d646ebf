// RunLog: the whole log of a run while an engine has it: the newest part in the store, what has
// been trimmed there in a file (queue/log_file.h). It follows what a HostedRun commits.
//
// Threads: the host's. Errors: kCorrupt when log and digests do not agree, or a part is missing;
// failed() says why nothing is trimmed any more (the store keeps everything then).
#ifndef KEV_TOOLS_LIVE_RUN_LOG_H_
#define KEV_TOOLS_LIVE_RUN_LOG_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/run_core.h"
#include "engine/host/hosted_run.h"
#include "queue/blob_file.h"
#include "queue/log_file.h"
#include "queue/redis_store.h"

namespace kev {

// Every entry of a run's log from the beginning: what the file at `path` has (there may be none),
// then what only the store has.
Status ForEachEntry(const std::string& run, const std::string& path, RedisStore& store,
                    const std::function<Status(LogEntry)>& each);

class RunLog {
 public:
  // `path`: of the file.
  RunLog(std::string run, std::string path);

  // The core as the log leaves it: from the newest snapshot and what came after it, or from the
  // beginning. Every group's digest is compared. An empty log gives a new core.
  // A core that keeps what has ended is folded from the beginning. `store`: for calls that wait.
  Result<std::unique_ptr<RunCore>> Load(RedisStore& store, RunCore::Options options);
  // From now on what `run` commits goes to the file as well, its blobs to `blobs` (null: they stay
  // in the store), and leaves the store with the next snapshot: `trim` is told up to which event,
  // and which blobs, the files have.
  using Trim = std::function<void(uint64_t seq, const std::vector<std::string>& blobs)>;
  // `read_blob` waits for the store: what an engine before this one left there is moved bit by bit.
  using ReadBlob = std::function<Result<std::string>(const std::string& sha256)>;
  Status Follow(RedisStore& store, HostedRun* run, BlobFile* blobs, ReadBlob read_blob, Trim trim);

  // Event groups of the part that the store no longer has; nullopt when it has all of from..to.
  std::optional<std::vector<std::string>> Trimmed(uint64_t from, uint64_t to);
  const std::optional<Error>& failed() const { return failed_; }
  // Of the snapshot that Load began with; 0: there was none.
  uint64_t snapshot_seq() const { return snapshot_seq_; }
  // Why Load did not begin with the snapshot that is there; "" when it did, or there was none.
  const std::string& refused_snapshot() const { return refused_; }
  // Last event that only the file has; 0: the store has everything.
  uint64_t trimmed_to() const { return trimmed_to_; }

 private:
  void Committed(const Commit& commit);
  void MoveLeft(size_t most);

  std::string run_;
  std::string path_;
  std::unique_ptr<LogFile> file_;
  BlobFile* blobs_ = nullptr;
  ReadBlob read_blob_;
  std::vector<std::string> moved_;  // blobs that are in the file since the last snapshot
  std::vector<std::string> left_;   // that the log named when it was loaded, not moved yet
  Trim trim_;
  uint64_t snapshot_seq_ = 0;
  std::string refused_;
  uint64_t trimmed_to_ = 0;
  std::optional<Error> failed_;
};

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_RUN_LOG_H_
