// How far the log of a run was confirmed, as the run's folder remembers it: so that a store which
// lost what it had confirmed is found out by the next engine too, which knows of nothing else. Lags
// behind by a second; a power failure may take it.
//
// Threads: one. Errors: kConflict when a store that was to lose nothing has lost something.
#ifndef KEV_TOOLS_LIVE_CONFIRMED_MARK_H_
#define KEV_TOOLS_LIVE_CONFIRMED_MARK_H_

#include <cstdint>
#include <functional>
#include <string>

#include "engine/core/result.h"
#include "queue/redis_server.h"
#include "tools/live/home.h"

namespace kev {

// Best effort: without it a loss is not noticed, and nothing else is wrong.
void WriteConfirmedMark(const RunFolder& folder, uint64_t seq, Durability durability);

// `last_seq`: where the log ends now. What `normal` and `fast` may lose is only noted.
Status CheckConfirmedMark(const RunFolder& folder, uint64_t last_seq,
                          const std::function<void(const std::string&)>& note);

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_CONFIRMED_MARK_H_
