// kevolve-bench steady: no-op jobs in a stream that does not end soon, with a bounded number open
// at a time, snapshots and a trimmed log: whether memory stays flat.
#ifndef KEV_TOOLS_BENCH_STEADY_H_
#define KEV_TOOLS_BENCH_STEADY_H_

#include <cstdint>
#include <string>

namespace kev {

struct SteadyOptions {
  std::string durability = "normal";
  uint64_t jobs = 1000000;
  uint32_t workers = 2;
  bool json = false;
};
int SteadyBenchmark(const SteadyOptions& options);

}  // namespace kev

#endif  // KEV_TOOLS_BENCH_STEADY_H_
