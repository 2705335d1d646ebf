// Random histories against a naive placer that knows only the rules: nothing may be given that
// breaks one, nothing that could be given may be left, and in the end everything is placed.
#include <doctest/doctest.h>

#include <map>
#include <random>
#include <set>

#include "tests/engine/core/placer_rig.h"
#include "tests/support/seeds.h"

namespace kev {
namespace {

constexpr uint32_t kRuns = 3;

// What the rules say, by counting through everything each time.
struct Reference {
  struct Worker {
    WorkerSpec spec;
    bool draining = false;
    std::optional<uint64_t> limit;
    uint64_t sent = 0;
  };
  struct Held {
    WorkerId worker = 0;
    bool adopted = false;
    bool withdrawn = false;
    int64_t given_up_ms = INT64_MAX;  // its run is gone
  };
  std::map<uint32_t, JobClass> classes;
  std::set<uint32_t> live_classes;
  std::map<WorkerId, Worker> workers;
  std::map<AttemptId, ReadyAttempt> known;
  std::map<AttemptId, Held> out;
  std::set<uint32_t> paused;
  std::map<uint32_t, std::vector<int64_t>> drawn;  // class -> times of its placements

  template <typename Test>
  uint64_t Count(Test test) const {
    uint64_t n = 0;
    for (const auto& [id, held] : out) n += test(known.at(id), held);
    return n;
  }
  const JobClass& ClassOf(const ReadyAttempt& a) const { return classes.at(a.job_class); }

  // "" when the attempt may be given to the worker now; else the rule that it breaks.
  std::string Forbids(const ReadyAttempt& a, WorkerId id, int64_t now_ms) const {
    const JobClass& c = ClassOf(a);
    const Worker& w = workers.at(id);
    if (paused.contains(a.id.run)) return "paused";
    if (a.not_before_ms > now_ms) return "back-off";
    if (std::count(w.spec.stages.begin(), w.spec.stages.end(), c.stage) == 0) return "stage";
    if (w.draining) return "draining";
    for (const auto& [label, value] : c.labels) {
      if (!w.spec.labels.contains(label) || w.spec.labels.at(label) != value) return "label";
    }
    if (w.spec.expires_at_ms != 0 && now_ms + c.expected_ms >= w.spec.expires_at_ms)
      return "expires";
    if (c.max_running != 0 && Count([&](const auto& o, const auto&) {
                                return o.job_class == a.job_class;
                              }) >= c.max_running)
      return "cap";
    if (c.rate_per_s > 0 && drawn.contains(a.job_class)) {  // no window holds more than it may
      const auto& times = drawn.at(a.job_class);
      for (size_t i = 0; i < times.size(); ++i) {
        const double may = c.burst + static_cast<double>(now_ms - times[i]) * c.rate_per_s / 1000;
        if (static_cast<double>(times.size() - i + 1) > may + 1e-6) return "rate";
      }
    }
    const auto here = [&](const Held& h) { return h.worker == id; };
    const auto host = [&](const Held& h) { return workers.at(h.worker).spec.host == w.spec.host; };
    const uint64_t at_worker = Count([&](const auto&, const auto& h) { return here(h); });
    if (!w.limit && at_worker >= w.spec.slots) return "slots";
    if (w.limit && (w.sent >= *w.limit || at_worker >= w.spec.slots + 256)) return "credit";
    for (const auto& [resource, amount] : c.resources) {
      uint64_t used = 0;
      for (const auto& [other, held] : out) {
        const auto& needs = ClassOf(known.at(other)).resources;
        if (here(held) && needs.contains(resource)) used += needs.at(resource);
      }
      const auto has = w.spec.resources.find(resource);
      if (used + amount > (has == w.spec.resources.end() ? 0 : has->second)) return "resources";
    }
    if (a.solitary && at_worker > 0) return "not alone";
    if (Count([&](const auto& o, const auto& h) { return here(h) && o.solitary; }) > 0)
      return "disturbs a solitary one";
    if (Count([&](const auto& o, const auto& h) { return host(h) && ClassOf(o).quiet_host; }) > 0)
      return "disturbs a quiet one";
    if (c.quiet_host &&
        Count([&](const auto& o, const auto& h) { return host(h) && !ClassOf(o).light; }) > 0)
      return "not silent";
    return "";
  }
};

class History {
 public:
  explicit History(uint64_t seed) : random_(seed) {
    for (uint32_t i = 0; i < kRuns; ++i) AddRun();
    for (int i = 0; i < 3; ++i) AddWorker(false);
  }

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      Step();
      const std::string wrong = rig_.placer.Audit();
      REQUIRE_MESSAGE(wrong == "", wrong);
      REQUIRE(rig_.placer.out() == reference_.out.size());
      REQUIRE(rig_.placer.ready() == reference_.known.size() - reference_.out.size());
    }
    Drain();
  }

 private:
  uint32_t Pick(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  bool Chance(uint32_t percent) { return Pick(100) < percent; }
  template <typename Map>
  auto Any(Map& map) {
    return std::next(map.begin(), Pick(static_cast<uint32_t>(map.size())));
  }

  void AddRun() {
    runs_.insert(++last_run_);
    rig_.placer.AddRun(last_run_, 1 + last_run_ % 3);
    for (int i = 0; i < 4; ++i) AddClass(last_run_);
  }

  void AddClass(uint32_t run) {
    static const std::string kStages[] = {"compile", "verify", "profile"};
    JobClass c = Does(kStages[Pick(3)], run);
    c.priority = static_cast<int32_t>(Pick(5)) - 2;
    if (Chance(25)) c.max_running = 1 + Pick(3);
    if (Chance(20)) c.rate_per_s = 1 + Pick(50);
    c.burst = 1 + Pick(3);
    if (Chance(30)) c.resources["device"] = 1 + Pick(2);
    if (Chance(20)) c.labels["model"] = Chance(50) ? "x" : "y";
    c.quiet_host = Chance(15);
    c.light = !c.quiet_host && Chance(25);
    if (Chance(30)) c.queued_limit_ms = 1 + Pick(300);
    if (Chance(30)) c.running_limit_ms = 1 + Pick(300);
    if (Chance(30)) c.progress_limit_ms = 1 + Pick(100);
    if (Chance(20)) c.expected_ms = Pick(100);
    const uint32_t number = rig_.placer.AddClass(c);
    reference_.classes[number] = c;
    reference_.live_classes.insert(number);
    reference_.drawn.erase(number);
  }

  void AddWorker(bool able) {
    WorkerSpec spec = Spec({"compile"}, 1 + Pick(4), Chance(50) ? "a" : "b");
    if (able || Chance(60)) spec.stages.push_back("verify");
    if (able || Chance(60)) spec.stages.push_back("profile");
    if (able || Chance(60)) spec.resources["device"] = able ? 4 : 1 + Pick(3);
    if (able || Chance(60)) spec.labels["model"] = Chance(50) ? "x" : "y";
    if (!able && Chance(20)) spec.expires_at_ms = now_ms_ + Pick(1000);
    rig_.placer.AddWorker(++last_worker_, spec);
    reference_.workers[last_worker_].spec = spec;
  }

  void Step() {
    Reference& r = reference_;
    const uint32_t what = Pick(100);
    if (what < 30) return AddReady();
    if (what < 55) return Place();
    if (what < 70) {
      if (!r.out.empty()) Finish(Any(r.out)->first);
    } else if (what < 75) {
      now_ms_ += Pick(40);
    } else if (what < 80) {
      if (!r.out.empty()) rig_.placer.Taken(Any(r.out)->first, now_ms_);
      if (!r.out.empty()) rig_.placer.Progressed(Any(r.out)->first, now_ms_);
    } else if (what < 83) {
      if (!r.out.empty()) Return(Any(r.out)->first);
    } else if (what < 86) {
      if (!r.known.empty()) Withdraw(Any(r.known)->first);
    } else if (what < 88) {
      if (!r.known.empty() && !r.workers.empty()) Adopt(Any(r.known)->first, Any(r.workers)->first);
    } else if (what < 90) {
      if (r.workers.size() < 6) AddWorker(false);
    } else if (what < 91) {
      if (!r.workers.empty()) RemoveWorker(Any(r.workers)->first);
    } else if (what < 92) {
      if (r.workers.empty()) return;
      const WorkerId id = Any(r.workers)->first;
      rig_.placer.DrainWorker(id);
      r.workers[id].draining = true;
    } else if (what < 95) {
      if (r.workers.empty()) return;
      auto& [id, worker] = *Any(r.workers);
      const uint64_t limit = worker.sent + Pick(6);
      rig_.placer.SetCredit(id, limit);
      worker.limit = std::max(limit, worker.limit.value_or(worker.sent));
    } else if (what < 97) {
      if (Chance(10)) return RemoveRun(*Any(runs_));
      const uint32_t run = *Any(runs_);
      const bool hold = !r.paused.contains(run);
      rig_.placer.HoldRun(run, hold, now_ms_);
      hold ? (void)r.paused.insert(run) : (void)r.paused.erase(run);
    } else if (what < 98) {
      for (const auto& expired : rig_.placer.TakeExpired(now_ms_)) {
        REQUIRE(r.known.contains(expired.id));
        if (Chance(80)) Withdraw(expired.id);
      }
    } else if (what < 99) {
      for (const auto& retracted : rig_.placer.TakeRetractions(now_ms_)) {
        REQUIRE(r.out.at(retracted.id).worker == retracted.worker);
        if (Chance(70)) Return(retracted.id);
      }
    } else {
      for (const auto& [id, attempt] : r.known) REQUIRE(rig_.placer.Explain(id, now_ms_) != "");
    }
  }

  void AddReady() {
    const uint32_t number = *Any(reference_.live_classes);
    const JobClass& c = reference_.classes[number];
    ReadyAttempt attempt{Id(++last_attempt_, c.run), number, Chance(10) ? now_ms_ + Pick(50) : 0,
                         Chance(8)};
    REQUIRE(rig_.placer.Ready(attempt, now_ms_));
    reference_.known[attempt.id] = attempt;
  }

  void Place() {
    Reference& r = reference_;
    std::erase_if(r.out, [&](const auto& entry) {
      if (entry.second.given_up_ms > now_ms_) return false;
      r.known.erase(entry.first);
      return true;
    });
    if (Chance(5)) {
      REQUIRE(rig_.placer.Place(now_ms_, /*holding=*/true).empty());
      return;
    }
    for (const auto& p : rig_.placer.Place(now_ms_)) {
      REQUIRE(r.known.contains(p.id));
      REQUIRE_FALSE(r.out.contains(p.id));
      const std::string rule = r.Forbids(r.known[p.id], p.worker, now_ms_);
      REQUIRE_MESSAGE(rule == "", rule);
      r.out[p.id] = {p.worker, false, false};
      ++r.workers[p.worker].sent;
      r.drawn[r.known[p.id].job_class].push_back(now_ms_);
    }
    // Nothing is left that could go, but what waits for silence may keep others back.
    for (const auto& [id, attempt] : r.known) {
      if (!r.out.contains(id) && (attempt.solitary || r.ClassOf(attempt).quiet_host)) return;
    }
    for (const auto& [id, attempt] : r.known) {
      if (r.out.contains(id)) continue;
      for (const auto& [worker, has] : r.workers) {
        // How far it is sent ahead is the placer's to say.
        if (has.limit && r.Count([&](const auto&, const auto& h) { return h.worker == worker; }) >=
                             has.spec.slots)
          continue;
        const std::string rule = r.Forbids(attempt, worker, now_ms_);
        REQUIRE_MESSAGE(rule != "", rig_.placer.Explain(id, now_ms_));
      }
    }
  }

  void Finish(AttemptId id) {
    rig_.placer.Finished(id, Chance(30) ? 0.05 * Pick(10) : Pick(100));
    reference_.out.erase(id);
    reference_.known.erase(id);
  }
  void Return(AttemptId id) {
    rig_.placer.Returned(id, now_ms_);
    const Reference::Held held = reference_.out.at(id);
    reference_.out.erase(id);
    // The placer itself ends what ran into a limit.
    if (held.withdrawn || rig_.placer.Explain(id, now_ms_).starts_with("is not known")) {
      reference_.known.erase(id);
    } else {
      reference_.known[id].not_before_ms = 0;
    }
  }
  void Withdraw(AttemptId id) {
    const auto worker = rig_.placer.Withdraw(id);
    const auto held = reference_.out.find(id);
    REQUIRE(worker.has_value() == (held != reference_.out.end()));
    if (held == reference_.out.end()) {
      reference_.known.erase(id);
    } else {
      REQUIRE(*worker == held->second.worker);
      held->second.withdrawn = true;
    }
  }
  void Adopt(AttemptId id, WorkerId worker) {
    const bool adopted = rig_.placer.Adopt(worker, id, now_ms_);
    REQUIRE(adopted == !reference_.out.contains(id));
    if (adopted) reference_.out[id] = {worker, true, false};
  }
  void RemoveRun(uint32_t run) {
    Reference& r = reference_;
    for (const auto& out : rig_.placer.RemoveRun(run, now_ms_)) {
      Reference::Held& held = r.out.at(out.id);
      REQUIRE(held.worker == out.worker);
      held.withdrawn = true;
      held.given_up_ms = now_ms_ + Placer::kOrphanMs;
    }
    std::erase_if(r.known, [&](const auto& entry) {
      return entry.first.run == run && !r.out.contains(entry.first);
    });
    for (const auto& [id, held] : r.out)
      REQUIRE((id.run != run || held.given_up_ms != INT64_MAX));  // all of it was told
    std::erase_if(r.live_classes, [&](uint32_t number) { return r.classes[number].run == run; });
    r.paused.erase(run);
    runs_.erase(run);
    AddRun();
  }
  void RemoveWorker(WorkerId id) {
    for (const auto& out : rig_.placer.RemoveWorker(id)) {
      REQUIRE(reference_.out.at(out.id).worker == id);
      reference_.out.erase(out.id);
      reference_.known.erase(out.id);
    }
    std::erase_if(reference_.out, [&](const auto& entry) {
      if (entry.second.worker != id || entry.second.given_up_ms == INT64_MAX) return false;
      reference_.known.erase(entry.first);
      return true;
    });
    REQUIRE(reference_.Count([&](const auto&, const auto& h) { return h.worker == id; }) == 0);
    reference_.workers.erase(id);
  }

  // With workers that can do everything, and nothing new, all is placed before long.
  void Drain() {
    for (const uint32_t run : std::set<uint32_t>(reference_.paused))
      rig_.placer.HoldRun(run, false, now_ms_);
    reference_.paused.clear();
    for (const char* model : {"x", "y"}) {
      WorkerSpec spec = Spec({"compile", "verify", "profile"}, 2, model);
      spec.resources["device"] = 4;
      spec.labels["model"] = model;
      rig_.placer.AddWorker(++last_worker_, spec);
      reference_.workers[last_worker_].spec = spec;
    }
    for (int round = 0; !reference_.known.empty(); ++round) {
      if (round == 5000) {
        for (const auto& [id, attempt] : reference_.known) FAIL(rig_.placer.Explain(id, now_ms_));
      }
      Place();
      if (!reference_.out.empty()) Finish(Any(reference_.out)->first);
      now_ms_ += 20;
    }
  }

  std::mt19937_64 random_;
  Rig rig_;
  Reference reference_;
  int64_t now_ms_ = 1000;
  WorkerId last_worker_ = 0;
  uint32_t last_attempt_ = 0;
  uint32_t last_run_ = 0;
  std::set<uint32_t> runs_;
};

TEST_CASE("random histories keep to the rules, leave nothing that could go, and end") {
  for (uint64_t seed = 1; seed <= testing::Seeds(300); ++seed) {
    CAPTURE(seed);
    History(seed).Run(300);
  }
}

TEST_CASE("the same history gives the same placements") {
  const auto placements = [] {
    Placer placer;
    std::mt19937_64 random(5);
    std::vector<uint32_t> classes;
    for (uint32_t run = 0; run < kRuns; ++run)
      classes.push_back(placer.AddClass(Does("tune", run)));
    for (WorkerId w = 1; w <= 5; ++w) placer.AddWorker(w, Spec({"tune"}, 2));
    std::string all;
    std::vector<AttemptId> out;
    for (uint32_t i = 0; i < 2000; ++i) {
      const uint32_t run = static_cast<uint32_t>(random() % kRuns);
      placer.Ready({Id(i, run), classes[run], 0, false}, i);
      for (const auto& p : placer.Place(i)) {
        out.push_back(p.id);
        all += Rig::Text({p}) + " ";
      }
      if (out.size() > 8) {
        placer.Finished(out[0], 1);
        out.erase(out.begin());
      }
    }
    return all;
  };
  CHECK(placements() == placements());
}

}  // namespace
}  // namespace kev
