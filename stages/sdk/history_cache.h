// HistoryCache: one fold per run for the stateful stages, brought forward by the part of the log
// that is new.
//
// Threads: any; At gives the fold locked, so that jobs of the same run take turns. Errors: those of
// the fetch, and kCorrupt when the groups do not follow each other.
#ifndef KEV_STAGES_SDK_HISTORY_CACHE_H_
#define KEV_STAGES_SDK_HISTORY_CACHE_H_

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/core/event.h"
#include "engine/core/result.h"
#include "engine/core/run_core.h"

namespace kev {

class HistoryCache {
 public:
  // Groups of `run` that hold the events from..to.
  using Fetch = std::function<Result<std::vector<EventGroup>>(const std::string& run, uint64_t from,
                                                              uint64_t to)>;
  explicit HistoryCache(Fetch fetch, bool keep_ended = true)
      : fetch_(std::move(fetch)), keep_ended_(keep_ended) {}

  class Locked {  // the fold, and the right to read it
   public:
    const RunCore* core() const { return core_; }

   private:
    friend class HistoryCache;
    std::unique_lock<std::mutex> lock_;
    const RunCore* core_ = nullptr;
  };
  // The run folded up to exactly `seq`.
  Result<std::shared_ptr<Locked>> At(const std::string& run, uint64_t seq);

 private:
  struct Fold {
    std::mutex mutex;
    std::unique_ptr<RunCore> core;
  };
  Fetch fetch_;
  bool keep_ended_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Fold>> folds_;
};

}  // namespace kev

#endif  // KEV_STAGES_SDK_HISTORY_CACHE_H_
