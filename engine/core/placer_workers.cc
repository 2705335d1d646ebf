// Workers: what they may be sent, what they have in use, and their hosts.
#include <algorithm>

#include "engine/core/placer_state.h"

namespace kev {
namespace {

constexpr uint32_t kMostSlots = 4096;  // of a worker that can be believed

// Whether `text` is `pattern`, in which * stands for any characters.
bool Matches(const std::string& pattern, const std::string& text) {
  size_t p = 0;
  size_t star = std::string::npos;
  size_t resume = 0;
  for (size_t t = 0; t < text.size();) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string::npos;
}

}  // namespace

uint64_t WorkerRecord::Credit() const {
  const uint64_t window = granted ? slots + ahead : slots;
  const uint64_t free = window > out() ? window - out() : 0;
  return std::min(free, granted ? Grant() : free);
}

bool PlacerState::ShapeFits(const ShapeRecord& shape, const WorkerRecord& worker) const {
  const auto& stages = worker.spec.stages;
  if (std::find(stages.begin(), stages.end(), shape.stage) == stages.end()) return false;
  for (const auto& [label, pattern] : shape.labels) {
    const auto has = worker.spec.labels.find(label);
    if (has == worker.spec.labels.end() || !Matches(pattern, has->second)) return false;
  }
  return std::all_of(shape.needs.begin(), shape.needs.end(), [&](const auto& need) {
    return need.first < worker.capacity.size() && worker.capacity[need.first] >= need.second;
  });
}

void PlacerState::UpdateRoom(uint32_t place) {
  const WorkerRecord& worker = workers[place];
  const bool takes =
      worker.present && !worker.draining && worker.solitary == 0 && worker.Credit() > 0;
  room.Set(place, takes);
  idle.Set(place, takes && worker.out() < worker.slots);
  ahead.Set(place, worker.present && worker.out() > worker.slots);
}

void PlacerState::Weigh(uint32_t index, bool joins) {
  const AttemptRecord& record = table[index];
  const ClassRecord& c = ClassOf(index);
  WorkerRecord& worker = workers[record.worker];
  const auto change = [joins](auto& sum, uint32_t by) { joins ? sum += by : sum -= by; };
  for (const auto& [resource, amount] : shapes[c.shape].needs) {
    if (worker.in_use.size() <= resource) worker.in_use.resize(resource + 1);
    change(worker.in_use[resource], amount);
  }
  if (!c.spec.light) change(worker.special_heavy, 1);
  if (c.spec.quiet_host) change(worker.quiet, 1);
  if (record.solitary) change(worker.solitary, 1);
  quiet.Set(record.worker, worker.quiet > 0);
}

bool PlacerState::ResourcesFree(const WorkerRecord& worker, const ShapeRecord& shape) const {
  return std::all_of(shape.needs.begin(), shape.needs.end(), [&](const auto& need) {
    const uint64_t used = need.first < worker.in_use.size() ? worker.in_use[need.first] : 0;
    return used + need.second <= worker.capacity[need.first];
  });
}

bool PlacerState::HostQuiet(uint32_t host) const {
  const auto& of_host = hosts[host].workers;
  return std::any_of(of_host.begin(), of_host.end(),
                     [&](uint32_t place) { return workers[place].quiet > 0; });
}

bool PlacerState::HostBusy(uint32_t host) const {
  const auto& of_host = hosts[host].workers;
  return std::any_of(of_host.begin(), of_host.end(),
                     [&](uint32_t place) { return workers[place].HeavyOut() > 0; });
}

void Placer::AddWorker(WorkerId id, const WorkerSpec& spec) {
  PlacerState& s = *state_;
  auto [it, fresh] = s.places.try_emplace(id, 0);
  if (fresh) {
    if (s.free_workers.empty()) {
      it->second = static_cast<uint32_t>(s.workers.size());
      s.workers.emplace_back();
    } else {
      it->second = s.free_workers.back();
      s.free_workers.pop_back();
    }
    ++s.workers_present;
  }
  const uint32_t place = it->second;
  WorkerRecord& worker = s.workers[place];
  if (!fresh) {
    std::erase(s.hosts[worker.host].workers, place);
    for (WorkerList* list : {&worker.heavy, &worker.light, &worker.special}) {
      for (uint32_t at = list->front(); at != kNoIndex; at = WorkerList::Next(s.table, at))
        s.table[at].adopted = true;  // given to what it was before
    }
  }
  worker.id = id;
  worker.present = true;
  worker.spec = spec;
  worker.slots = std::min(spec.slots, kMostSlots);
  worker.capacity.clear();
  for (const auto& [name, amount] : spec.resources) {
    const uint32_t resource = s.ResourceOf(name);
    if (worker.capacity.size() <= resource) worker.capacity.resize(resource + 1);
    worker.capacity[resource] = amount;
  }
  const auto [host, new_host] = s.host_index.try_emplace(spec.host, 0);
  if (new_host) {
    if (s.free_hosts.empty()) {
      host->second = static_cast<uint32_t>(s.hosts.size());
      s.hosts.emplace_back();
    } else {
      host->second = s.free_hosts.back();
      s.free_hosts.pop_back();
    }
    s.hosts[host->second].name = spec.host;
  }
  worker.host = host->second;
  s.hosts[host->second].workers.push_back(place);
  for (ShapeRecord& shape : s.shapes) shape.fits.Set(place, s.ShapeFits(shape, worker));
  s.UpdateRoom(place);
  s.dirty = true;
}

std::vector<Placer::Out> Placer::RemoveWorker(WorkerId id) {
  PlacerState& s = *state_;
  std::vector<Out> had;
  const auto it = s.places.find(id);
  if (it == s.places.end()) return had;
  const uint32_t place = it->second;
  WorkerRecord& worker = s.workers[place];
  const bool alone = worker.out() == 1;
  for (WorkerList* list : {&worker.heavy, &worker.light, &worker.special}) {
    while (!list->empty()) {
      const AttemptRecord& record = s.table[list->front()];
      if (!record.orphan) {
        had.push_back({id, record.id, record.begun, alone, record.state == AttemptState::kEnding});
      }
      s.Forget(list->front());
    }
  }
  HostRecord& host = s.hosts[worker.host];
  std::erase(host.workers, place);
  if (host.workers.empty()) {
    s.host_index.erase(host.name);
    s.free_hosts.push_back(worker.host);
    host = HostRecord{};
  }
  worker = WorkerRecord{};
  for (ShapeRecord& shape : s.shapes) shape.fits.Set(place, false);
  s.UpdateRoom(place);
  s.places.erase(it);
  s.free_workers.push_back(place);
  --s.workers_present;
  s.dirty = true;
  std::sort(had.begin(), had.end(), [](const Out& a, const Out& b) { return a.id < b.id; });
  return had;
}

void Placer::DrainWorker(WorkerId id) {
  PlacerState& s = *state_;
  const auto it = s.places.find(id);
  if (it == s.places.end() || s.workers[it->second].draining) return;
  s.workers[it->second].draining = true;
  s.UpdateRoom(it->second);
  s.drain_due = true;
  s.dirty = true;
}

void Placer::SetCredit(WorkerId id, uint64_t cumulative_limit) {
  PlacerState& s = *state_;
  const auto it = s.places.find(id);
  if (it == s.places.end()) return;
  WorkerRecord& worker = s.workers[it->second];
  // What was sent before the first grant was within its slots.
  if (!worker.granted) worker.limit = worker.sent;
  worker.granted = true;
  worker.limit = std::max(worker.limit, cumulative_limit);
  const bool had_room = s.room.Has(it->second);
  s.UpdateRoom(it->second);
  if (!had_room) s.dirty = true;
}

}  // namespace kev
