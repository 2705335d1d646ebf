// One record of the archive's byte layout (queue/ARCHIVE.md) to and from bytes. Errors say what,
// not where: the caller knows the file and the byte.
#ifndef KEV_QUEUE_ARCHIVE_RECORD_H_
#define KEV_QUEUE_ARCHIVE_RECORD_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/result.h"
#include "queue/archive.h"
#include "queue/archive_format.h"

namespace kev::archive {

// Header and compressed payload. `level`: zstd's.
Result<std::string> PackRecord(RecordType type, std::string_view raw, int level);
struct UnpackedRecord {
  RecordType type = RecordType::kHeader;
  std::string raw;
};
// REQUIRES: `head` has kRecordHeaderBytes bytes and `payload` as many as the head says.
Result<UnpackedRecord> UnpackRecord(std::string_view head, std::string_view payload);

// The raw payload of a log record.
std::string PackEntries(const std::vector<LogEntry>& entries);
Result<std::vector<LogEntry>> UnpackEntries(std::string_view raw);

}  // namespace kev::archive

#endif  // KEV_QUEUE_ARCHIVE_RECORD_H_
