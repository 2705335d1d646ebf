// The command line of a stage process. Threads: plain values. Errors: kInvalid with what is wrong
// and the usage.
#ifndef KEV_STAGES_SDK_ARGUMENTS_H_
#define KEV_STAGES_SDK_ARGUMENTS_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/result.h"

namespace kev {

// Jobs that a worker may take beyond its slots, at most.
constexpr uint32_t kMostPrefetch = 256;

struct StageArguments {
  std::string connect;  // empty: the access file says where to
  std::string access;   // file with keys, for tcp
  uint32_t slots = 1;
  std::vector<int> cores;  // empty: as started
  std::string home;        // --home, else $KEVOLVE_HOME, else ~/.local/state/kevolve
  std::chrono::milliseconds engine_lost_grace{30000};
  std::optional<uint32_t> prefetch;           // jobs taken beyond the slots; empty: by their time
  std::map<std::string, std::string> labels;  // --label gpu.model=H100
  std::map<std::string, uint32_t> resources;  // --resource device=2
  std::chrono::milliseconds expires_in{0};    // 0: it stays
  bool help = false;
};

Result<StageArguments> ParseStageArguments(const std::vector<std::string>& words);
// "0,2-3" -> 0 2 3
Result<std::vector<int>> ParseCores(const std::string& text);
std::string StageUsage(const std::string& program);

}  // namespace kev

#endif  // KEV_STAGES_SDK_ARGUMENTS_H_
