// Expected outputs: the reference run in a process of its own, once per reference, shape and input,
// then kept.
//
// Threads: any; files in the cache folder are written by rename. Errors: `broken` says that the
// task's reference failed, an Error that the judge did.
#ifndef KEV_STAGES_VERIFY_EXPECTED_H_
#define KEV_STAGES_VERIFY_EXPECTED_H_

#include <string>
#include <vector>

#include "engine/core/result.h"
#include "runners/harness/region.h"
#include "runners/harness/runner_process.h"

namespace kev {

struct Expected {
  std::vector<std::string> outputs;  // by argument; empty for what is no output
  double call_ns = 0;                // time of the reference's call
  std::string broken;                // what is wrong with the reference; "" when nothing is
};

// Runs `reference` on call 0 of `image`, or reads what it gave from `cache_folder`. `sha256` names
// the library's content.
Result<Expected> ExpectedOutputs(const RunnerOptions& reference, const std::string& sha256,
                                 const RegionImage& image, RunnerProcess::Clock::duration deadline,
                                 const std::string& cache_folder);

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_EXPECTED_H_
