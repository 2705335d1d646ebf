// kevolve-bench engine: no-op jobs per second through the durable queue, and the latency of one.
#ifndef KEV_TOOLS_BENCH_ENGINE_H_
#define KEV_TOOLS_BENCH_ENGINE_H_

#include <cstdint>
#include <string>

namespace kev {

struct EngineBenchOptions {
  std::string durability = "strict";
  uint32_t workers = 2;
  uint64_t jobs = 200000;
  uint32_t credit = 0;          // sent ahead to a worker; 0: the best of a sweep
  uint32_t latency_jobs = 500;  // one at a time
  bool json = false;
};
int EngineBenchmark(const EngineBenchOptions& options);

struct RestartBenchOptions {
  std::string durability = "normal";
  uint64_t jobs = 100000;  // outstanding when the engine dies
  bool json = false;
};
int RestartBenchmark(const RestartBenchOptions& options);

// How long until a worker that was killed, or stopped, is noticed.
int DeathBenchmark(bool json);

}  // namespace kev

#endif  // KEV_TOOLS_BENCH_ENGINE_H_
