// FakeClock: time that stands still until a test moves it.
//
// Threads: one at a time. Errors: none.
#ifndef KEV_ENGINE_HOST_FAKE_FAKE_CLOCK_H_
#define KEV_ENGINE_HOST_FAKE_FAKE_CLOCK_H_

#include <cstdint>

#include "engine/host/clock.h"

namespace kev {

class FakeClock : public Clock {
 public:
  explicit FakeClock(int64_t now_ms = 0) : now_ms_(now_ms) {}
  int64_t NowMs() override { return now_ms_; }
  void Advance(int64_t ms) { now_ms_ += ms; }

 private:
  int64_t now_ms_;
};

}  // namespace kev

#endif  // KEV_ENGINE_HOST_FAKE_FAKE_CLOCK_H_
