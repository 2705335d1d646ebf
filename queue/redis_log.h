// How a run lies in Redis: the names of its keys, and the entries of its log with their checksums.
#ifndef KEV_QUEUE_REDIS_LOG_H_
#define KEV_QUEUE_REDIS_LOG_H_

#include <string>
#include <string_view>

#include "engine/core/result.h"
#include "queue/archive.h"
#include "queue/redis_connection.h"

namespace kev {

// "kev:{RUN}:" and the rest, which may be empty.
std::string RunKey(const std::string& run, std::string_view rest);

// Checksum of a log entry, as it stands beside it in Redis: the digest is of the commands that the
// entry gave, and a figure that changes none of them would not be missed.
std::string LogSum(uint64_t last_seq, std::string_view body, std::string_view digest,
                   std::string_view what);

// One entry of the stream, taken out of the reply. Errors: kCorrupt: fields are missing, or it does
// not have the checksum that was written with it.
Result<LogEntry> LogEntryFrom(RedisReply& reply);

}  // namespace kev

#endif  // KEV_QUEUE_REDIS_LOG_H_
