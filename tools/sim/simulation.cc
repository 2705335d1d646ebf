#include "tools/sim/simulation.h"

#include <algorithm>

namespace kev::sim {
namespace {

constexpr int64_t kStepMs = 20;       // at most, while there is trouble
constexpr int64_t kCalmStepMs = 100;  // at most, after it
constexpr int64_t kEndsInMs = 40 * 60'000;
constexpr int64_t kSettlesInMs = 15'000;
constexpr uint64_t kAuditEach = 48;  // steps
constexpr uint64_t kCompareEach = 160;

}  // namespace

SimulationOutcome Simulate(const SimulationOptions& options) { return Simulation(options).Run(); }

Simulation::Simulation(const SimulationOptions& options)
    : options_(options),
      random_(options.seed, "simulation"),
      story_(options.listener),
      runs_(DrawWorkload(random_)),
      ledger_(&story_, 1 + random_.Below(12)),
      server_(options.seed, random_.Below(3) != 0, &story_, &ledger_),
      operator_(&story_) {
  for (uint64_t i = 0; i < networks_.size(); ++i)
    networks_[i] = std::make_unique<MemoryNetwork>(options.seed * 2 + i);
  ledger_.on_lost = [this](uint64_t number, const std::string& run,
                           const Ledger::AttemptOf& attempt) {
    for (const auto* engine : {engine_.get(), zombie_.get()}) {
      if (engine != nullptr && engine->up() && engine->number() == number)
        engine->witness()->Lost(run, attempt);
    }
  };
  ledger_.has_blob = [this](const std::string& sha256) { return server_.Has(sha256); };
  lazy_ = Chance(2);
  const uint64_t count = 2 + random_.Below(6);
  for (uint32_t i = 0; i <= count; ++i) {
    WorkerKind kind;
    kind.host = "h" + std::to_string(random_.Below(3));
    kind.slots = 1 + static_cast<uint32_t>(random_.Below(3));
    if (Chance(3)) kind.prefetch = static_cast<uint32_t>(random_.Below(6));
    kind.job_us = Between(500, Chance(3) ? 400'000 : 60'000);
    kind.delay_us = Chance(3) ? Between(100, 20'000) : 500;
    kind.engine_lost_grace_ms = Chance(3) ? 6000 : 30'000;
    kind.fates = {static_cast<uint32_t>(random_.Below(25)), static_cast<uint32_t>(random_.Below(8)),
                  static_cast<uint32_t>(random_.Below(3)), static_cast<uint32_t>(random_.Below(4)),
                  static_cast<uint32_t>(random_.Below(3))};
    if (i == 0) {  // can do everything, so that every run can end
      kind.stages = AllStages();
      kind.slots = 2;
      kind.resources["device"] = 2;
      kind.labels["gpu"] = "h100";
    } else {
      for (const std::string& stage : AllStages()) {
        if (Chance(2)) kind.stages.push_back(stage);
      }
      if (kind.stages.empty()) kind.stages.push_back("compile");
      if (Chance(2)) kind.resources["device"] = static_cast<uint32_t>(1 + random_.Below(3));
      if (Chance(2)) kind.labels["gpu"] = Chance(2) ? "h200" : "a100";
      if (Chance(8)) kind.lives_ms = Between(5000, 60'000);
    }
    workers_.emplace_back(i, kind, options.seed, &story_, &options_.hooks);
    workers_.back().on_history = [this](const HistoryQuestion& question) {
      // What a server has lost since may have been said.
      if (!server_.strict()) return;
      size_t at = 0;
      for (const auto& commit : server_.WholeLog(question.wanted.run)) {
        if (commit->expected_seq >= question.wanted.to) break;
        if (at >= question.groups.size() || question.groups[at++] != commit->body)
          return story_.Violate("a worker was told another history of " + question.wanted.run);
      }
    };
  }
  DrawTrouble();
}

SimulationOutcome Simulation::Run() {
  if (story_.told()) {
    story_.Tell("seed " + std::to_string(options_.seed) + ": " + std::to_string(runs_.size()) +
                " runs, " + std::to_string(workers_.size()) + " workers, " +
                (server_.strict() ? "strict" : "normal"));
    for (const RunScript& run : runs_) story_.Tell(run.name + " " + ToJson(ToValue(run.plan)));
  }
  StartEngine();
  operator_.Start(network());
  for (SimWorker& worker : workers_) {
    worker.restart_at_ms = Chance(4) ? Between(0, 4000) : 0;  // some join late
  }
  for (uint64_t step = 0; step < options_.steps && !over(); ++step) {
    Step(kStepMs);
    Trouble();
  }
  if (!over()) Calm();
  if (!over()) Finish();
  story_.tally.virtual_ms = now_ms_;
  return {story_.tally, story_.violation()};
}

void Simulation::StartEngine() {
  engine_ = std::make_unique<SimEngine>(
      ++engines_, network(),
      SimEngine::World{&server_, &ledger_, &runs_, &random_, &story_, &options_.hooks});
}

int64_t Simulation::NextMs(int64_t most_ms) const {
  int64_t next = now_ms_ + most_ms;
  for (const SimWorker& worker : workers_)
    next = std::min(next, worker.up() ? worker.NextMs() : worker.restart_at_ms);
  next = std::min(next, server_.NextMs());
  if (engine_->moved()) return now_ms_;
  next = std::min(next, engine_->up() ? engine_->NextMs() : engine_restart_ms_);
  if (!later_.empty()) next = std::min(next, later_.begin()->first.first);
  if (!calm_) next = std::min(next, next_trouble_ms_);
  return std::max(next, now_ms_ + 1);
}

void Simulation::Step(int64_t most_ms) {
  ++story_.tally.steps;
  network()->Advance(NextMs(most_ms), /*to_news=*/engine_->up() && !engine_->frozen());
  now_ms_ = std::max(now_ms_, network()->now_ms());
  networks_[1 - active_]->Advance(now_ms_);
  story_.now_ms = now_ms_;
  server_.Advance(now_ms_);
  DoLater(/*all=*/false);
  Revive();
  for (SimWorker& worker : workers_) worker.Work();
  operator_.Work();
  if (!lazy_ || engine_->Due()) engine_->Turn();
  if (zombie_) {
    zombie_->Turn();
    if (!zombie_->up()) BuryZombie();
  }
  if (now_ms_ >= next_give_ms_ && engine_->up() && !engine_->frozen()) {
    engine_->GiveNext();
    next_give_ms_ = now_ms_ + (calm_ ? 100 : Between(10, 4000));
  }
  if (story_.tally.steps % kAuditEach == 0) engine_->Audit();
  if (story_.tally.steps % kCompareEach == 0) engine_->CompareWithLedger();
}

// Processes that are down are started again in their time, as by those who watch over them.
void Simulation::Revive() {
  for (SimWorker& worker : workers_) {
    if (!worker.up() && now_ms_ >= worker.restart_at_ms) worker.Start(network());
  }
  if (engine_->up()) {
    engine_restart_ms_ = 0;
  } else if (engine_restart_ms_ == 0) {
    engine_restart_ms_ = now_ms_ + (calm_ ? 100 : Between(5, 3000));
  } else if (now_ms_ >= engine_restart_ms_ && server_.alive()) {
    ++story_.tally.restarts;
    engine_restart_ms_ = 0;
    StartEngine();
  }
}

// What was with the engine that was taken over finds the new one.
void Simulation::BuryZombie() {
  zombie_.reset();
  for (SimWorker& worker : workers_) worker.Move(network());
  operator_.Move(network());
}

void Simulation::Calm() {
  story_.Tell("the trouble is over");
  calm_ = true;
  DoLater(/*all=*/true);
  if (!server_.alive()) server_.Start();
  server_.SetDelays(2, 2);
  engine_->Disarm();
  engine_->Freeze(false);
  engine_->Hold(false);
  for (SimWorker& worker : workers_) worker.Calm();
  if (zombie_) zombie_->Die("nobody needs it");
  BuryZombie();
  const int64_t until = now_ms_ + kEndsInMs;
  int64_t next_resume = now_ms_;
  // An order on its way may open a run again.
  while (!over() && (!engine_->AllEnded() || operator_.open() > 0)) {
    if (now_ms_ > until) {
      return story_.Violate(engine_->AllEnded() ? "an order was never answered"
                                                : engine_->Complaint());
    }
    Step(kCalmStepMs);
    if (now_ms_ < next_resume || operator_.open() > 0) continue;
    next_resume = now_ms_ + 2000;
    for (const RunScript& run : runs_) {
      const RunCore* core = ledger_.Core(run.name);
      if (core != nullptr && core->paused() && core->phase() != Phase::kEnded)
        operator_.Order(run.name, "resume", Value());
    }
  }
}

void Simulation::Finish() {
  const int64_t until = now_ms_ + kSettlesInMs;
  while (!over() && now_ms_ < until) Step(kCalmStepMs);
  if (over()) return;
  engine_->Audit();
  engine_->CheckEmpty();
  for (const SimWorker& worker : workers_) {
    if (!worker.Empty()) story_.Violate(worker.name() + " still has something in hand");
  }
  if (operator_.open() > 0) story_.Violate("an order was never answered");
  engine_->CompareWithLedger();
  for (const RunScript& run : runs_) {
    ledger_.Close(run.name, server_.WholeLog(run.name), server_.Records(run.name));
  }
}

}  // namespace kev::sim
