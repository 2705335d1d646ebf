// A run's epoch: the number of the engine that drives it, above all before it. The store and the
// run's folder both keep it, so that a store that was emptied, or another one, is found out.
//
// Threads: one. Errors: kConflict when the folder knows of data that the store does not have.
#ifndef KEV_TOOLS_LIVE_RUN_EPOCH_H_
#define KEV_TOOLS_LIVE_RUN_EPOCH_H_

#include <cstdint>

#include "engine/core/result.h"
#include "queue/redis_admin.h"
#include "queue/redis_store.h"
#include "tools/live/home.h"

namespace kev {

Result<uint64_t> KnownEpoch(const RunFolder& folder);  // 0: no engine has driven the run

// Refuses a store that has nothing of a run that was driven before.
Status CheckEpoch(RedisAdmin& admin, const RunFolder& folder, const std::string& address);

// Checks, takes the next epoch in the store, and writes it into the folder. Both are durable
// before anything of the run is given out.
Result<uint64_t> TakeRunEpoch(RedisStore& store, RedisAdmin& admin, const RunFolder& folder,
                              const std::string& address);

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_RUN_EPOCH_H_
