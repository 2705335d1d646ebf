// Audit: recomputes what the placer keeps from the attempts themselves, and says the first
// difference.
#include "engine/core/placer_state.h"

namespace kev {
namespace {

class Auditor {
 public:
  explicit Auditor(const PlacerState& state) : s(state) {}

  std::string Run() {
    for (uint32_t number = 0; number < s.classes.size(); ++number) AuditClass(number);
    for (uint32_t place = 0; place < s.workers.size(); ++place) AuditWorker(place);
    AuditRuns();
    AuditLater();
    Same("attempts in lists", waiting_ + later_ + out_, s.table.size());
    Same("attempts on workers", on_workers_, out_);
    Same("orphans", orphans_, s.orphans.size());
    Same("classes with quiet or solitary attempts", special_, s.special_classes.size());
    return first_;
  }

 private:
  template <typename A, typename B>
  void Same(const std::string& what, const A& kept, const B& follows) {
    if (static_cast<uint64_t>(kept) == static_cast<uint64_t>(follows)) return;
    Wrong(what + ": " + std::to_string(kept) + ", but " + std::to_string(follows) + " follows");
  }
  void Most(const std::string& what, uint64_t is, uint64_t most) {
    if (is > most) Wrong(what + ": " + std::to_string(is) + " of at most " + std::to_string(most));
  }
  void Wrong(const std::string& what) {
    if (first_.empty()) first_ = what;
  }

  template <typename List, typename Visit>
  void Walk(const std::string& what, const List& list, Visit visit) {
    size_t n = 0;
    uint32_t last = kNoIndex;
    for (uint32_t at = list.front(); at != kNoIndex; at = List::Next(s.table, at)) {
      if (++n > list.size()) return Wrong(what + ": more than its size");
      if (List::Prev(s.table, at) != last) Wrong(what + ": links do not match");
      if (s.table.Find(s.table[at].id) != at) Wrong(what + ": holds a forgotten attempt");
      last = at;
      visit(at, s.table[at]);
    }
    Same(what + ", size", list.size(), n);
    if (list.back() != last) Wrong(what + ": wrong end");
  }

  void AuditClass(uint32_t number) {
    const ClassRecord& c = s.classes[number];
    const std::string name = "class " + std::to_string(number);
    size_t timed = 0, progress = 0, placed = 0;
    const auto check = [&](const OrderList& list, AttemptState state, const char* what) {
      Walk(name + " " + what, list, [&](uint32_t, const AttemptRecord& record) {
        if (record.state != state) Wrong(name + " " + what + ": another state");
        Same(name + " " + what + ", class", record.job_class, number);
        if (record.Out() != (record.worker != kNoIndex)) Wrong(name + ": out and worker differ");
        if (record.timed && !record.orphan) ++(state == AttemptState::kTaken ? progress : timed);
        if (record.Out() && !record.adopted) ++placed;
        if (record.orphan) ++orphans_;
      });
    };
    for (size_t lane = 0; lane < 2; ++lane) {
      check(c.waiting[lane], AttemptState::kReady, "waiting");
      uint64_t arrival = 0;
      for (uint32_t at = c.waiting[lane].front(); at != kNoIndex;
           at = OrderList::Next(s.table, at)) {
        if (s.table[at].arrival <= arrival) Wrong(name + ": not in order of arrival");
        arrival = s.table[at].arrival;
        if (s.table[at].solitary != (lane == 1)) Wrong(name + ": solitary in the wrong queue");
      }
    }
    check(c.sent, AttemptState::kSent, "sent");
    check(c.taken, AttemptState::kTaken, "taken");
    check(c.ending, AttemptState::kEnding, "ending");
    if (c.spec.max_running != 0) Most(name + ", cap", placed, c.spec.max_running);
    Same(name + ", queued deadlines", c.queued.size(), timed);
    Same(name + ", progress deadlines", c.progress.size(), progress);
    int64_t time = -kNever;
    Walk(name + " queued", c.queued, [&](uint32_t, const AttemptRecord& record) {
      if (record.since_ms < time) Wrong(name + ": queued deadlines not in order");
      time = record.since_ms;
    });
    time = -kNever;
    Walk(name + " progress", c.progress, [&](uint32_t, const AttemptRecord& record) {
      if (record.heard_ms < time) Wrong(name + ": progress deadlines not in order");
      time = record.heard_ms;
    });
    if (c.active != (c.ready() > 0)) Wrong(name + ": active and waiting differ");
    special_ += c.ready() > 0 && (c.spec.quiet_host || !c.waiting[1].empty());
    waiting_ += c.ready();
    out_ += c.out();
  }

  void AuditWorker(uint32_t place) {
    const WorkerRecord& worker = s.workers[place];
    const std::string name = "worker " + std::to_string(worker.id);
    std::vector<uint64_t> in_use(s.resources.size()), placed_use(s.resources.size());
    size_t placed = 0, quiet = 0, solitary = 0, special_heavy = 0, placed_solitary = 0;
    const auto check = [&](const WorkerList& list, const char* what, int weight) {
      Walk(name + " " + what, list, [&](uint32_t, const AttemptRecord& record) {
        const ClassRecord& c = s.classes[record.job_class];
        Same(name + " " + what + ", place", record.worker, place);
        if (!record.Out()) Wrong(name + ": has one that is not out");
        const bool special = c.special || record.solitary;
        if (weight != (special ? 2 : c.spec.light ? 1 : 0)) Wrong(name + ": in the wrong list");
        for (const auto& [resource, amount] : s.shapes[c.shape].needs) {
          in_use[resource] += amount;
          if (!record.adopted) placed_use[resource] += amount;
        }
        placed += !record.adopted;
        quiet += c.spec.quiet_host;
        solitary += record.solitary;
        placed_solitary += record.solitary && !record.adopted;
        special_heavy += special && !c.spec.light;
      });
    };
    check(worker.heavy, "heavy", 0);
    check(worker.light, "light", 1);
    check(worker.special, "special", 2);
    on_workers_ += worker.out();
    Same(name + ", quiet", worker.quiet, quiet);
    Same(name + ", solitary", worker.solitary, solitary);
    Same(name + ", special heavy", worker.special_heavy, special_heavy);
    for (size_t r = 0; r < in_use.size(); ++r) {
      Same(name + ", " + s.resources[r], r < worker.in_use.size() ? worker.in_use[r] : 0,
           in_use[r]);
      Most(name + ", " + s.resources[r], placed_use[r],
           r < worker.capacity.size() ? worker.capacity[r] : 0);
    }
    // What is sent ahead shrinks when jobs become longer; what is out by then stays.
    Most(name + ", out", placed, worker.granted ? worker.slots + 256 : worker.slots);
    if (worker.granted) Most(name + ", sent", worker.sent, worker.limit);
    if (placed_solitary > 0 && placed > 1) Wrong(name + ": a solitary attempt is not alone");
    const bool takes = worker.present && !worker.draining && solitary == 0 && worker.Credit() > 0;
    Same(name + ", room", s.room.Has(place), takes);
    Same(name + ", idle", s.idle.Has(place), takes && worker.out() < worker.slots);
    Same(name + ", ahead", s.ahead.Has(place), worker.present && worker.out() > worker.slots);
    Same(name + ", quiet set", s.quiet.Has(place), quiet > 0);
    for (const ShapeRecord& shape : s.shapes)
      Same(name + ", fits", shape.fits.Has(place), worker.present && s.ShapeFits(shape, worker));
  }

  void AuditRuns() {
    size_t active_runs = 0, active = 0;
    for (const RunRecord& run : s.runs) {
      active_runs += !run.active.empty();
      active += run.active.size();
      size_t out = 0;
      for (const uint32_t c : run.classes) out += s.classes[c].out();
      Same("run " + std::to_string(run.number) + ", out", run.out, out);
      for (const uint32_t c : run.active) {
        if (!s.classes[c].active)
          Wrong("run " + std::to_string(run.number) + ": active class is not");
      }
    }
    size_t classes = 0;
    for (const ClassRecord& c : s.classes) classes += c.active;
    Same("active classes", active, classes);
    Same("active runs", s.active_runs.size(), active_runs);
    size_t present = 0;
    for (const WorkerRecord& worker : s.workers) present += worker.present;
    Same("workers", s.workers_present, present);
    Same("places", s.places.size(), present);
  }

  void AuditLater() {
    std::vector<size_t> later(s.classes.size());
    for (const auto& [when, index] : s.later) {
      const AttemptRecord& record = s.table[index];
      if (record.state != AttemptState::kLater || record.since_ms != when.first ||
          record.arrival != when.second || s.table.Find(record.id) != index) {
        Wrong("back-offs: an attempt is not what it was");
      }
      ++later[record.job_class];
    }
    for (size_t c = 0; c < later.size(); ++c)
      Same("class " + std::to_string(c) + ", later", s.classes[c].later, later[c]);
    later_ = s.later.size();
  }

  const PlacerState& s;
  size_t waiting_ = 0, later_ = 0, out_ = 0, on_workers_ = 0, orphans_ = 0, special_ = 0;
  std::string first_;
};

}  // namespace

std::string Placer::Audit() const { return Auditor(*state_).Run(); }

}  // namespace kev
