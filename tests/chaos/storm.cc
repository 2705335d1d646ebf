#include "tests/chaos/storm.h"

#include <poll.h>
#include <signal.h>

#include <algorithm>

namespace kev::chaos {
namespace {

constexpr int64_t kNoProgressMs = 60000;    // after which a run is taken to be stuck
constexpr uint64_t kReserve = 64ull << 20;  // below which an engine gives nothing out
constexpr uint64_t kNewResults = 5;         // what counts as going on

}  // namespace

Status Storm::Strike(const Fault& fault) {
  const auto later = [&](FaultKind kind, pid_t pid = 0) {
    pending_.push_back({NowMs() + fault.for_ms, kind, pid});
  };
  switch (fault.kind) {
    case FaultKind::kKillEngine:
      counts_->engine_kills += site_->KillEngine();
      return {};
    case FaultKind::kKillRedis:
      counts_->redis_kills += site_->KillRedis();
      return {};
    case FaultKind::kKillWorker:
      counts_->worker_kills += site_->KillWorker(fault.pick);
      return {};
    case FaultKind::kTerminateEngine:
      counts_->terminations += site_->TerminateEngine();
      return {};
    case FaultKind::kTerminateWorker:
      counts_->terminations += site_->TerminateWorker(fault.pick);
      return {};
    case FaultKind::kStopEngine:
      if (!site_->StopEngine(true)) return {};
      later(fault.kind);
      break;
    case FaultKind::kStopRedis:
      if (!site_->StopRedis(true)) return {};
      later(fault.kind);
      break;
    case FaultKind::kStopWorker: {
      const pid_t pid = site_->StopWorker(fault.pick);
      if (pid == 0) return {};
      later(fault.kind, pid);
      break;
    }
    case FaultKind::kTornTail: {
      bool done = false;
      const Status status = site_->TornTail(fault.pick, &done);
      counts_->torn_tails += done;
      return status;
    }
    case FaultKind::kFullDisk:
      // Half of them to the last byte, half into the reserve.
      site_->DiskIsFull();
      later(fault.kind);
      ++counts_->full_disks;
      return disk_->Fill(fault.pick % 2 == 0 ? 0 : fault.pick / 2 % kReserve);
  }
  ++counts_->stops;
  return {};
}

void Storm::Undo(const Pending& pending) {
  switch (pending.kind) {
    case FaultKind::kStopEngine:
      site_->StopEngine(false);
      break;
    case FaultKind::kStopRedis:
      site_->StopRedis(false);
      break;
    case FaultKind::kStopWorker:
      kill(pending.pid, SIGCONT);
      break;
    case FaultKind::kFullDisk:
      if (std::none_of(pending_.begin(), pending_.end(),
                       [](const Pending& p) { return p.kind == FaultKind::kFullDisk; }))
        disk_->Empty();
      break;
    default:
      break;
  }
}

Status Storm::Look() {
  if (disk_ != nullptr && disk_->filled()) site_->DiskIsFull();
  const int64_t now = NowMs();
  for (size_t i = 0; i < pending_.size();) {
    if (pending_[i].at_ms > now) {
      ++i;
      continue;
    }
    const Pending due = pending_[i];
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(i));
    Undo(due);
  }
  return site_->Supervise();
}

Status Storm::Round(const std::vector<Fault>& faults) {
  const int64_t begun = NowMs();
  size_t next = 0;
  while (next < faults.size() || !pending_.empty()) {
    if (Status s = Look(); !s.ok()) return s;
    if (site_->Complete()) break;
    while (next < faults.size() && NowMs() - begun >= faults[next].at_ms) {
      if (Status s = Strike(faults[next++]); !s.ok()) return s;
    }
    poll(nullptr, 0, 5);
  }
  if (next > 0) ++counts_->rounds;
  if (site_->Complete()) {
    for (const Pending& pending : std::exchange(pending_, {})) Undo(pending);
    return {};
  }
  return WaitForProgress(NowMs(), site_->Acknowledged());
}

Status Storm::WaitForProgress(int64_t since_ms, uint64_t acknowledged) {
  for (;;) {
    if (Status s = Look(); !s.ok()) return s;
    if (site_->Complete()) return {};
    if (site_->EngineUp() && site_->Acknowledged() >= acknowledged + kNewResults) break;
    if (NowMs() - since_ms > kNoProgressMs) {
      return Error{Code::kInternal, "nothing was done for " + std::to_string(kNoProgressMs / 1000) +
                                        " s after the last fault:\n" + site_->EngineWords()};
    }
    poll(nullptr, 0, 10);
  }
  counts_->longest_recovery_ms = std::max(counts_->longest_recovery_ms, NowMs() - since_ms);
  return {};
}

Status Storm::WaitForEnd() {
  uint64_t acknowledged = site_->Acknowledged();
  int64_t since = NowMs();
  while (!site_->Complete()) {
    if (Status s = Look(); !s.ok()) return s;
    const uint64_t now = site_->Acknowledged();
    if (now != std::exchange(acknowledged, now)) since = NowMs();
    if (NowMs() - since > kNoProgressMs) {
      return Error{Code::kInternal,
                   "the run does not end though nothing disturbs it:\n" + site_->EngineWords()};
    }
    poll(nullptr, 0, 20);
  }
  return {};
}

}  // namespace kev::chaos
