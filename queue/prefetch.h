// Prefetch: how many attempts a worker takes beyond its slots, from its own mean job time and the
// time until a finished one is replaced. None for jobs of 100 ms and more: what waits here could
// run elsewhere.
//
// Measured: no-op jobs go 20 times faster with 64 ahead than with none. Threads: plain value.
#ifndef KEV_QUEUE_PREFETCH_H_
#define KEV_QUEUE_PREFETCH_H_

#include <cstdint>
#include <optional>

namespace kev {

class Prefetch {
 public:
  explicit Prefetch(std::optional<uint32_t> fixed) : fixed_(fixed) {}
  void JobTook(double us);
  // From RESULT to its ACK: a commit lies in between, as it does before a new job that follows from
  // it; or of PING.
  void RoundTripTook(double us);
  uint32_t Count(uint32_t slots) const;

 private:
  std::optional<uint32_t> fixed_;
  double job_us_ = -1;         // moving mean; < 0: none yet
  double round_trip_us_ = -1;  // rises at once, falls slowly
};

}  // namespace kev

#endif  // KEV_QUEUE_PREFETCH_H_
