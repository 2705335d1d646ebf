#include "queue/worker_inventory.h"

#include <algorithm>
#include <functional>
#include <tuple>
#include <unordered_set>

#include "engine/core/value.h"

namespace kev {

size_t WorkerInventory::Hash::operator()(const InFlight& id) const {
  const uint64_t a = static_cast<uint64_t>(id.key.subject.number) << 32 |
                     static_cast<uint64_t>(id.key.step) << 16 | id.key.index;
  const uint64_t b =
      static_cast<uint64_t>(id.attempt) << 8 | static_cast<uint64_t>(id.key.subject.kind);
  uint64_t h = (a ^ (b * 0x9e3779b97f4a7c15u)) * 0xbf58476d1ce4e5b9u;
  h ^= h >> 29;
  return static_cast<size_t>(h) ^ std::hash<std::string>{}(id.run);
}

bool WorkerInventory::Add(InFlight id, std::string payload) {
  Entry entry;
  entry.payload = std::move(payload);
  entry.cancelled = std::make_shared<std::atomic<bool>>(false);
  if (!entries_.emplace(id, std::move(entry)).second) return false;
  queue_.push_back(std::move(id));
  return true;
}

std::optional<WorkerInventory::Begun> WorkerInventory::Begin() {
  if (queue_.empty()) return std::nullopt;
  InFlight id = std::move(queue_.front());
  queue_.pop_front();
  Entry& entry = entries_.at(id);
  entry.state = State::kRunning;
  ++running_;
  taken.push_back(id);
  return Begun{std::move(id), std::move(entry.payload), entry.cancelled};
}

bool WorkerInventory::Finish(std::shared_ptr<const FinishedAttempt> done) {
  --running_;
  const auto it = entries_.find(done->id);
  if (it == entries_.end()) return false;
  it->second.state = State::kFinished;
  it->second.finished = done;
  ++unacknowledged_;
  finished.push_back(std::move(done));
  return true;
}

void WorkerInventory::Cancel(const InFlight& id) {
  const auto it = entries_.find(id);
  if (it == entries_.end()) return;
  it->second.cancelled->store(true);
  if (it->second.state != State::kQueued) return;
  const Same same;
  queue_.erase(
      std::find_if(queue_.begin(), queue_.end(), [&](const InFlight& q) { return same(q, id); }));
  it->second.state = State::kFinished;
  it->second.finished = CancelledAttempt(id);
  ++unacknowledged_;
  finished.push_back(it->second.finished);
}

void WorkerInventory::Settle(const InFlight& id) {
  const auto it = entries_.find(id);
  if (it == entries_.end() || it->second.state != State::kFinished) return;
  --unacknowledged_;
  entries_.erase(it);
}

void WorkerInventory::KeepOnly(const std::vector<InFlight>& keep) {
  const std::unordered_set<InFlight, Hash, Same> kept(keep.begin(), keep.end());
  taken.clear();
  finished.clear();
  std::erase_if(queue_, [&](const InFlight& id) { return !kept.contains(id); });
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry& entry = it->second;
    if (!kept.contains(it->first)) {
      entry.cancelled->store(true);
      if (entry.state == State::kFinished) --unacknowledged_;
      it = entries_.erase(it);
      continue;
    }
    if (entry.state != State::kQueued) taken.push_back(it->first);
    if (entry.state == State::kFinished) finished.push_back(entry.finished);
    ++it;
  }
}

void WorkerInventory::DropQueued() {
  for (const InFlight& id : queue_) entries_.erase(id);
  queue_.clear();
}

void WorkerInventory::CancelRunning() {
  for (auto& [id, entry] : entries_) entry.cancelled->store(true);
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
