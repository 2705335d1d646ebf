// LogFile: the part of a run's event log that has left Redis, in a file of the archive's format
// (queue/ARCHIVE.md) without a footer. Entries are appended as they are confirmed; after Sync they
// may be trimmed from the store.
//
// What the store still has is the store's to say, as the file may be ahead of a store that lost its
// newest part: who goes on writing tells how far the file is kept. Nothing that only the file has
// is ever cut off. Threads: none of its own; one object, one thread. Errors: kCorrupt, kDiskFull,
// kPermission with path and byte.
#ifndef KEV_QUEUE_LOG_FILE_H_
#define KEV_QUEUE_LOG_FILE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "queue/archive.h"

namespace kev {

class LogFile {
 public:
  virtual ~LogFile() = default;
  // For writing: made with `header` when it does not exist. Keeps what it has up to event
  // `keep_to`, which must be all of it; kCorrupt, and nothing is changed, when it ends before.
  // Without `keep_to` all whole records are kept, and a torn tail is cut off.
  static Result<std::unique_ptr<LogFile>> Open(const std::string& path, const Value& header,
                                               std::optional<uint64_t> keep_to = std::nullopt);
  // For reading only: nothing is changed, a cut tail is left out. Damage is no error when what
  // comes before reaches event `need_to`; without it a file that is only being made is an empty
  // one. kNotFound when there is none.
  static Result<std::unique_ptr<LogFile>> Read(const std::string& path,
                                               uint64_t need_to = UINT64_MAX);

  // REQUIRES: entry.last_seq > last_seq().
  virtual Status Append(const LogEntry& entry) = 0;
  // What is appended next may be cut off without what came before.
  virtual Status EndRecord() = 0;
  // All that was appended is on the disk when it returns.
  virtual Status Sync() = 0;
  // Last event of the newest entry; 0: empty.
  virtual uint64_t last_seq() const = 0;
  // Calls `each` with the entries that hold events of from..to, in order, until it fails.
  virtual Status ForEach(uint64_t from, uint64_t to,
                         const std::function<Status(LogEntry)>& each) = 0;
};

}  // namespace kev

#endif  // KEV_QUEUE_LOG_FILE_H_
