// Removing runs: the folder, and what a service's store has of it. Used by rm and gc.
//
// Threads: functions on values. Errors: kExists when an engine drives the run; what could not be
// removed, with its path.
#ifndef KEV_TOOLS_LIVE_RUN_REMOVAL_H_
#define KEV_TOOLS_LIVE_RUN_REMOVAL_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/core/result.h"
#include "tools/live/home.h"

namespace kev {

Result<uint64_t> RemoveRun(const RunFolder& folder);  // gives the bytes that it took up

// Something that may go to make room: a run that has ended, or a cached file.
struct Removable {
  std::string run;   // id; empty: a cached file
  std::string path;  // folder or file
  uint64_t bytes = 0;
  std::filesystem::file_time_type when;  // ended, or last written
};
std::vector<Removable> EndedRuns();    // oldest first; those that nobody drives
std::vector<Removable> CachedFiles();  // oldest first

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_RUN_REMOVAL_H_
