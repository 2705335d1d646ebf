// Moves the calling thread to one CPU and, when it goes, back to where it was.
//
// What a thread writes lies in the caches of the core that it runs on: the judge visits the
// measuring core to lay out values while nothing is timed there. Threads: of the thread that made
// it. Errors: a core that cannot be used leaves the thread where it is.
#ifndef KEV_RUNNERS_MEASUREMENT_CORE_VISIT_H_
#define KEV_RUNNERS_MEASUREMENT_CORE_VISIT_H_

#include <sched.h>

namespace kev {

class CoreVisit {
 public:
  explicit CoreVisit(int core);  // -1: stay
  ~CoreVisit();
  CoreVisit(const CoreVisit&) = delete;
  CoreVisit& operator=(const CoreVisit&) = delete;

 private:
  cpu_set_t home_;
  bool away_ = false;
};

// Keeps the calling thread off one CPU while it lives, if there is another for it.
class CoreAvoidance {
 public:
  explicit CoreAvoidance(int core);  // -1: none
  ~CoreAvoidance();
  CoreAvoidance(const CoreAvoidance&) = delete;
  CoreAvoidance& operator=(const CoreAvoidance&) = delete;

 private:
  cpu_set_t home_;
  bool away_ = false;
};

}  // namespace kev

#endif  // KEV_RUNNERS_MEASUREMENT_CORE_VISIT_H_
