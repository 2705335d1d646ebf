// The time of trouble: what goes wrong, how often, and for how long. Each seed has its own mixture.
#include <algorithm>

#include "tools/sim/simulation.h"

namespace kev::sim {
namespace {

enum Kind : size_t { kLink, kWorker, kEngine, kTakeOver, kStore, kOrder, kKinds };

using Direction = MemoryNetwork::Direction;

}  // namespace

void Simulation::DrawTrouble() {
  static constexpr uint64_t kMost[kKinds] = {8, 6, 4, 2, 4, 4};
  weights_.assign(kKinds, 0);
  for (size_t i = 0; i < kKinds; ++i) {
    if (!Chance(3)) weights_[i] = static_cast<uint32_t>(random_.Below(kMost[i] + 1));
  }
  trouble_every_ms_ = Between(50, Chance(2) ? 300 : 2500);
  if (Chance(3)) server_.SetDelays(Between(0, 30), Between(0, 30));
}

void Simulation::Later(int64_t after_ms, std::function<void()> what) {
  later_[{now_ms_ + after_ms, ++later_order_}] = std::move(what);
}

void Simulation::DoLater(bool all) {
  while (!later_.empty() && (all || later_.begin()->first.first <= now_ms_)) {
    const auto what = std::move(later_.begin()->second);
    later_.erase(later_.begin());
    what();
  }
}

void Simulation::Trouble() {
  if (now_ms_ < next_trouble_ms_) return;
  next_trouble_ms_ = now_ms_ + 1 + Between(0, 2 * trouble_every_ms_);
  uint64_t sum = 0;
  for (const uint32_t weight : weights_) sum += weight;
  if (sum == 0) return;
  uint64_t drawn = random_.Below(sum);
  size_t kind = 0;
  while (drawn >= weights_[kind]) drawn -= weights_[kind++];
  SimWorker& worker = workers_[random_.Below(workers_.size())];
  switch (kind) {
    case kLink:
      return HarmLink(worker);
    case kWorker:
      return HarmWorker(worker);
    case kEngine:
      return HarmEngine();
    case kTakeOver:
      return TakeOver();
    case kStore:
      return HarmStore();
    default:
      return GiveOrder();
  }
}

void Simulation::HarmLink(SimWorker& worker) {
  if (!worker.up()) return;
  MemoryNetwork* network = worker.network();
  const MemoryNetwork::Link link = worker.link();
  // The link may be gone, or be another's, when the time comes to mend it.
  const auto mend = [&](int64_t most_ms, const std::function<void(MemoryNetwork*)>& how) {
    Later(Between(10, most_ms), [network, how] { how(network); });
  };
  switch (random_.Below(6)) {
    case 0:
    case 1: {
      const auto fate = static_cast<MemoryNetwork::InFlight>(random_.Below(3));
      const MemoryNetwork::Notice notice{Chance(2), Chance(2)};
      ++story_.tally.cuts;
      if (story_.told()) story_.Tell("the connection of " + worker.name() + " is cut");
      return network->Cut(link, fate, notice);
    }
    case 2:
    case 3: {
      const auto direction = Chance(2) ? Direction::kToEngine : Direction::kToPeer;
      if (story_.told()) {
        story_.Tell("nothing gets through " +
                    std::string(direction == Direction::kToEngine ? "from " : "to ") +
                    worker.name());
      }
      network->Block(link, direction, true);
      return mend(Chance(2) ? 1000 : 9000,
                  [link, direction](MemoryNetwork* n) { n->Block(link, direction, false); });
    }
    case 4:
      network->Jam(link, true);
      return mend(2000, [link](MemoryNetwork* n) { n->Jam(link, false); });
    default: {
      const int64_t slow = Between(1000, 400'000);
      const int64_t usual = worker.kind().delay_us;
      network->Delay(link, slow / 4, slow);
      return mend(5000, [link, usual](MemoryNetwork* n) { n->Delay(link, 50, usual); });
    }
  }
}

void Simulation::HarmWorker(SimWorker& worker) {
  if (!worker.up()) return;
  switch (random_.Below(6)) {
    case 0:
      return worker.Crash(Chance(2));
    case 1:
    case 2:
      worker.Freeze(true);
      return Later(Chance(2) ? Between(10, 1500) : Between(1000, 12'000),
                   [&worker] { worker.Freeze(false); });
    case 3:
      return worker.Drain();
    case 4:
      if (engine_->up() && !engine_->frozen()) engine_->DrainWorker(worker.name());
      return;
    default: {
      std::optional<Forgery> victim;
      if (engine_->up() && !Chance(4)) {
        if (const auto any = engine_->witness()->Any(random_.Next()))
          victim = Forgery{std::get<0>(*any), std::get<1>(*any), std::get<2>(*any)};
      }
      if (victim && Chance(3)) return worker.Claim(*victim);
      return worker.Lie(std::move(victim));
    }
  }
}

void Simulation::HarmEngine() {
  if (!engine_->up()) return;
  switch (random_.Below(8)) {
    case 0:
    case 1:
      return engine_->Die("killed");
    case 2:
    case 3:
    case 4:
      return engine_->CrashAt(static_cast<CrashPoint>(random_.Below(kCrashPoints)),
                              static_cast<uint32_t>(random_.Below(6)));
    case 5:
      engine_->Freeze(true);
      return Later(Chance(2) ? Between(10, 1000) : Between(1000, 9000),
                   [this] { engine_->Freeze(false); });
    case 6:
      if (story_.told()) story_.Tell("the clock jumps");
      return engine_->JumpClock(Between(100, Chance(3) ? 600'000 : 10'000));
    default:
      engine_->Hold(true);
      return Later(Between(10, 3000), [this] { engine_->Hold(false); });
  }
}

// A second engine begins on the same runs. The first one may be frozen, busy or cut off; it finds
// out by its next commit, and some workers are still with it.
void Simulation::TakeOver() {
  if (zombie_ || !engine_->up() || !server_.alive()) return;
  ++story_.tally.takeovers;
  engine_->Disarm();
  if (Chance(3)) engine_->CutStore();
  zombie_ = std::move(engine_);
  if (Chance(3)) {
    zombie_->Freeze(true);
    Later(Between(10, 6000), [this] {
      if (zombie_) zombie_->Freeze(false);
    });
  }
  active_ = 1 - active_;
  networks_[active_]->Advance(now_ms_);
  StartEngine();
  for (SimWorker& worker : workers_) {
    if (!Chance(3)) Later(Between(0, 4000), [this, &worker] { worker.Move(network()); });
  }
  Later(Between(0, 4000), [this] { operator_.Move(network()); });
  Later(20'000, [this, number = zombie_->number()] {
    if (zombie_ && zombie_->number() == number) zombie_->Die("nobody needs it");
  });
}

void Simulation::HarmStore() {
  switch (random_.Below(6)) {
    case 0:
    case 1:
      if (story_.told()) story_.Tell("the store is slow");
      server_.SetDelays(Between(10, 800), Between(10, 300));
      return Later(Between(100, 3000), [this] { server_.SetDelays(2, 2); });
    case 2:
    case 3:
      if (!engine_->up()) return;
      if (story_.told()) story_.Tell("the connection to the store is cut");
      return engine_->CutStore();
    default: {
      if (!server_.alive()) return;
      const bool power = Chance(3);  // the engine's machine as well
      // While an engine that was taken over still acts, what it knows of a lost tail is nobody's.
      const bool tail = Chance(2) && !zombie_;
      if (story_.told()) story_.Tell(power ? "the power fails" : "the server dies");
      if (power) engine_->Die("killed with the server");
      server_.Crash(tail);
      return Later(Between(10, 4000), [this] { server_.Start(); });
    }
  }
}

void Simulation::GiveOrder() {
  const RunScript& run = runs_[random_.Below(runs_.size())];
  const RunCore* core = ledger_.Core(run.name);
  if (core == nullptr || operator_.open() > 4) return;
  Value data;
  switch (random_.Below(10)) {
    case 0:
    case 1:
    case 2:
      operator_.Order(run.name, "pause", data);
      return Later(Between(50, 8000),
                   [this, name = run.name] { operator_.Order(name, "resume", Value()); });
    case 3:
      return operator_.Order(run.name, "resume", data);
    case 4:
    case 5:
      if (run.plan.given) return;
      data.Set("candidates", Between(1, 30));
      if (Chance(3)) data.Set("wall_ms", Between(3000, 100'000));
      return operator_.Order(run.name, "budget", data);
    case 6:
      if (!Chance(6)) return;
      return operator_.Order(run.name, "cancel", data);
    default: {
      const auto& dead = core->dead_letters();
      if (dead.empty()) return;
      const DeadLetter& letter = dead[random_.Below(dead.size())];
      data.Set("job", core->Label(letter.key, letter.attempt));
      return operator_.Order(run.name, Chance(3) ? "drop_dead" : "retry_dead", data);
    }
  }
}

}  // namespace kev::sim
