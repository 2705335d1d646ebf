// What a power cut leaves at the end of Redis' append-only file: the beginning of a command that
// was never acknowledged. Threads: one. Errors: there is no such file, or it cannot be written.
#ifndef KEV_TESTS_CHAOS_TORN_TAIL_H_
#define KEV_TESTS_CHAOS_TORN_TAIL_H_

#include <cstdint>
#include <string>

#include "engine/core/result.h"

namespace kev::chaos {

// Appends a commit of `run`, cut at a byte that `pick` chooses, to the newest incremental file in
// `redis_folder`. REQUIRES: no server works there.
Status TearTail(const std::string& redis_folder, const std::string& run, uint64_t pick);

}  // namespace kev::chaos

#endif  // KEV_TESTS_CHAOS_TORN_TAIL_H_
