#include "runners/measurement/core_visit.h"

#include <utility>

namespace kev {

CoreThread::CoreThread(int core) : thread_([this, core] { Serve(core); }) {}

CoreThread::~CoreThread() {
  Wait();
  stop_ = true;
  ++posted_;
  posted_.notify_one();
  thread_.join();
}

void CoreThread::Post(std::function<void()> work) {
  Wait();
  work_ = std::move(work);
  ++posted_;
  posted_.notify_one();
}

void CoreThread::Wait() {
  for (uint32_t done = done_; done != posted_; done = done_) done_.wait(done);
}

void CoreThread::Serve(int core) {
  if (core >= 0) {
    cpu_set_t there;
    CPU_ZERO(&there);
    CPU_SET(static_cast<size_t>(core), &there);
    sched_setaffinity(0, sizeof(there), &there);
  }
  for (uint32_t seen = 0;; ++seen) {
    while (posted_ == seen) posted_.wait(seen);
    if (stop_) return;
    work_();
    ++done_;
    done_.notify_one();
  }
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
