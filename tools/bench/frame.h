// The frame benchmark: how many candidates per second pass all five steps when the stages do
// nothing.
#ifndef KEV_TOOLS_BENCH_FRAME_H_
#define KEV_TOOLS_BENCH_FRAME_H_

#include <cstdint>
#include <string>

#include "engine/core/plan.h"

namespace kev {

struct FrameOptions {
  uint64_t candidates = 60000;
  uint32_t in_flight = 4096;
  std::string durability = "normal";
  bool json = false;
};
// The loop with null stages.
Plan FramePlan(uint64_t candidates, uint32_t in_flight);
// Real redis-server, real ZeroMQ, five null stage processes. Returns an exit code.
int FrameBenchmark(const FrameOptions& options);

}  // namespace kev

#endif  // KEV_TOOLS_BENCH_FRAME_H_
