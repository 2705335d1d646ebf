#include "stages/sdk/history_cache.h"

#include <utility>

namespace kev {

Result<std::shared_ptr<HistoryCache::Locked>> HistoryCache::At(const std::string& run,
                                                               uint64_t seq) {
  Fold* fold;
  {
    std::lock_guard lock(mutex_);
    auto& slot = folds_[run];
    if (!slot) slot = std::make_unique<Fold>();
    fold = slot.get();
  }
  auto locked = std::make_shared<Locked>();
  locked->lock_ = std::unique_lock(fold->mutex);
  // A job that was offered again may want less than the fold already has: a fold cannot go back, so
  // it begins anew.
  if (!fold->core || fold->core->last_seq() > seq) {
    fold->core = std::make_unique<RunCore>(
        run, RunCore::Options{.payloads = false, .keep_ended = keep_ended_});
  }
  RunCore& core = *fold->core;
  while (core.last_seq() < seq) {
    Result<std::vector<EventGroup>> groups = fetch_(run, core.last_seq() + 1, seq);
    if (!groups) return groups.error();
    const uint64_t before = core.last_seq();
    for (const EventGroup& group : *groups) {
      if (group.events.empty() || group.first_seq != core.last_seq() + 1 || group.last_seq() > seq)
        break;
      core.Apply(group);
    }
    if (core.last_seq() == before) {
      return Error{Code::kCorrupt, "the history of run " + run +
                                       " that the engine gave does not reach from event " +
                                       std::to_string(before + 1) + " to " + std::to_string(seq)};
    }
  }
  locked->core_ = fold->core.get();
  return locked;
}

}  // namespace kev
