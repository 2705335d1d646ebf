// Storm: brings the faults of a round over a site, undoes those that have an end, and waits until
// the run goes on. Threads: one. Errors: the site's, and that nothing goes on after a round.
#ifndef KEV_TESTS_CHAOS_STORM_H_
#define KEV_TESTS_CHAOS_STORM_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tests/chaos/schedule.h"
#include "tests/chaos/site.h"
#include "tests/chaos/small_disk.h"

namespace kev::chaos {

struct Counts {
  uint64_t rounds = 0;
  uint64_t engine_kills = 0;
  uint64_t redis_kills = 0;
  uint64_t worker_kills = 0;
  uint64_t stops = 0;
  uint64_t torn_tails = 0;
  uint64_t full_disks = 0;
  uint64_t terminations = 0;
  int64_t longest_recovery_ms = 0;  // from a round's last fault's end to the next result
};

class Storm {
 public:
  // `disk`: where the site lives, if it may be filled; nullptr: it may not.
  Storm(Site* site, SmallDisk* disk, Counts* counts) : site_(site), disk_(disk), counts_(counts) {}
  // Returns when the run goes on, or is complete.
  Status Round(const std::vector<Fault>& faults);
  // No more faults: waits for the run's end.
  Status WaitForEnd();

 private:
  struct Pending {  // the end of a fault
    int64_t at_ms = 0;
    FaultKind kind = FaultKind::kStopEngine;
    pid_t pid = 0;
  };
  Status Strike(const Fault& fault);
  void Undo(const Pending& pending);
  Status Look();  // supervises, and undoes what is due
  Status WaitForProgress(int64_t since_ms, uint64_t acknowledged);

  Site* site_;
  SmallDisk* disk_;
  Counts* counts_;
  std::vector<Pending> pending_;
};

}  // namespace kev::chaos

#endif  // KEV_TESTS_CHAOS_STORM_H_
