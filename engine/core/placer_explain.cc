// Why an attempt waits: the rules of placer_place.cc in their order, in words.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <set>

#include "engine/core/placer_state.h"

namespace kev {
namespace {

std::string Seconds(double ms) {
  char text[32];
  std::snprintf(text, sizeof text, ms < 9950 ? "%.1f s" : "%.0f s", ms / 1000);
  return text;
}

std::string Count(size_t n, const char* one) {
  return std::to_string(n) + " " + one + (n == 1 ? "" : "s");
}

// "a, b, c, and 4 more"
std::string Listed(const std::set<std::string>& names) {
  std::string text;
  size_t said = 0;
  for (const std::string& name : names) {
    if (said == 5) return text + ", and " + std::to_string(names.size() - said) + " more";
    text += (said++ == 0 ? "" : ", ") + name;
  }
  return text;
}

std::string NameOfStep(const ClassRecord& c) {
  return c.spec.step.empty() ? c.spec.stage : c.spec.step;
}

class Explainer {
 public:
  explicit Explainer(const PlacerState& state) : s(state) {}

  std::string Of(uint32_t index, int64_t now_ms) const {
    const AttemptRecord& record = s.table[index];
    const ClassRecord& c = s.ClassOf(index);
    if (record.Out()) return OfOut(record, now_ms);
    if (record.state == AttemptState::kLater) {
      return "waits for its back-off until " + std::to_string(record.since_ms) + " ms, " +
             Seconds(static_cast<double>(record.since_ms - now_ms)) + " from now";
    }
    if (s.runs[c.run].held) return "its run is paused";
    if (s.holding) return "nothing is given out at the moment: the engine holds back all work";
    std::string reason = OfClass(c, record, now_ms);
    const uint32_t first = c.waiting[record.solitary].front();
    if (first == index) return reason;
    size_t before = 0;
    for (uint32_t at = first; at != index; at = OrderList::Next(s.table, at)) ++before;
    return Count(before, "attempt") + " of its step " + (before == 1 ? "is" : "are") +
           " before it; " + reason;
  }

 private:
  using Test = std::function<bool(const WorkerRecord&)>;

  std::string OfOut(const AttemptRecord& record, int64_t now_ms) const {
    const WorkerRecord& worker = s.workers[record.worker];
    const std::string since = Seconds(static_cast<double>(now_ms - record.begun_ms));
    if (record.state == AttemptState::kEnding)
      return "is not wanted any more; " + NameOf(worker) + " has not answered yet";
    if (record.state == AttemptState::kTaken) return NameOf(worker) + " works on it since " + since;
    std::string text =
        "was sent to " + NameOf(worker) + " " + since + " ago, which has not begun it";
    if (record.retracting) text += " and was asked to hand it back";
    return text;
  }

  // The rules for a whole class, then those for each worker.
  std::string OfClass(const ClassRecord& c, const AttemptRecord& record, int64_t now_ms) const {
    std::vector<const WorkerRecord*> left;
    for (const auto& [id, place] : s.places) left.push_back(&s.workers[place]);
    if (left.empty()) return "no worker is connected";
    std::string reason = OfShape(c, &left);
    if (!reason.empty()) return reason;
    if (!Keep(&left, [](const auto& w) { return !w.draining; }))
      return "all workers that could do it are draining";
    if (!Keep(&left, [&](const auto& w) { return !w.ExpiresWithin(now_ms, 0); }))
      return "the allocations of all workers that could do it have ended";
    const auto last = *std::max_element(left.begin(), left.end(), [](const auto* a, const auto* b) {
      return a->spec.expires_at_ms < b->spec.expires_at_ms;
    });
    if (!Keep(&left, [&](const auto& w) { return !w.ExpiresWithin(now_ms, c.spec.expected_ms); })) {
      return "it is expected to take " + Seconds(c.spec.expected_ms) +
             ", and the last worker that " + "could do it ends in " +
             Seconds(static_cast<double>(last->spec.expires_at_ms - now_ms));
    }
    if (c.AtCap()) return "its step's cap of " + std::to_string(c.spec.max_running) + " is reached";
    if (c.NextTokenMs() > static_cast<double>(now_ms)) {
      char rate[64];
      std::snprintf(rate, sizeof rate, "rate limit %g/s: next in ", c.spec.rate_per_s);
      return rate + Seconds(c.NextTokenMs() - static_cast<double>(now_ms));
    }
    return OfWorkers(c, record, left);
  }

  std::string OfShape(const ClassRecord& c, std::vector<const WorkerRecord*>* left) const {
    const ShapeRecord& shape = s.shapes[c.shape];
    std::set<std::string> there;
    for (const WorkerRecord* w : *left) there.insert(w->spec.stages.begin(), w->spec.stages.end());
    const auto does = [&](const WorkerRecord& w) {
      return std::find(w.spec.stages.begin(), w.spec.stages.end(), shape.stage) !=
             w.spec.stages.end();
    };
    if (!Keep(left, does))
      return "no worker does stage " + shape.stage + " (there are: " + Listed(there) + ")";
    for (const auto& [label, pattern] : shape.labels) {
      there.clear();
      ShapeRecord only{.stage = shape.stage, .labels = {{label, pattern}}, .needs = {}, .fits = {}};
      for (const WorkerRecord* w : *left) {
        const auto has = w->spec.labels.find(label);
        there.insert(has == w->spec.labels.end() ? "none" : has->second);
      }
      if (!Keep(left, [&](const auto& w) { return s.ShapeFits(only, w); })) {
        return "no connected worker has label " + label + "=" + pattern +
               " (there are: " + Listed(there) + ")";
      }
    }
    for (const auto& [resource, amount] : shape.needs) {
      uint32_t most = 0;
      const auto has = [&, r = resource](const WorkerRecord& w) {
        return r < w.capacity.size() ? w.capacity[r] : 0;
      };
      for (const WorkerRecord* w : *left) most = std::max(most, has(*w));
      if (!Keep(left, [&, n = amount](const auto& w) { return has(w) >= n; })) {
        return "no connected worker has " + s.resources[resource] + ": " + std::to_string(amount) +
               " (the most is " + std::to_string(most) + ")";
      }
    }
    return "";
  }

  std::string OfWorkers(const ClassRecord& c, const AttemptRecord& record,
                        std::vector<const WorkerRecord*> left) const {
    const ShapeRecord& shape = s.shapes[c.shape];
    const size_t able = left.size();
    // What keeps the last of them is the reason; nearer to being placed than the others.
    const auto all = [&](const std::string& what) {
      return (able == 1
                  ? "the one worker that could do it "
                  : "of " + Count(able, "worker") + " that could do it, none is free: the last ") +
             what;
    };
    const WorkerRecord* at = left.front();
    if (!Keep(&left, [&](const auto& w) { return w.solitary == 0 || (at = &w, false); }))
      return all("(" + NameOf(*at) + ") does " + NameOfSpecial(*at, true) + " alone");
    if (!Keep(&left, [&](const auto& w) { return w.out() < w.slots + (w.granted ? w.ahead : 0); }))
      return able == 1 ? NameOf(*at) + ", the one worker that could do it, is busy with " +
                             std::to_string(at->out())
                       : "all " + std::to_string(able) + " workers that could do it are busy";
    if (!Keep(&left, [&](const auto& w) { return w.Credit() > 0 || (at = &w, false); })) {
      return all("(" + NameOf(*at) + ") has granted " + std::to_string(at->limit) +
                 " attempts in all, and got them");
    }
    if (!Keep(&left, [&](const auto& w) { return !s.HostQuiet(w.host) || (at = &w, false); })) {
      std::string by;
      for (const uint32_t place : s.hosts[at->host].workers) {
        if (s.workers[place].quiet > 0) by = NameOfSpecial(s.workers[place], false);
      }
      return "host " + s.hosts[at->host].name + " is kept quiet by " + by;
    }
    if (c.spec.quiet_host) {
      if (!Keep(&left, [&](const auto& w) { return !s.HostBusy(w.host) || (at = &w, false); }))
        return "waits until host " + s.hosts[at->host].name + " is silent";
    } else {
      const auto hushed = [&](const auto& w) {
        return Waits(s.hosts[w.host].hushed_for) &&
               s.hosts[w.host].hushed_for != s.table.Find(record.id);
      };
      if (!Keep(&left, [&](const auto& w) { return !hushed(w) || (at = &w, false); })) {
        return "host " + s.hosts[at->host].name + " is to fall silent for " +
               NameOf(s, s.table[s.hosts[at->host].hushed_for]);
      }
      const auto kept = [&](const auto& w) {
        return Waits(w.kept_for) && w.kept_for != s.table.Find(record.id);
      };
      if (!Keep(&left, [&](const auto& w) { return !kept(w) || (at = &w, false); }))
        return all("(" + NameOf(*at) + ") is kept for " + NameOf(s, s.table[at->kept_for]) +
                   ", which must run alone");
    }
    if (record.solitary &&
        !Keep(&left, [&](const auto& w) { return w.out() == 0 || (at = &w, false); }))
      return "must run alone, and waits until " + NameOf(*at) + " is idle";
    if (!Keep(&left,
              [&](const auto& w) { return s.ResourcesFree(w, shape) || (at = &w, false); })) {
      for (const auto& [resource, amount] : shape.needs) {
        if (at->in_use[resource] + amount > at->capacity[resource])
          return all("(" + NameOf(*at) + ") has " + std::to_string(at->in_use[resource]) + " of " +
                     std::to_string(at->capacity[resource]) + " " + s.resources[resource] +
                     " in use");
      }
    }
    return OfTurn(c);
  }

  // It could go: others were before it, or nobody has asked yet.
  std::string OfTurn(const ClassRecord& c) const {
    size_t lower = 0;
    for (const uint32_t r : s.active_runs) {
      if (r != c.run && !s.runs[r].held &&
          s.runs[r].PassAt(s.now_ms) < s.runs[c.run].PassAt(s.now_ms))
        ++lower;
    }
    if (lower > 0)
      return Count(lower, "run") + (lower == 1 ? " has" : " have") +
             " had less than its share and is served first";
    return "is placed next";
  }

  bool Waits(uint32_t index) const {
    return index != kNoIndex && s.table.Find(s.table[index].id) == index && !s.table[index].Out();
  }

  std::string NameOfSpecial(const WorkerRecord& worker, bool solitary) const {
    for (uint32_t at = worker.special.front(); at != kNoIndex; at = WorkerList::Next(s.table, at)) {
      if (solitary ? s.table[at].solitary : s.ClassOf(at).spec.quiet_host)
        return NameOf(s, s.table[at]);
    }
    return "an attempt";
  }

  // Leaves those that pass; when none does, all stay, and it is false.
  static bool Keep(std::vector<const WorkerRecord*>* left, const Test& test) {
    std::vector<const WorkerRecord*> passed;
    for (const WorkerRecord* w : *left) {
      if (test(*w)) passed.push_back(w);
    }
    if (passed.empty()) return false;
    *left = std::move(passed);
    return true;
  }

  const PlacerState& s;
};

}  // namespace

std::string NameOf(const PlacerState& state, const AttemptRecord& record) {
  const ClassRecord& c = state.classes[record.job_class];
  const RunRecord& run = state.runs[c.run];
  std::string text = run.name.empty() ? "r" + std::to_string(run.number) : run.name;
  text += "/" + Name(record.id.key.subject) + "/" + NameOfStep(c);
  if (record.id.key.index != 0) text += "." + std::to_string(record.id.key.index);
  return text + "#" + std::to_string(record.id.attempt);
}

std::string NameOf(const WorkerRecord& worker) {
  return worker.spec.name.empty() ? "worker " + std::to_string(worker.id) : worker.spec.name;
}

std::string Placer::Explain(const AttemptId& id, int64_t now_ms) const {
  const uint32_t index = state_->table.Find(id);
  if (index == kNoIndex)
    return "is not known here: it has ended, was withdrawn, or was never ready";
  return Explainer(*state_).Of(index, std::max(now_ms, state_->now_ms));
}

std::string Placer::ExplainClass(uint32_t job_class, int64_t now_ms) const {
  const PlacerState& s = *state_;
  if (job_class >= s.classes.size() || !s.classes[job_class].live) return "";
  const ClassRecord& c = s.classes[job_class];
  for (const OrderList& queue : c.waiting) {
    if (!queue.empty()) return Explainer(s).Of(queue.front(), std::max(now_ms, s.now_ms));
  }
  for (const auto& [when, index] : s.later) {
    if (s.table[index].job_class == job_class)
      return Explainer(s).Of(index, std::max(now_ms, s.now_ms));
  }
  return "";
}

}  // namespace kev
