// Runs, their shares, and what their classes ask of a worker.
//
// Shares: a run pays for each slot and millisecond that it has something out, by its weight, and a
// little for each placement (milliseconds are long); who has paid least is served first. A run that
// did not want anything for a while, or could not have it, does not save up: it starts at what
// those pay that are served now. (Start-time fair queueing, Goyal, Vin, Cheng 1996, with the time
// that was used instead of a length known before.)
#include <algorithm>

#include "engine/core/placer_state.h"

namespace kev {

void PlacerState::Settle(RunRecord* run) {
  run->pass = run->PassAt(now_ms);
  run->settled_ms = now_ms;
}

void PlacerState::Join(uint32_t joining) {
  double least = -1;
  for (uint32_t r = 0; r < runs.size(); ++r) {
    const RunRecord& run = runs[r];
    if (r == joining || !run.live || run.out == 0) continue;
    const double pass = run.PassAt(now_ms);
    if (least < 0 || pass < least) least = pass;
  }
  RunRecord& run = runs[joining];
  Settle(&run);
  run.pass = std::max({run.pass, served_pass, least});
}

void PlacerState::Activate(uint32_t job_class) {
  ClassRecord& c = classes[job_class];
  RunRecord& run = runs[c.run];
  c.active = true;
  if (run.active.empty()) {
    Join(c.run);
    run.place_in_active = static_cast<uint32_t>(active_runs.size());
    active_runs.push_back(c.run);
  }
  run.active.push_back(job_class);
  NoteSpecial(job_class);
}

void PlacerState::Deactivate(uint32_t job_class) {
  ClassRecord& c = classes[job_class];
  RunRecord& run = runs[c.run];
  c.active = false;
  std::erase(run.active, job_class);
  if (run.active.empty()) {
    active_runs[run.place_in_active] = active_runs.back();
    runs[active_runs.back()].place_in_active = run.place_in_active;
    active_runs.pop_back();
  }
  NoteSpecial(job_class);
}

void PlacerState::NoteSpecial(uint32_t job_class) {
  const ClassRecord& c = classes[job_class];
  if (c.active && (c.spec.quiet_host || !c.waiting[1].empty())) {
    special_classes.insert(job_class);
  } else if (!special_classes.empty()) {
    special_classes.erase(job_class);
  }
}

uint32_t PlacerState::RunOf(uint32_t number) {
  const auto [it, fresh] = run_index.try_emplace(number, 0);
  if (!fresh) return it->second;
  if (free_runs.empty()) {
    it->second = static_cast<uint32_t>(runs.size());
    runs.emplace_back();
  } else {
    it->second = free_runs.back();
    free_runs.pop_back();
    runs[it->second] = RunRecord{};
  }
  runs[it->second].number = number;
  runs[it->second].live = true;
  runs[it->second].settled_ms = now_ms;
  return it->second;
}

uint32_t PlacerState::ResourceOf(const std::string& name) {
  const auto it = std::find(resources.begin(), resources.end(), name);
  if (it != resources.end()) return static_cast<uint32_t>(it - resources.begin());
  resources.push_back(name);
  return static_cast<uint32_t>(resources.size() - 1);
}

// Shapes are kept: there are as many as workflows have kinds of steps.
uint32_t PlacerState::ShapeOf(const JobClass& job_class) {
  const auto [it, fresh] =
      shape_index.try_emplace({job_class.stage, job_class.labels, job_class.resources},
                              static_cast<uint32_t>(shapes.size()));
  if (!fresh) return it->second;
  ShapeRecord& shape = shapes.emplace_back();
  shape.stage = job_class.stage;
  shape.labels = job_class.labels;
  for (const auto& [name, amount] : job_class.resources) {
    if (amount != 0) shape.needs.emplace_back(ResourceOf(name), amount);
  }
  for (uint32_t place = 0; place < workers.size(); ++place) {
    if (workers[place].present) shape.fits.Set(place, ShapeFits(shape, workers[place]));
  }
  return it->second;
}

void PlacerState::DropClassIfOver(uint32_t job_class) {
  ClassRecord& c = classes[job_class];
  if (c.live || c.later != 0 || c.ready() != 0 || c.out() != 0) return;
  RunRecord& run = runs[c.run];
  std::erase(run.classes, job_class);
  timed_classes.erase(job_class);
  const uint32_t of_run = c.run;
  c = ClassRecord{};
  free_classes.push_back(job_class);
  if (!run.classes.empty() || run.live) return;
  free_runs.push_back(of_run);
}

void Placer::AddRun(uint32_t number, double weight, const std::string& name) {
  PlacerState& s = *state_;
  RunRecord& run = s.runs[s.RunOf(number)];
  s.Settle(&run);
  run.weight = weight >= 0.001 ? std::min(weight, 1000.0) : weight > 0 ? 0.001 : 1;
  run.name = name;
  s.dirty = true;
}

std::vector<Placer::Out> Placer::RemoveRun(uint32_t number, int64_t now_ms) {
  PlacerState& s = *state_;
  s.Advance(now_ms);
  std::vector<Out> out;
  const auto it = s.run_index.find(number);
  if (it == s.run_index.end()) return out;
  const uint32_t run = it->second;
  for (auto next = s.later.begin(); next != s.later.end();) {
    const uint32_t index = next->second;
    ++next;
    if (s.ClassOf(index).run == run) s.Forget(index);
  }
  const std::vector<uint32_t> classes = s.runs[run].classes;
  for (const uint32_t job_class : classes) {
    ClassRecord& c = s.classes[job_class];
    for (OrderList& queue : c.waiting) {
      while (!queue.empty()) s.Forget(queue.front());
    }
    for (OrderList* list : {&c.sent, &c.taken, &c.ending}) {
      for (uint32_t at = list->front(); at != kNoIndex; at = OrderList::Next(s.table, at)) {
        const AttemptRecord& record = s.table[at];
        const WorkerRecord& worker = s.workers[record.worker];
        out.push_back({worker.id, record.id, record.begun, worker.out() == 1,
                       record.state == AttemptState::kEnding});
      }
    }
    while (!c.sent.empty()) s.End(c.sent.front());
    while (!c.taken.empty()) s.End(c.taken.front());
    for (uint32_t at = c.ending.front(); at != kNoIndex; at = OrderList::Next(s.table, at)) {
      s.StopTimer(at);
      s.table[at].orphan = true;
      s.table[at].timed = true;
      s.table[at].begun_ms = s.now_ms + kOrphanMs;
      s.orphans.PushBack(s.table, at);
    }
    c.live = false;
  }
  s.runs[run].live = false;
  s.run_index.erase(it);
  if (classes.empty()) s.free_runs.push_back(run);
  for (const uint32_t job_class : classes) s.DropClassIfOver(job_class);
  s.dirty = true;
  std::sort(out.begin(), out.end(), [](const Out& a, const Out& b) { return a.id < b.id; });
  return out;
}

void Placer::HoldRun(uint32_t number, bool held, int64_t now_ms) {
  PlacerState& s = *state_;
  s.Advance(now_ms);
  const auto it = s.run_index.find(number);
  if (it == s.run_index.end()) return;
  RunRecord& run = s.runs[it->second];
  if (run.held == held) return;
  run.held = held;
  s.dirty = true;
  if (held) {
    run.held_since_ms = s.now_ms;
    return;
  }
  // The time of the pause does not count as waiting.
  for (const uint32_t job_class : run.classes) {
    ClassRecord& c = s.classes[job_class];
    const auto shift = [&](uint32_t index) {
      int64_t& since = s.table[index].since_ms;
      since += s.now_ms - std::max(since, run.held_since_ms);
    };
    for (const OrderList& queue : c.waiting) {
      for (uint32_t at = queue.front(); at != kNoIndex; at = OrderList::Next(s.table, at))
        shift(at);
    }
    for (uint32_t at = c.sent.front(); at != kNoIndex; at = OrderList::Next(s.table, at)) shift(at);
  }
  if (!run.active.empty()) s.Join(it->second);
}

uint32_t Placer::AddClass(const JobClass& job_class) {
  PlacerState& s = *state_;
  const uint32_t run = s.RunOf(job_class.run);
  uint32_t number;
  if (s.free_classes.empty()) {
    number = static_cast<uint32_t>(s.classes.size());
    s.classes.emplace_back();
  } else {
    number = s.free_classes.back();
    s.free_classes.pop_back();
  }
  ClassRecord& c = s.classes[number];
  c.live = true;
  c.run = run;
  c.spec = job_class;
  c.spec.burst = std::max(1u, job_class.burst);
  c.shape = s.ShapeOf(job_class);
  c.special = job_class.quiet_host || !s.shapes[c.shape].needs.empty();
  c.interval_ms = job_class.rate_per_s > 0 ? 1000 / job_class.rate_per_s : 0;
  if (job_class.queued_limit_ms != 0 || job_class.running_limit_ms != 0 ||
      job_class.progress_limit_ms != 0) {
    s.timed_classes.insert(number);
  }
  s.runs[run].classes.push_back(number);
  return number;
}

}  // namespace kev
