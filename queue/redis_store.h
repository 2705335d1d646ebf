// RedisStore: the Store over Redis (hiredis, non-blocking, pipelined), and the reads that tools
// need.
//
// Keys: kev:{RUN}:log (stream, id = last seq of the group; fields body, digest, what, sum),
// kev:{RUN}:run and kev:{RUN}:cand:<n> (hashes of text), kev:{RUN}:epoch, kev:blob:<sha256>,
// kev:runs (set). One short Lua script commits. Threads: one. Errors: kUnavailable when the server
// is gone, kConflict when another epoch or sequence is there.
#ifndef KEV_QUEUE_REDIS_STORE_H_
#define KEV_QUEUE_REDIS_STORE_H_

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/host/store.h"
#include "queue/archive.h"

namespace kev {

class RedisStore : public Store {
 public:
  // `address`: "unix:/path/redis.sock" or "tcp://host:port".
  static Result<std::unique_ptr<RedisStore>> Connect(
      const std::string& address, std::chrono::milliseconds limit = std::chrono::seconds(10));

  // Blocking calls, for start, recovery and tools. REQUIRES: nothing submitted is outstanding.
  // The next epoch of the run, above the stored one and above `known`; durable.
  virtual Result<uint64_t> TakeEpoch(const std::string& run, uint64_t known = 0) = 0;
  virtual Result<std::vector<LogEntry>> WholeLog(const std::string& run) = 0;
  // Calls `each` with the entries from `from_seq` on, in order, until it fails.
  virtual Status ForEachEntry(const std::string& run, uint64_t from_seq,
                              const std::function<Status(LogEntry)>& each) = 0;
  // First event of the oldest entry; 0: there is none.
  virtual Result<uint64_t> FirstSeq(const std::string& run) = 0;
  struct StoredSnapshot {
    uint64_t seq = 0;                           // 0: there is none
    std::map<std::string, std::string> fields;  // for RunCore::FromSnapshot
  };
  virtual Result<StoredSnapshot> Snapshot(const std::string& run) = 0;
  virtual Result<std::string> Blob(const std::string& sha256) = 0;
  virtual Status PutBlob(const BlobRef& ref, const std::string& bytes) = 0;
  virtual Status Ping() = 0;
  virtual bool lost() const = 0;  // the connection is gone, for good: connect anew
};

}  // namespace kev

#endif  // KEV_QUEUE_REDIS_STORE_H_
