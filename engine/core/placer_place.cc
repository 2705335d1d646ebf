// Who goes where, now.
//
// One pass: quiet attempts, then solitary ones, then all others. Among runs, who has paid least is
// next (placer_runs.cc); in a run the class whose first attempt has the highest priority with
// ageing; in a class, order of arrival. A class that cannot be placed is left out for the rest of
// the pass and keeps nobody back, with two exceptions, which end starvation:
// - while a quiet attempt waits for silence, nothing begins on the hosts that it could run on;
// - while a solitary attempt waits, nothing begins on the worker that is nearest to being idle.
#include <cmath>

#include "engine/core/placer_state.h"

namespace kev {
namespace {

// What a placement costs beside its time, so that runs take turns within a millisecond.
constexpr double kPlacementMs = 0.05;

class Pass {
 public:
  Pass(PlacerState& state, std::vector<Placer::Placement>* placements)
      : s(state), placements_(placements) {}

  void Run() {
    for (;;) {
      if (s.marked) ClearMarks();
      if (!s.special_classes.empty()) {
        Serve(Phase::kQuiet);
        Serve(Phase::kSolitary);
      }
      Serve(Phase::kPlain);
      if (s.special_classes.empty()) return;
      const size_t before = placements_->size();
      Serve(Phase::kQuietAgain);
      // One for which a host was hushed may have gone to another: the host is open again.
      if (placements_->size() == before || !s.marked) return;
    }
  }

 private:
  // kQuietAgain: on hosts where others had their turn and did not want it.
  enum class Phase { kQuiet, kSolitary, kPlain, kQuietAgain };

  void ClearMarks() {
    for (HostRecord& host : s.hosts) host.hushed_for = kNoIndex;
    for (WorkerRecord& worker : s.workers) worker.kept_for = kNoIndex;
    s.marked = false;
  }

  static bool Suits(const ClassRecord& c, Phase phase) {
    switch (phase) {
      case Phase::kSolitary:
        return !c.spec.quiet_host && !c.waiting[1].empty();
      case Phase::kPlain:
        return !c.spec.quiet_host && !c.waiting[0].empty();
      default:
        return c.spec.quiet_host && c.ready() > 0;
    }
  }

  bool MayGo(const ClassRecord& c, Phase phase) {
    if (c.AtCap()) return false;
    if (phase == Phase::kPlain && !s.shapes[c.shape].fits.Meets(s.room)) return false;
    const double next = c.NextTokenMs();
    if (next <= static_cast<double>(s.now_ms)) return true;
    s.rate_wake_ms = std::min(s.rate_wake_ms, static_cast<int64_t>(std::ceil(next)));
    return false;
  }

  static uint32_t First(const ClassRecord& c, Phase phase) {
    if (phase == Phase::kPlain) return c.waiting[0].front();
    return c.waiting[c.waiting[1].empty() ? 0 : 1].front();
  }

  void Serve(Phase phase) {
    ++s.round;
    while (s.room.Any()) {  // once all is full, it does not matter who comes next
      const uint32_t r = NextRun();
      if (r == kNoIndex) return;
      RunRecord& run = s.runs[r];
      if (run.round != s.round) Ask(&run, phase);
      if (run.candidates == 0) continue;
      ClassRecord& c = s.classes[NextClass(run, phase)];
      const bool placed = Try(c, run, First(c, phase), phase);
      if (placed && Suits(c, phase) && MayGo(c, phase)) continue;
      c.candidate = false;
      --run.candidates;
    }
  }

  // Which classes of the run may go in this round: asked when its turn comes, and not before.
  void Ask(RunRecord* run, Phase phase) {
    run->round = s.round;
    run->candidates = 0;
    for (const uint32_t number : run->active) {
      ClassRecord& c = s.classes[number];
      c.candidate = Suits(c, phase) && MayGo(c, phase);
      if (c.candidate) ++run->candidates;
    }
  }

  uint32_t NextRun() const {
    uint32_t best = kNoIndex;
    double best_pass = 0;
    for (const uint32_t r : s.active_runs) {
      const RunRecord& run = s.runs[r];
      if (run.held || (run.round == s.round && run.candidates == 0)) continue;
      const double pass = run.PassAt(s.now_ms);
      if (best != kNoIndex &&
          (pass > best_pass || (pass == best_pass && run.number > s.runs[best].number))) {
        continue;
      }
      best = r;
      best_pass = pass;
    }
    return best;
  }

  // Priority and ageing in one figure that does not change with time: when the first attempt would
  // have come at priority 0.
  uint32_t NextClass(const RunRecord& run, Phase phase) const {
    uint32_t best = kNoIndex;
    std::pair<int64_t, uint64_t> best_key;
    for (const uint32_t number : run.active) {
      const ClassRecord& c = s.classes[number];
      if (!c.candidate) continue;
      const AttemptRecord& first = s.table[First(c, phase)];
      const std::pair key{first.since_ms - c.spec.priority * Placer::kAgeingMs, first.arrival};
      if (best != kNoIndex && best_key < key) continue;
      best = number;
      best_key = key;
    }
    return best;
  }

  bool Try(ClassRecord& c, RunRecord& run, uint32_t index, Phase phase) {
    const uint32_t place = Choose(c, s.table[index].solitary, phase);
    if (place == kNoIndex) {
      if (phase == Phase::kQuiet) Hush(c, index);
      if (phase == Phase::kSolitary) Keep(c, index);
      return false;
    }
    s.LeaveQueue(index);
    ++s.workers[place].sent;
    s.Lease(index, place);
    if (c.interval_ms != 0)
      c.full_at_ms = std::max(c.full_at_ms, static_cast<double>(s.now_ms)) + c.interval_ms;
    run.pass = std::max(run.pass, s.served_pass);  // Lease has settled it
    s.served_pass = run.pass;
    run.pass += kPlacementMs / run.weight;
    HostRecord& host = s.hosts[s.workers[place].host];
    host.quiet_row = c.spec.quiet_host ? host.quiet_row + 1 : 0;
    placements_->push_back({s.workers[place].id, s.table[index].id});
    return true;
  }

  // The worker with the most free slots, or with the least sent ahead when none has a free one; the
  // lowest id among equals.
  uint32_t Choose(const ClassRecord& c, bool solitary, Phase phase) const {
    const ShapeRecord& shape = s.shapes[c.shape];
    const bool quiet_out = s.quiet.Any();
    uint32_t best = kNoIndex;
    int64_t best_rank = 0;
    shape.fits.ForEachCommon(s.room, [&](uint32_t place) {
      const WorkerRecord& worker = s.workers[place];
      const auto out = static_cast<int64_t>(worker.out());
      const int64_t slots = worker.slots;
      const int64_t rank = out < slots ? slots - out : -((out - slots + 1) * 1024 / (slots + 1));
      if (best != kNoIndex &&
          (rank < best_rank || (rank == best_rank && worker.id > s.workers[best].id))) {
        return;
      }
      if (solitary && out > 0) return;
      if (worker.ExpiresWithin(s.now_ms, c.spec.expected_ms)) return;
      if (quiet_out && s.HostQuiet(worker.host)) return;
      if (c.spec.quiet_host) {
        if (s.HostBusy(worker.host)) return;
        if (phase == Phase::kQuiet && s.hosts[worker.host].quiet_row >= Placer::kQuietRow) return;
      } else if (s.marked) {
        if (s.hosts[worker.host].hushed_for != kNoIndex || worker.kept_for != kNoIndex) return;
      }
      if (!shape.needs.empty() && !s.ResourcesFree(worker, shape)) return;
      best = place;
      best_rank = rank;
    });
    return best;
  }

  bool CouldTake(const WorkerRecord& worker, const ClassRecord& c) const {
    return !worker.draining && worker.Grant() > 0 &&
           !worker.ExpiresWithin(s.now_ms, c.spec.expected_ms);
  }

  void Hush(const ClassRecord& c, uint32_t index) {
    s.shapes[c.shape].fits.ForEach([&](uint32_t place) {
      HostRecord& host = s.hosts[s.workers[place].host];
      if (host.quiet_row >= Placer::kQuietRow || host.hushed_for != kNoIndex ||
          !CouldTake(s.workers[place], c)) {
        return;
      }
      host.hushed_for = index;
      s.marked = true;
    });
  }

  void Keep(const ClassRecord& c, uint32_t index) {
    uint32_t best = kNoIndex;
    s.shapes[c.shape].fits.ForEach([&](uint32_t place) {
      const WorkerRecord& worker = s.workers[place];
      if (worker.kept_for != kNoIndex || !CouldTake(worker, c)) return;
      const std::pair key{worker.out(), worker.id};
      if (best == kNoIndex || key < std::pair{s.workers[best].out(), s.workers[best].id})
        best = place;
    });
    if (best == kNoIndex) return;
    s.workers[best].kept_for = index;
    s.marked = true;
  }

  PlacerState& s;
  std::vector<Placer::Placement>* placements_;
};

}  // namespace

std::vector<Placer::Placement> Placer::Place(int64_t now_ms, bool holding) {
  PlacerState& s = *state_;
  s.Advance(now_ms);
  s.ReleaseDue();
  std::vector<Placement> placements;
  s.holding = holding;
  if (holding) {
    s.dirty = true;
    s.rate_wake_ms = kNever;
    return placements;
  }
  if (!s.dirty && s.now_ms < s.rate_wake_ms) return placements;
  s.dirty = false;
  s.rate_wake_ms = kNever;
  if (!s.room.Any()) return placements;  // what frees some makes it dirty again
  if (!s.active_runs.empty()) Pass(s, &placements).Run();
  s.balance_due = true;
  s.dirty = false;
  return placements;
}

}  // namespace kev
