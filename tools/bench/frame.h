// The frame benchmark: how many candidates per second pass all five steps when the stages do
// nothing.
#ifndef KEV_TOOLS_BENCH_FRAME_H_
#define KEV_TOOLS_BENCH_FRAME_H_

#include <cstdint>
#include <string>

namespace kev {

struct FrameOptions {
  uint64_t candidates = 60000;
  uint32_t in_flight = 4096;
  std::string durability = "normal";
  bool json = false;
};
// Real redis-server, real ZeroMQ, five null stage processes. Returns an exit code.
int FrameBenchmark(const FrameOptions& options);

}  // namespace kev

#endif  // KEV_TOOLS_BENCH_FRAME_H_
