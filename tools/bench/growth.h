// kevolve-bench growth: what a candidate costs as their number grows, in time and memory, and how
// long a restart takes at the end.
#ifndef KEV_TOOLS_BENCH_GROWTH_H_
#define KEV_TOOLS_BENCH_GROWTH_H_

#include <cstdint>
#include <string>

namespace kev {

struct GrowthOptions {
  std::string durability = "normal";
  uint64_t candidates = 1000000;
  bool json = false;
};
int GrowthBenchmark(const GrowthOptions& options);

}  // namespace kev

#endif  // KEV_TOOLS_BENCH_GROWTH_H_
