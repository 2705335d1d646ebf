#include "queue/worker_inventory.h"

#include <algorithm>
#include <tuple>
#include <unordered_set>

#include "engine/core/value.h"
#include "queue/attempt_set.h"

namespace kev {

size_t WorkerInventory::Hash::operator()(const InFlight& id) const {
  return static_cast<size_t>(Fingerprint(id.run, id.key, id.attempt));
}

bool WorkerInventory::Add(InFlight id, std::string payload) {
  const auto [it, added] = entries_.try_emplace(id);
  if (!added) return false;
  it->second.payload = std::move(payload);
  it->second.flags = std::make_shared<AttemptFlags>();
  queue_.push_back(std::move(id));
  return true;
}

std::optional<WorkerInventory::Begun> WorkerInventory::Begin(int64_t now_us) {
  if (queue_.empty()) return std::nullopt;
  InFlight id = std::move(queue_.front());
  queue_.pop_front();
  Entry& entry = entries_.at(id);
  entry.state = State::kRunning;
  entry.since_us = now_us;
  ++running_;
  taken.push_back(id);
  return Begun{std::move(id), std::move(entry.payload), entry.flags};
}

WorkerInventory::Times WorkerInventory::Finish(std::shared_ptr<const FinishedAttempt> done,
                                               int64_t now_us) {
  --running_;
  const auto it = entries_.find(done->id);
  // Another job of the same name: this one was dropped while it ran.
  if (it == entries_.end() || it->second.state != State::kRunning ||
      it->first.job_digest != done->id.job_digest)
    return {};
  Entry& entry = it->second;
  Times times;
  times.job_us = static_cast<double>(now_us - entry.since_us);
  entry.state = State::kFinished;
  entry.since_us = -1;
  entry.finished = done;
  ++unacknowledged_;
  if (!progress.empty()) {  // what it said on its way is of no use behind its result
    const Same same;
    std::erase_if(progress,
                  [&](const Progress& p) { return same({p.run, p.key, p.attempt}, done->id); });
  }
  finished.push_back(std::move(done));
  return times;
}

void WorkerInventory::Note(Progress news) {
  const auto it = entries_.find({news.run, news.key, news.attempt});
  if (it == entries_.end() || it->second.state != State::kRunning) return;
  for (Progress& old : progress) {
    if (old.key == news.key && old.attempt == news.attempt && old.run == news.run) {
      old = std::move(news);
      return;
    }
  }
  progress.push_back(std::move(news));
}

void WorkerInventory::Stop(Entry& entry, int64_t kill_at_us) {
  entry.flags->cancelled.store(true);
  if (entry.state == State::kRunning) kills_.push_back({kill_at_us, entry.flags});
}

void WorkerInventory::Unqueue(const InFlight& id) {
  const Same same;
  queue_.erase(
      std::find_if(queue_.begin(), queue_.end(), [&](const InFlight& q) { return same(q, id); }));
}

void WorkerInventory::Cancel(const InFlight& id, int64_t kill_at_us) {
  const auto it = entries_.find(id);
  if (it == entries_.end()) return;
  Entry& entry = it->second;
  Stop(entry, kill_at_us);
  if (entry.state != State::kQueued) return;
  Unqueue(id);
  entry.state = State::kFinished;
  entry.finished = CancelledAttempt(id);
  ++unacknowledged_;
  finished.push_back(entry.finished);
}

void WorkerInventory::Retract(const InFlight& id) {
  const auto it = entries_.find(id);
  if (it == entries_.end() || it->second.state != State::kQueued) return;
  Unqueue(id);
  entries_.erase(it);
  returned.push_back(id);
}

void WorkerInventory::Sent(const InFlight& id, int64_t now_us) {
  const auto it = entries_.find(id);
  if (it != entries_.end() && it->second.state == State::kFinished) it->second.since_us = now_us;
}

WorkerInventory::Times WorkerInventory::Settle(const InFlight& id, int64_t now_us) {
  Times times;
  const auto it = entries_.find(id);
  if (it == entries_.end() || it->second.state != State::kFinished) return times;
  if (it->second.since_us >= 0)
    times.round_trip_us = static_cast<double>(now_us - it->second.since_us);
  --unacknowledged_;
  entries_.erase(it);
  return times;
}

void WorkerInventory::KeepOnly(const std::vector<InFlight>& keep, int64_t kill_at_us) {
  const std::unordered_set<InFlight, Hash, Same> kept(keep.begin(), keep.end());
  taken.clear();
  progress.clear();
  finished.clear();
  returned.clear();
  std::erase_if(queue_, [&](const InFlight& id) { return !kept.contains(id); });
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry& entry = it->second;
    if (!kept.contains(it->first)) {
      Stop(entry, kill_at_us);
      if (entry.state == State::kFinished) --unacknowledged_;
      it = entries_.erase(it);
      continue;
    }
    if (entry.state != State::kQueued) taken.push_back(it->first);
    if (entry.state == State::kFinished) finished.push_back(entry.finished);
    ++it;
  }
}

void WorkerInventory::ReturnQueued() {
  for (InFlight& id : queue_) {
    entries_.erase(id);
    returned.push_back(std::move(id));
  }
  queue_.clear();
}

void WorkerInventory::DropQueued() {
  for (const InFlight& id : queue_) entries_.erase(id);
  queue_.clear();
}

void WorkerInventory::CancelRunning(int64_t kill_at_us) {
  for (auto& [id, entry] : entries_) Stop(entry, kill_at_us);
}

std::optional<int64_t> WorkerInventory::KillDue(int64_t now_us) {
  std::erase_if(kills_, [&](const Kill& kill) {
    if (kill.flags.use_count() == 1) return true;  // nobody works on it any more
    if (kill.at_us > now_us) return false;
    kill.flags->kill.store(true);
    return true;
  });
  return NextKill();
}

std::optional<int64_t> WorkerInventory::NextKill() const {
  if (kills_.empty()) return std::nullopt;
  return std::min_element(kills_.begin(), kills_.end(),
                          [](const Kill& a, const Kill& b) { return a.at_us < b.at_us; })
      ->at_us;
}

std::vector<InFlight> WorkerInventory::All() const {
  std::vector<InFlight> all;
  all.reserve(entries_.size());
  for (const auto& [id, entry] : entries_) all.push_back(id);
  std::sort(all.begin(), all.end(), [](const InFlight& a, const InFlight& b) {
    return std::tie(a.run, a.key, a.attempt) < std::tie(b.run, b.key, b.attempt);
  });
  return all;
}

std::shared_ptr<const FinishedAttempt> CancelledAttempt(InFlight id) {
  JobResult result;
  result.verdict = Verdict::kCancelled;
  result.message = "cancelled before it began";
  auto attempt = std::make_shared<FinishedAttempt>();
  attempt->id = std::move(id);
  Encode(result, &attempt->result);
  return attempt;
}

}  // namespace kev
