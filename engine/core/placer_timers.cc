// What happens by time alone: limits that are passed, work that is better asked back, and when to
// look again.
#include <algorithm>

#include "engine/core/placer_state.h"

namespace kev {
namespace {

// Every list of deadlines is in order of its times, since a class has one limit of each kind.
struct Deadlines {
  int64_t queued = kNever;
  int64_t running = kNever;
  int64_t progress = kNever;
};

Deadlines FirstOf(const PlacerState& s, const ClassRecord& c) {
  Deadlines first;
  if (!c.queued.empty() && !s.runs[c.run].held)
    first.queued = s.table[c.queued.front()].since_ms + c.spec.queued_limit_ms;
  if (!c.taken.empty() && c.spec.running_limit_ms != 0)
    first.running = s.table[c.taken.front()].begun_ms + c.spec.running_limit_ms;
  if (!c.progress.empty())
    first.progress = s.table[c.progress.front()].heard_ms + c.spec.progress_limit_ms;
  return first;
}

// Free slots of idle workers, and who of those with too much could use them.
class Balance {
 public:
  Balance(PlacerState& state, std::vector<Placer::Placement>* retractions)
      : s(state), retractions_(retractions) {
    s.idle.ForEach([&](uint32_t place) {
      const WorkerRecord& worker = s.workers[place];
      if (worker.kept_for == kNoIndex && s.hosts[worker.host].hushed_for == kNoIndex &&
          !s.HostQuiet(worker.host)) {
        free_.emplace_back(place, std::min<uint64_t>(worker.slots - worker.out(), worker.Credit()));
      }
    });
  }

  // Gives when something that was sent too lately to tell will have waited long enough.
  int64_t Run() {
    if (free_.empty()) return kNever;
    s.ahead.ForEach([&](uint32_t place) {
      WorkerRecord& worker = s.workers[place];
      size_t surplus = worker.out() - worker.slots;
      for (WorkerList* list : {&worker.heavy, &worker.light, &worker.special}) {
        for (uint32_t at = list->back(); at != kNoIndex && surplus > 0;
             at = WorkerList::Prev(s.table, at)) {
          AttemptRecord& record = s.table[at];
          if (record.state != AttemptState::kSent) continue;
          --surplus;
          if (record.retracting || !Useful(record)) continue;
          const int64_t ripe = record.begun_ms + Placer::kRetractAfterMs;
          if (ripe > s.now_ms) {
            wake_ = std::min(wake_, ripe);
            continue;
          }
          --*place_;
          record.retracting = true;
          retractions_->push_back({worker.id, record.id});
        }
      }
    });
    return wake_;
  }

 private:
  // Whether an idle worker can do it now; remembers which.
  bool Useful(const AttemptRecord& record) {
    const ClassRecord& c = s.classes[record.job_class];
    const ShapeRecord& shape = s.shapes[c.shape];
    if (record.solitary || c.spec.quiet_host || s.runs[c.run].held) return false;
    for (auto& [place, free] : free_) {
      if (free == 0 || place == record.worker || !shape.fits.Has(place)) continue;
      const WorkerRecord& worker = s.workers[place];
      if (worker.ExpiresWithin(s.now_ms, c.spec.expected_ms)) continue;
      if (!s.ResourcesFree(worker, shape)) continue;
      place_ = &free;
      return true;
    }
    return false;
  }

  PlacerState& s;
  std::vector<Placer::Placement>* retractions_;
  std::vector<std::pair<uint32_t, uint64_t>> free_;  // place, slots
  uint64_t* place_ = nullptr;
  int64_t wake_ = kNever;
};

}  // namespace

std::vector<Placer::Expired> Placer::TakeExpired(int64_t now_ms) {
  PlacerState& s = *state_;
  s.Advance(now_ms);
  std::vector<Expired> expired;
  for (const uint32_t number : s.timed_classes) {
    ClassRecord& c = s.classes[number];
    for (;;) {
      const Deadlines first = FirstOf(s, c);
      if (first.queued <= s.now_ms) {
        const uint32_t index = c.queued.front();
        s.StopTimer(index);
        expired.push_back({s.table[index].id, Limit::kQueued});
      } else if (first.running <= s.now_ms) {
        const uint32_t index = c.taken.front();
        s.End(index);
        expired.push_back({s.table[index].id, Limit::kRunning});
      } else if (first.progress <= s.now_ms) {
        const uint32_t index = c.progress.front();
        s.End(index);
        expired.push_back({s.table[index].id, Limit::kNoProgress});
      } else {
        break;
      }
    }
  }
  return expired;
}

std::vector<Placer::Placement> Placer::TakeRetractions(int64_t now_ms) {
  PlacerState& s = *state_;
  s.Advance(now_ms);
  std::vector<Placement> retractions;
  if (s.drain_due) {
    s.drain_due = false;
    for (const auto& [id, place] : s.places) {
      WorkerRecord& worker = s.workers[place];
      if (!worker.draining) continue;
      for (WorkerList* list : {&worker.heavy, &worker.light, &worker.special}) {
        for (uint32_t at = list->front(); at != kNoIndex; at = WorkerList::Next(s.table, at)) {
          AttemptRecord& record = s.table[at];
          if (record.state != AttemptState::kSent || record.retracting) continue;
          record.retracting = true;
          retractions.push_back({id, record.id});
        }
      }
    }
  }
  if (!s.balance_due && s.now_ms < s.balance_wake_ms) return retractions;
  s.balance_due = false;
  s.balance_wake_ms = kNever;
  if (s.holding || !s.idle.Any() || !s.ahead.Any()) return retractions;
  // Those asked back before are on their way to the idle ones: not again at once.
  const int64_t again_ms = s.balanced_ms + kRetractAfterMs;
  if (s.now_ms < again_ms) {
    s.balance_wake_ms = again_ms;
    return retractions;
  }
  s.balance_wake_ms = Balance(s, &retractions).Run();
  if (!retractions.empty()) s.balanced_ms = s.now_ms;
  return retractions;
}

std::optional<int64_t> Placer::NextWake() const {
  const PlacerState& s = *state_;
  int64_t wake = std::min(s.rate_wake_ms, s.balance_wake_ms);
  if (!s.later.empty()) wake = std::min(wake, s.later.begin()->first.first);
  if (!s.orphans.empty()) wake = std::min(wake, s.table[s.orphans.front()].begun_ms);
  for (const uint32_t number : s.timed_classes) {
    const Deadlines first = FirstOf(s, s.classes[number]);
    wake = std::min({wake, first.queued, first.running, first.progress});
  }
  if (wake == kNever) return std::nullopt;
  return wake;
}

}  // namespace kev
