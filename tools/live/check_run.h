// Checks of a stored run (kevolve fsck): that its log folds, that every decision is the recorded
// one, that its projections are what the fold gives, and that the blobs it names are there.
//
// Threads: functions on values. Errors: only those that keep a check from being made; what is
// wrong with the run is in the findings.
#ifndef KEV_TOOLS_LIVE_CHECK_RUN_H_
#define KEV_TOOLS_LIVE_CHECK_RUN_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "queue/redis_admin.h"
#include "tools/live/stored_run.h"

namespace kev {

struct Finding {
  std::string part;  // log, digest, projection, blob, file
  std::string what;  // the difference, with its place
};

// Folds the log again. `core` is as far as it could be folded. `over` gets the keys of records that
// did not change any more after an event, by that event.
std::optional<Finding> CheckLog(const StoredRun& run, RunCore* core,
                                std::map<std::string, uint64_t>* over = nullptr);
// In the order of keys and fields; the first one differs first. Records of `gone` may be missing
// (compaction has taken them), and are not written anew.
Result<std::vector<Finding>> CheckProjections(RedisAdmin& admin, const RunCore& core,
                                              const std::set<std::string>& gone);
Status RepairProjections(RedisAdmin& admin, const RunCore& core, const std::set<std::string>& gone);
// Blobs that the log names and that are not there, or damaged (then with the place).
Result<std::vector<std::string>> MissingBlobs(StoredRun& run);

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_CHECK_RUN_H_
