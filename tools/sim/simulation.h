// Simulation: one seed. Engines, workers, an operator, a network and a store in virtual time, and a
// time of trouble (faults.h) followed by calm, in which every run must come to its end.
//
// The real parts: RunCore, Placer, Host, HostedRun, EngineProtocol, WorkerProtocol, ClientProtocol
// and the bytes between them. The same seed and steps give the same story. Threads: none; seeds are
// independent of each other. Errors: the first violation.
#ifndef KEV_TOOLS_SIM_SIMULATION_H_
#define KEV_TOOLS_SIM_SIMULATION_H_

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/random.h"
#include "queue/fake/memory_network.h"
#include "tools/sim/ledger.h"
#include "tools/sim/operator.h"
#include "tools/sim/server.h"
#include "tools/sim/sim_engine.h"
#include "tools/sim/sim_worker.h"
#include "tools/sim/story.h"
#include "tools/sim/workload.h"

namespace kev::sim {

struct SimulationOptions {
  uint64_t seed = 1;
  uint64_t steps = 1500;             // of trouble
  std::ostream* listener = nullptr;  // gets the trace
  Hooks hooks;
};

struct SimulationOutcome {
  Tally tally;
  std::optional<std::string> violation;
};

SimulationOutcome Simulate(const SimulationOptions& options);

class Simulation {
 public:
  explicit Simulation(const SimulationOptions& options);
  SimulationOutcome Run();

 private:
  // simulation.cc
  void Step(int64_t most_ms);
  int64_t NextMs(int64_t most_ms) const;
  void Revive();
  void Calm();
  void Finish();
  void StartEngine();
  void BuryZombie();
  bool over() const { return story_.violation().has_value(); }
  MemoryNetwork* network() { return networks_[active_].get(); }

  // faults.cc
  void DrawTrouble();
  void Trouble();
  void HarmLink(SimWorker& worker);
  void HarmWorker(SimWorker& worker);
  void HarmEngine();
  void HarmStore();
  void GiveOrder();
  void TakeOver();
  void Later(int64_t after_ms, std::function<void()> what);
  void DoLater(bool all);
  bool Chance(uint64_t n) { return random_.Below(n) == 0; }
  int64_t Between(int64_t least, int64_t most) {
    return least + static_cast<int64_t>(random_.Below(static_cast<uint64_t>(most - least + 1)));
  }

  SimulationOptions options_;
  CounterRandom random_;
  Story story_;
  std::vector<RunScript> runs_;
  Ledger ledger_;
  SimServer server_;
  std::array<std::unique_ptr<MemoryNetwork>, 2> networks_;  // an engine that takes over has its own
  size_t active_ = 0;
  int64_t now_ms_ = 0;
  std::deque<SimWorker> workers_;
  Operator operator_;
  uint64_t engines_ = 0;
  std::unique_ptr<SimEngine> engine_;
  std::unique_ptr<SimEngine> zombie_;  // was taken over and may not know it
  int64_t engine_restart_ms_ = 0;
  int64_t next_give_ms_ = 0;

  bool calm_ = false;
  bool lazy_ = false;  // the engine's loop turns only when it has said that it must
  int64_t next_trouble_ms_ = 0;
  int64_t trouble_every_ms_ = 1000;
  std::vector<uint32_t> weights_;
  uint64_t later_order_ = 0;
  std::map<std::pair<int64_t, uint64_t>, std::function<void()>> later_;
};

}  // namespace kev::sim

#endif  // KEV_TOOLS_SIM_SIMULATION_H_
