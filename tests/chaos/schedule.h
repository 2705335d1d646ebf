// Schedule: which faults a round of chaos brings, drawn from the seed: the same seed and round give
// the same faults. When they strike the processes is up to the machine.
//
// Threads: plain values. Errors: none.
#ifndef KEV_TESTS_CHAOS_SCHEDULE_H_
#define KEV_TESTS_CHAOS_SCHEDULE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace kev::chaos {

enum class FaultKind {
  kKillEngine,
  kKillRedis,
  kKillWorker,
  kStopEngine,  // SIGSTOP, and SIGCONT after for_ms
  kStopRedis,
  kStopWorker,
  kTornTail,  // engine and Redis killed at once, half a command at the end of the append-only file
  kFullDisk,  // for for_ms
  kTerminateEngine,
  kTerminateWorker,
};
const char* Name(FaultKind kind);

struct Fault {
  FaultKind kind = FaultKind::kKillEngine;
  int64_t at_ms = 0;   // from the beginning of the round
  int64_t for_ms = 0;  // stops and full disks
  uint64_t pick = 0;   // which worker, where the tail is cut, how much of the disk is left
};
std::string Text(const Fault& fault);

struct Possible {
  bool small_disk = false;  // the run lies on a disk that may be filled
  bool kill_together =
      true;  // engine and Redis at once: only where all that is acknowledged is synced
};

// The faults of round `round`, in the order of their times; at least one.
std::vector<Fault> FaultsOf(uint64_t seed, uint64_t round, const Possible& possible);

}  // namespace kev::chaos

#endif  // KEV_TESTS_CHAOS_SCHEDULE_H_
