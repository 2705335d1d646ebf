// An attempt's way through the placer: later -> ready -> sent -> taken -> (ending) -> forgotten.
#include <algorithm>

#include "engine/core/placer_state.h"

namespace kev {

OrderList& PlacerState::ListOf(const AttemptRecord& record) {
  ClassRecord& c = classes[record.job_class];
  switch (record.state) {
    case AttemptState::kSent:
      return c.sent;
    case AttemptState::kTaken:
      return c.taken;
    case AttemptState::kEnding:
      return c.ending;
    default:
      return c.waiting[record.solitary];
  }
}

WorkerList& PlacerState::WorkerListOf(const AttemptRecord& record) {
  const ClassRecord& c = classes[record.job_class];
  WorkerRecord& worker = workers[record.worker];
  if (c.special || record.solitary) return worker.special;
  return c.spec.light ? worker.light : worker.heavy;
}

void PlacerState::AddLater(uint32_t index, int64_t not_before_ms) {
  AttemptRecord& record = table[index];
  record.state = AttemptState::kLater;
  record.since_ms = not_before_ms;
  record.arrival = ++arrivals;
  later.emplace(std::pair(not_before_ms, record.arrival), index);
  ++ClassOf(index).later;
}

void PlacerState::Enqueue(uint32_t index) {
  AttemptRecord& record = table[index];
  ClassRecord& c = ClassOf(index);
  record.state = AttemptState::kReady;
  record.since_ms = now_ms;
  record.arrival = ++arrivals;
  // Behind others of a class that could not be placed, it cannot be placed either.
  if (c.waiting[record.solitary].empty()) dirty = true;
  c.waiting[record.solitary].PushBack(table, index);
  if (c.spec.queued_limit_ms != 0) {
    c.queued.PushBack(table, index);
    record.timed = true;
  }
  if (!c.active) Activate(record.job_class);
  if (record.solitary) NoteSpecial(record.job_class);
}

void PlacerState::Requeue(uint32_t index) {
  AttemptRecord& record = table[index];
  ClassRecord& c = ClassOf(index);
  record.state = AttemptState::kReady;
  OrderList& queue = c.waiting[record.solitary];
  // Only others that were handed back can stand before it.
  uint32_t at = queue.front();
  while (at != kNoIndex && table[at].arrival < record.arrival) at = OrderList::Next(table, at);
  queue.InsertBefore(table, at, index);
  dirty = true;
  if (!c.active) Activate(record.job_class);
  if (record.solitary) NoteSpecial(record.job_class);
}

void PlacerState::LeaveQueue(uint32_t index) {
  const AttemptRecord& record = table[index];
  if (record.state == AttemptState::kLater) {
    later.erase(std::pair(record.since_ms, record.arrival));
    --ClassOf(index).later;
    return;
  }
  ClassRecord& c = ClassOf(index);
  c.waiting[record.solitary].Erase(table, index);
  if (c.ready() == 0) {
    Deactivate(record.job_class);
  } else if (record.solitary) {
    NoteSpecial(record.job_class);
  }
}

void PlacerState::Lease(uint32_t index, uint32_t place) {
  AttemptRecord& record = table[index];
  RunRecord& run = runs[ClassOf(index).run];
  Settle(&run);
  ++run.out;
  record.state = AttemptState::kSent;
  record.worker = place;
  record.begun_ms = now_ms;
  record.retracting = false;
  ListOf(record).PushBack(table, index);
  WorkerList& list = WorkerListOf(record);
  list.PushBack(table, index);
  if (&list == &workers[place].special) Weigh(index, true);
  UpdateRoom(place);
}

void PlacerState::Unlease(uint32_t index) {
  AttemptRecord& record = table[index];
  RunRecord& run = runs[ClassOf(index).run];
  Settle(&run);
  --run.out;
  const uint32_t place = record.worker;
  ListOf(record).Erase(table, index);
  WorkerList& list = WorkerListOf(record);
  list.Erase(table, index);
  if (&list == &workers[place].special) Weigh(index, false);
  record.worker = kNoIndex;
  record.adopted = false;
  record.begun = false;
  record.retracting = false;
  UpdateRoom(place);
  dirty = true;
}

void PlacerState::Begin(uint32_t index) {
  StopTimer(index);
  AttemptRecord& record = table[index];
  ClassRecord& c = ClassOf(index);
  c.sent.Erase(table, index);
  record.state = AttemptState::kTaken;
  record.begun = true;
  record.retracting = false;
  record.begun_ms = now_ms;
  record.heard_ms = now_ms;
  c.taken.PushBack(table, index);
  if (c.spec.progress_limit_ms != 0) {
    c.progress.PushBack(table, index);
    record.timed = true;
  }
}

void PlacerState::End(uint32_t index) {
  StopTimer(index);
  AttemptRecord& record = table[index];
  ListOf(record).Erase(table, index);
  record.state = AttemptState::kEnding;
  ListOf(record).PushBack(table, index);
}

void PlacerState::StopTimer(uint32_t index) {
  AttemptRecord& record = table[index];
  if (!record.timed) return;
  record.timed = false;
  if (record.orphan) {
    orphans.Erase(table, index);
  } else if (record.state == AttemptState::kTaken) {
    ClassOf(index).progress.Erase(table, index);
  } else {
    ClassOf(index).queued.Erase(table, index);
  }
}

void PlacerState::Forget(uint32_t index) {
  StopTimer(index);
  const uint32_t job_class = table[index].job_class;
  if (table[index].Out()) {
    Unlease(index);
  } else {
    LeaveQueue(index);
    dirty = true;
  }
  table.Erase(index);
  if (!classes[job_class].live) DropClassIfOver(job_class);
}

void PlacerState::ReleaseDue() {
  while (!later.empty() && later.begin()->first.first <= now_ms) {
    const uint32_t index = later.begin()->second;
    LeaveQueue(index);
    Enqueue(index);
  }
  while (!orphans.empty() && table[orphans.front()].begun_ms <= now_ms) Forget(orphans.front());
}

bool Placer::Ready(const ReadyAttempt& attempt, int64_t now_ms) {
  PlacerState& s = *state_;
  s.Advance(now_ms);
  if (attempt.job_class >= s.classes.size()) return false;
  const ClassRecord& c = s.classes[attempt.job_class];
  if (!c.live || c.spec.run != attempt.id.run) return false;
  if (s.table.Find(attempt.id) != kNoIndex) return false;
  const uint32_t index = s.table.Insert(attempt.id);
  s.table[index].job_class = attempt.job_class;
  s.table[index].solitary = attempt.solitary;
  if (attempt.not_before_ms > s.now_ms) {
    s.AddLater(index, attempt.not_before_ms);
  } else {
    s.Enqueue(index);
  }
  return true;
}

bool Placer::Adopt(WorkerId worker, const AttemptId& id, int64_t now_ms) {
  PlacerState& s = *state_;
  s.Advance(now_ms);
  const auto place = s.places.find(worker);
  const uint32_t index = s.table.Find(id);
  if (place == s.places.end() || index == kNoIndex || s.table[index].Out()) return false;
  s.LeaveQueue(index);
  s.Lease(index, place->second);
  s.table[index].adopted = true;
  s.Begin(index);
  s.dirty = true;
  return true;
}

void Placer::Taken(const AttemptId& id, int64_t now_ms) {
  PlacerState& s = *state_;
  s.Advance(now_ms);
  const uint32_t index = s.table.Find(id);
  if (index != kNoIndex && s.table[index].state == AttemptState::kSent) s.Begin(index);
}

void Placer::Progressed(const AttemptId& id, int64_t now_ms) {
  Taken(id, now_ms);
  PlacerState& s = *state_;
  const uint32_t index = s.table.Find(id);
  if (index == kNoIndex || s.table[index].state != AttemptState::kTaken) return;
  s.table[index].heard_ms = s.now_ms;
  if (!s.table[index].timed) return;
  TimerList& progress = s.ClassOf(index).progress;
  progress.Erase(s.table, index);
  progress.PushBack(s.table, index);
}

void Placer::Finished(const AttemptId& id, double busy_ms) {
  PlacerState& s = *state_;
  const uint32_t index = s.table.Find(id);
  if (index == kNoIndex) return;
  if (s.table[index].Out()) {
    ++s.ClassOf(index).finished;
    WorkerRecord& worker = s.workers[s.table[index].worker];
    ++worker.finished;
    if (busy_ms >= 0) {
      worker.mean_busy_ms =
          worker.mean_busy_ms < 0 ? busy_ms : 0.9 * worker.mean_busy_ms + 0.1 * busy_ms;
      // What keeps it busy for the time of queue and commit (measured: 0.2 to 0.5 ms).
      constexpr double kRoundTripMs = 0.5;
      constexpr double kMostAhead = 256;
      worker.ahead = static_cast<uint64_t>(std::min(
          kMostAhead, worker.mean_busy_ms <= 0 ? kMostAhead : kRoundTripMs / worker.mean_busy_ms));
    }
  }
  s.Forget(index);
}

void Placer::NotSent(const AttemptId& id) {
  PlacerState& s = *state_;
  const uint32_t index = s.table.Find(id);
  if (index == kNoIndex || s.table[index].state != AttemptState::kSent) return;
  --s.workers[s.table[index].worker].sent;
  s.Forget(index);
}

void Placer::Returned(const AttemptId& id, int64_t now_ms) {
  PlacerState& s = *state_;
  s.Advance(now_ms);
  const uint32_t index = s.table.Find(id);
  if (index == kNoIndex || !s.table[index].Out()) return;
  if (s.table[index].state == AttemptState::kEnding) return s.Forget(index);
  const bool begun = s.table[index].state == AttemptState::kTaken;
  if (begun) s.StopTimer(index);
  s.Unlease(index);  // its token of a rate limit is not put back: others may have begun by it
  if (begun) {       // not what a worker should do: it counts as new
    s.Enqueue(index);
  } else {
    s.Requeue(index);
  }
}

std::optional<WorkerId> Placer::Withdraw(const AttemptId& id) {
  PlacerState& s = *state_;
  const uint32_t index = s.table.Find(id);
  if (index == kNoIndex) return std::nullopt;
  if (!s.table[index].Out()) {
    s.Forget(index);
    return std::nullopt;
  }
  if (s.table[index].state != AttemptState::kEnding) s.End(index);
  return s.workers[s.table[index].worker].id;
}

}  // namespace kev
