// RunCloser: writes the archive of a run that has ended and saves its best kernel, in a thread and
// over a connection of its own, so that the engine's other runs go on meanwhile.
//
// Threads: made, asked and destroyed by one; destroying waits for the end. Errors: status().
#ifndef KEV_TOOLS_LIVE_RUN_CLOSER_H_
#define KEV_TOOLS_LIVE_RUN_CLOSER_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "tools/live/run_archive.h"

namespace kev {

class RunCloser {
 public:
  RunCloser(Closing closing, std::string store_address);
  ~RunCloser();
  RunCloser(const RunCloser&) = delete;
  RunCloser& operator=(const RunCloser&) = delete;
  bool Done() const { return done_.load(std::memory_order_acquire); }
  const Status& status() const { return status_; }  // REQUIRES: Done()
  int64_t retry_at_ms = 0;                          // for the caller

 private:
  void Work();
  Closing closing_;
  std::string address_;
  Status status_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_RUN_CLOSER_H_
