// LogFile: the part of a run's event log that has left Redis, in a file of the archive's format
// (queue/ARCHIVE.md) without a footer. Entries are appended as they are confirmed; after Sync they
// may be trimmed from the store.
//
// Opening one that was cut off keeps the whole records and drops the rest. Threads: none of its
// own; one object, one thread. Errors: kCorrupt, kDiskFull, kPermission with path and byte.
#ifndef KEV_QUEUE_LOG_FILE_H_
#define KEV_QUEUE_LOG_FILE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "queue/archive.h"

namespace kev {

class LogFile {
 public:
  virtual ~LogFile() = default;
  // For writing: made with `header` when it does not exist.
  static Result<std::unique_ptr<LogFile>> Open(const std::string& path, const Value& header);
  // For reading only: nothing is changed, a cut tail is left out. kNotFound when there is none.
  static Result<std::unique_ptr<LogFile>> Read(const std::string& path);

  // REQUIRES: entry.last_seq > last_seq().
  virtual Status Append(const LogEntry& entry) = 0;
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
