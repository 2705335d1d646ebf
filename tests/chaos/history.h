// What is compared: the records that workers wrote by themselves, and the event log of an archive,
// decoded entry by entry without a fold. Threads: plain values. Errors: what cannot be read, and
// where.
#ifndef KEV_TESTS_CHAOS_HISTORY_H_
#define KEV_TESTS_CHAOS_HISTORY_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "engine/core/result.h"

namespace kev::chaos {

// "c12/3/0": subject, step, index. With an attempt: "c12/3/0#2".
struct AttemptName {
  std::string job;
  uint32_t attempt = 0;
  std::string Text() const { return job + "#" + std::to_string(attempt); }
  auto operator<=>(const AttemptName&) const = default;
};

struct WorkerRecord {
  struct Done {
    AttemptName attempt;
    std::string nonce;
  };
  std::string file;
  std::vector<Done> done;
  std::vector<AttemptName> acked;  // the engine said: committed
  std::vector<AttemptName> stale;
};

struct LogLine {
  enum class Kind {
    kResult,
    kLost,
    kTimedOut,
    kOpenLost,  // after a restart: every attempt that was open, but those in `kept`
  } kind = Kind::kResult;
  uint64_t seq = 0;
  AttemptName attempt{};
  std::set<AttemptName> kept{};
  // Of results:
  std::string nonce{};     // "" when its message has none
  bool failed = false;     // something other than the kernel: the job is tried again
  bool cancelled = false;  // before it began: no worker did it
  uint32_t proposals = 0;
};

struct RunLog {
  std::vector<LogLine> lines;
  uint64_t entries = 0;
  uint64_t events = 0;
  bool cut_tail = false;  // of the archive file
};

// The lines about `run`. A line that is cut short or unknown is an error: a record is written in
// whole lines.
Result<WorkerRecord> ReadRecord(const std::string& path, const std::string& run);
Result<RunLog> ReadLog(const std::string& archive);

}  // namespace kev::chaos

#endif  // KEV_TESTS_CHAOS_HISTORY_H_
