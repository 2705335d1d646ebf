// Clock: monotonic time for the host. The core never sees it; it sees run time. Fake:
// engine/host/fake/fake_clock.h.
#ifndef KEV_ENGINE_HOST_CLOCK_H_
#define KEV_ENGINE_HOST_CLOCK_H_

#include <chrono>
#include <cstdint>

namespace kev {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t NowMs() = 0;  // monotonic; starts anywhere
};

class SteadyClock : public Clock {
 public:
  int64_t NowMs() override {
    using std::chrono::duration_cast;
    return duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
};

}  // namespace kev

#endif  // KEV_ENGINE_HOST_CLOCK_H_
