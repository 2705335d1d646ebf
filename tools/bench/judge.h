// kevolve-bench judge: what the judge itself costs per kernel, in this process, by the code that
// `kevolve judge` runs.
//
// The task's own baseline is judged again and again, each time with another constant in it, so that
// no cache has the answer. What the task itself needs once (reference, ranking) is not counted.
// Threads: the caller's. Errors: an exit code, with a message on stderr.
#ifndef KEV_TOOLS_BENCH_JUDGE_H_
#define KEV_TOOLS_BENCH_JUDGE_H_

#include <cstdint>
#include <string>

namespace kev {

struct JudgeBenchOptions {
  std::string task = "softmax";
  std::string target = "cpu";
  uint32_t kernels = 10;
  uint32_t launches = 0;  // of the final measurement; 0: as many as a claim needs
  bool json = false;
};
int JudgeBenchmark(const JudgeBenchOptions& options);

}  // namespace kev

#endif  // KEV_TOOLS_BENCH_JUDGE_H_
