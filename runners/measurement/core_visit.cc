#include "runners/measurement/core_visit.h"

namespace kev {

CoreVisit::CoreVisit(int core) {
  CPU_ZERO(&home_);
  if (core < 0 || sched_getaffinity(0, sizeof(home_), &home_) != 0) return;
  cpu_set_t there;
  CPU_ZERO(&there);
  CPU_SET(static_cast<size_t>(core), &there);
  away_ = sched_setaffinity(0, sizeof(there), &there) == 0;
}

CoreVisit::~CoreVisit() {
  if (away_) sched_setaffinity(0, sizeof(home_), &home_);
}

CoreAvoidance::CoreAvoidance(int core) {
  CPU_ZERO(&home_);
  if (core < 0 || sched_getaffinity(0, sizeof(home_), &home_) != 0) return;
  cpu_set_t others = home_;
  CPU_CLR(static_cast<size_t>(core), &others);
  away_ = CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof(others), &others) == 0;
}

CoreAvoidance::~CoreAvoidance() {
  if (away_) sched_setaffinity(0, sizeof(home_), &home_);
}

}  // namespace kev
