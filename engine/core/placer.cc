#include "engine/core/placer.h"

#include <algorithm>

#include "engine/core/placer_state.h"

namespace kev {

Placer::Placer() : state_(std::make_unique<PlacerState>()) {}
Placer::~Placer() = default;
Placer::Placer(Placer&&) noexcept = default;
Placer& Placer::operator=(Placer&&) noexcept = default;

size_t Placer::ready() const { return state_->table.size() - out(); }

size_t Placer::ready(const std::string& stage) const {
  size_t sum = 0;
  for (const ClassRecord& c : state_->classes) {
    if (c.live && c.spec.stage == stage) sum += c.ready();
  }
  return sum;
}

size_t Placer::out() const {
  size_t sum = 0;
  for (const WorkerRecord& worker : state_->workers) sum += worker.out();
  return sum;
}

size_t Placer::workers() const { return state_->workers_present; }

bool Placer::HasWorkerFor(const std::string& stage) const {
  return std::any_of(state_->places.begin(), state_->places.end(), [&](const auto& entry) {
    const auto& stages = state_->workers[entry.second].spec.stages;
    return std::find(stages.begin(), stages.end(), stage) != stages.end();
  });
}

Placer::ClassCounts Placer::CountsOfClass(uint32_t job_class) const {
  if (job_class >= state_->classes.size()) return {};
  const ClassRecord& c = state_->classes[job_class];
  return {c.later, c.ready(), c.sent.size(), c.taken.size(), c.ending.size(), c.finished};
}

Placer::WorkerCounts Placer::CountsOfWorker(WorkerId id) const {
  const PlacerState& s = *state_;
  WorkerCounts counts;
  const auto it = s.places.find(id);
  if (it == s.places.end()) return counts;
  const WorkerRecord& worker = s.workers[it->second];
  counts.out = worker.out();
  for (const WorkerList* list : {&worker.heavy, &worker.light, &worker.special}) {
    for (uint32_t at = list->front(); at != kNoIndex; at = WorkerList::Next(s.table, at))
      counts.taken += s.table[at].begun;
  }
  counts.credit = worker.draining ? 0 : worker.Credit();
  counts.sent = worker.sent;
  counts.limit = worker.granted ? worker.limit : 0;
  counts.finished = worker.finished;
  counts.mean_busy_ms = worker.mean_busy_ms;
  counts.draining = worker.draining;
  return counts;
}

std::optional<WorkerId> Placer::WorkerOf(const AttemptId& id) const {
  const uint32_t index = state_->table.Find(id);
  if (index == kNoIndex || !state_->table[index].Out()) return std::nullopt;
  return state_->workers[state_->table[index].worker].id;
}

}  // namespace kev
