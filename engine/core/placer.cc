#include "engine/core/placer.h"

#include <algorithm>
#include <climits>
#include <cmath>

namespace kev {
namespace {

constexpr double kRoundTripMs =
    0.5;  // queue and commit, seen from a worker (measured: 0.2 to 0.5 ms)
constexpr size_t kMostAhead = 256;  // jobs sent ahead of need

bool Limited(const ReadyAttempt& a) { return a.running_limit_ms != 0 || a.queued_limit_ms != 0; }

}  // namespace

// Slots, and what keeps a worker busy for the time of a round trip.
size_t Placer::Worker::Credit() const {
  if (mean_busy_ms < 0) return spec.slots;
  const double ahead =
      mean_busy_ms <= 0 ? static_cast<double>(kMostAhead) : std::floor(kRoundTripMs / mean_busy_ms);
  return spec.slots + static_cast<size_t>(std::min(ahead, static_cast<double>(kMostAhead)));
}

void Placer::AddWorker(WorkerId worker, const WorkerSpec& spec) { workers_[worker].spec = spec; }

std::vector<Placer::Out> Placer::RemoveWorker(WorkerId worker) {
  std::vector<Out> had;
  for (auto it = out_.begin(); it != out_.end();) {
    if (it->second.worker != worker) {
      ++it;
      continue;
    }
    had.push_back({it->first, it->second.taken, false});
    const AttemptId id = it->first;
    ++it;
    Finished(id, -1);
  }
  if (had.size() == 1) had[0].alone = true;
  workers_.erase(worker);
  return had;
}

void Placer::DrainWorker(WorkerId worker) {
  const auto it = workers_.find(worker);
  if (it != workers_.end()) it->second.draining = true;
}

void Placer::Ready(const ReadyAttempt& attempt, int64_t now_ms) {
  ++ready_count_;
  if (Limited(attempt)) ++limited_;
  if (attempt.not_before_ms > now_ms) {
    later_[attempt.not_before_ms].push_back(attempt);
  } else {
    ready_[attempt.stage].push_back({attempt, now_ms});
  }
}

bool Placer::Adopt(WorkerId worker, const AttemptId& id, int64_t now_ms) {
  const auto w = workers_.find(worker);
  if (w == workers_.end()) return false;
  for (auto& [stage, queue] : ready_) {
    for (auto it = queue.begin(); it != queue.end(); ++it) {
      if (it->attempt.id != id) continue;
      const ReadyAttempt attempt = it->attempt;
      queue.erase(it);
      --ready_count_;
      Give(worker, w->second, attempt);
      Taken(id, now_ms);
      return true;
    }
  }
  return false;
}

void Placer::Taken(const AttemptId& id, int64_t now_ms) {
  const auto it = out_.find(id);
  if (it == out_.end() || it->second.taken) return;
  it->second.taken = true;
  if (it->second.attempt.running_limit_ms != 0)
    it->second.deadline_ms = now_ms + it->second.attempt.running_limit_ms;
}

void Placer::Finished(const AttemptId& id, double busy_ms) {
  const auto it = out_.find(id);
  if (it == out_.end()) return;
  const Given given = it->second;
  out_.erase(it);
  if (Limited(given.attempt)) --limited_;
  const auto w = workers_.find(given.worker);
  if (w == workers_.end()) return;
  Worker& worker = w->second;
  --worker.out;
  if (given.attempt.solitary) worker.solitary = false;
  if (busy_ms >= 0) {
    worker.mean_busy_ms =
        worker.mean_busy_ms < 0 ? busy_ms : 0.9 * worker.mean_busy_ms + 0.1 * busy_ms;
  }
  if (given.attempt.quiet_host) --quiet_out_[worker.spec.host];
  if (!given.attempt.light) --heavy_out_[worker.spec.host];
}

std::optional<WorkerId> Placer::Withdraw(const AttemptId& id) {
  const auto it = out_.find(id);
  if (it != out_.end()) return it->second.worker;  // its slot stays taken until the worker answers
  for (auto& [stage, queue] : ready_) {
    const auto found = std::find_if(queue.begin(), queue.end(),
                                    [&](const Waiting& w) { return w.attempt.id == id; });
    if (found == queue.end()) continue;
    if (Limited(found->attempt)) --limited_;
    queue.erase(found);
    --ready_count_;
    return std::nullopt;
  }
  for (auto& [when, attempts] : later_) {
    const auto found =
        std::find_if(attempts.begin(), attempts.end(), [&](const auto& a) { return a.id == id; });
    if (found == attempts.end()) continue;
    if (Limited(*found)) --limited_;
    attempts.erase(found);
    --ready_count_;
    return std::nullopt;
  }
  return std::nullopt;
}

bool Placer::HostBusy(const std::string& host) const {
  const auto it = heavy_out_.find(host);
  return it != heavy_out_.end() && it->second > 0;
}

bool Placer::Fits(const Worker& worker, const ReadyAttempt& attempt) const {
  if (worker.draining || worker.solitary || worker.out >= worker.Credit()) return false;
  if (attempt.solitary && worker.out > 0) return false;
  const auto quiet = quiet_out_.find(worker.spec.host);
  if (quiet != quiet_out_.end() && quiet->second > 0) return false;
  return !attempt.quiet_host || !HostBusy(worker.spec.host);
}

// The worker with the most free credit of those that the attempt fits, but none on a hushed host;
// the lowest id among equals.
Placer::Worker* Placer::Choose(const std::string& stage, const ReadyAttempt& attempt,
                               const std::vector<std::string>& hushed, WorkerId* id) {
  Worker* best = nullptr;
  size_t best_free = 0;
  for (auto& [worker_id, worker] : workers_) {
    if (!Fits(worker, attempt)) continue;
    if (std::find(worker.spec.stages.begin(), worker.spec.stages.end(), stage) ==
        worker.spec.stages.end())
      continue;
    const size_t free = worker.Credit() - worker.out;
    if (best != nullptr && free <= best_free) continue;
    if (std::find(hushed.begin(), hushed.end(), worker.spec.host) != hushed.end()) continue;
    best = &worker;
    best_free = free;
    *id = worker_id;
  }
  return best;
}

void Placer::Give(WorkerId id, Worker& worker, const ReadyAttempt& attempt) {
  ++worker.out;
  if (attempt.solitary) worker.solitary = true;
  if (attempt.quiet_host) ++quiet_out_[worker.spec.host];
  if (!attempt.light) ++heavy_out_[worker.spec.host];
  out_[attempt.id] = Given{id, attempt, INT64_MAX, false};
}

std::vector<Placer::Placement> Placer::Place(int64_t now_ms, bool holding) {
  std::vector<Placement> placements;
  while (!later_.empty() && later_.begin()->first <= now_ms) {
    for (const ReadyAttempt& attempt : later_.begin()->second)
      ready_[attempt.stage].push_back({attempt, now_ms});
    later_.erase(later_.begin());
  }
  if (holding || workers_.empty()) return placements;
  // Quiet attempts first: while one waits for its host to fall silent, nothing new begins on the
  // hosts that it could run on, so that a busy host cannot keep it waiting for ever.
  std::vector<std::string> hushed;
  for (auto& [stage, queue] : ready_) {
    for (auto it = queue.begin(); it != queue.end();) {
      if (!it->attempt.quiet_host) break;
      WorkerId id = 0;
      if (Worker* worker = Choose(stage, it->attempt, {}, &id)) {
        Give(id, *worker, it->attempt);
        placements.push_back({id, it->attempt.id});
        it = queue.erase(it);
        --ready_count_;
        continue;
      }
      for (const auto& [worker_id, worker] : workers_) {
        if (std::find(worker.spec.stages.begin(), worker.spec.stages.end(), stage) !=
            worker.spec.stages.end()) {
          hushed.push_back(worker.spec.host);
        }
      }
      break;
    }
  }
  for (auto& [stage, queue] : ready_) {
    while (!queue.empty()) {
      WorkerId id = 0;
      const ReadyAttempt& attempt = queue.front().attempt;
      if (attempt.quiet_host) break;
      Worker* worker = Choose(stage, attempt, hushed, &id);
      if (worker == nullptr) break;
      Give(id, *worker, attempt);
      placements.push_back({id, attempt.id});
      queue.pop_front();
      --ready_count_;
    }
  }
  return placements;
}

std::vector<Placer::Expired> Placer::TakeExpired(int64_t now_ms) {
  std::vector<Expired> expired;
  if (limited_ == 0) return expired;
  for (auto& [id, given] : out_) {
    if (given.deadline_ms > now_ms) continue;
    given.deadline_ms = INT64_MAX;  // said once
    expired.push_back({id, true});
  }
  for (auto& [stage, queue] : ready_) {
    for (Waiting& waiting : queue) {
      const uint32_t limit = waiting.attempt.queued_limit_ms;
      if (limit != 0 && now_ms - waiting.since_ms >= limit)
        expired.push_back({waiting.attempt.id, false});
    }
  }
  return expired;
}

std::optional<int64_t> Placer::NextWake() const {
  std::optional<int64_t> wake;
  const auto consider = [&](int64_t when) {
    if (!wake || when < *wake) wake = when;
  };
  if (!later_.empty()) consider(later_.begin()->first);
  if (limited_ == 0) return wake;
  for (const auto& [id, given] : out_) {
    if (given.deadline_ms != INT64_MAX) consider(given.deadline_ms);
  }
  for (const auto& [stage, queue] : ready_) {
    for (const Waiting& waiting : queue) {
      if (waiting.attempt.queued_limit_ms != 0)
        consider(waiting.since_ms + waiting.attempt.queued_limit_ms);
    }
  }
  return wake;
}

size_t Placer::ready(const std::string& stage) const {
  const auto it = ready_.find(stage);
  return it == ready_.end() ? 0 : it->second.size();
}

bool Placer::HasWorkerFor(const std::string& stage) const {
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    const auto& stages = entry.second.spec.stages;
    return std::find(stages.begin(), stages.end(), stage) != stages.end();
  });
}

}  // namespace kev
