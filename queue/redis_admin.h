// RedisAdmin: what tools do to a store beside committing to it: whose it is, which runs it has,
// projections as they stand, putting a run in and taking it out. One connection, blocking calls.
//
// Threads: one. Errors: kUnavailable when the server is away or loading, kCorrupt for what does not
// have the form it must have. No fake: tests start a server of their own.
#ifndef KEV_QUEUE_REDIS_ADMIN_H_
#define KEV_QUEUE_REDIS_ADMIN_H_

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/host/store.h"
#include "queue/archive.h"
#include "queue/redis_connection.h"

namespace kev {

class RedisAdmin {
 public:
  static Result<std::unique_ptr<RedisAdmin>> Connect(
      const std::string& address, std::chrono::milliseconds limit = std::chrono::seconds(10));

  // The random name of this data set; "" when it has none.
  Result<std::string> Identity();
  // Gives it a name, unless it has one; durable when this returns.
  Result<std::string> MakeIdentity();
  Result<uint64_t> Keys();  // how many there are
  Result<std::vector<std::string>> Runs();
  Result<uint64_t> Epoch(const std::string& run);  // 0: no engine has driven it here
  // A setting of the server; "" when it may not be asked.
  std::string Setting(const std::string& name);

  using Fields = std::map<std::string, std::string>;
  // The projections of the run as they stand, by key after the run's prefix ("cand:12").
  Result<std::map<std::string, Fields>> Projections(const std::string& run);
  // One of them; without fields when it is not there.
  Result<Fields> ReadProjection(const std::string& run, const std::string& key);
  // Keys of records of candidates and requests, by run, as Projections has them. One pass over all
  // keys of the server.
  Result<std::map<std::string, std::vector<std::string>>> RecordKeys();
  Status PutProjection(const std::string& run, const Projection& projection);
  Status DropProjection(const std::string& run, const std::string& key);

  // REQUIRES: the run is not there yet.
  Status PutLog(const std::string& run, const std::vector<LogEntry>& log);
  Status DropRun(const std::string& run);  // its keys; blobs stay
  Status DropBlobs();                      // all of them
  Status Sync();                           // what was written so far is on the disk

 private:
  explicit RedisAdmin(RedisConnection connection) : connection_(std::move(connection)) {}
  Result<std::vector<std::string>> Scan(const std::string& pattern);
  Status Unlink(const std::vector<std::string>& keys);
  RedisConnection connection_;
};

}  // namespace kev

#endif  // KEV_QUEUE_REDIS_ADMIN_H_
