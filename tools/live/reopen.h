// Puts a run from its archive back into a store of its own, so that it can go on: with more budget,
// or because the archive was made before its end.
//
// Threads: the main one. Errors: nothing is lost; until the last step the archive is the run.
#ifndef KEV_TOOLS_LIVE_REOPEN_H_
#define KEV_TOOLS_LIVE_REOPEN_H_

#include "tools/live/stored_run.h"

namespace kev {

// `run` was opened from folder's archive.
Status Reopen(StoredRun& run, const RunFolder& folder);

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_REOPEN_H_
