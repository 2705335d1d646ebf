// A thread on the measuring core, and keeping off it.
//
// What a thread writes lies in the caches of the core that it runs on, and a process that is let go
// on by its own core starts within a microsecond or two: the judge has a thread there that lays out
// values and gives orders while nothing is timed, and that sleeps otherwise. Threads: of the thread
// that made it. Errors: a core that cannot be used leaves the thread where it is.
#ifndef KEV_RUNNERS_MEASUREMENT_CORE_VISIT_H_
#define KEV_RUNNERS_MEASUREMENT_CORE_VISIT_H_

#include <sched.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>

namespace kev {

// Runs what it is given on one CPU, one after the other.
class CoreThread {
 public:
  explicit CoreThread(int core);  // -1: anywhere
  ~CoreThread();
  CoreThread(const CoreThread&) = delete;
  CoreThread& operator=(const CoreThread&) = delete;

  // Hands over work, once the last one is done, and returns.
  void Post(std::function<void()> work);
  // Until all is done that was handed over.
  void Wait();
  void Run(std::function<void()> work) {
    Post(std::move(work));
    Wait();
  }

 private:
  void Serve(int core);

  std::function<void()> work_;
  std::atomic<uint32_t> posted_{0}, done_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
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
