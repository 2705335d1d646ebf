// SimEngine: an engine process in the simulation: the real Host and run cores between the witness
// and a connection to the server. It begins from what the store has, reconnects to a store that was
// lost, and dies when it is told to, also in the middle of a turn, or when a run of it is broken.
//
// Threads: one at a time. Errors: none; what goes wrong ends the process, as it would a real one.
#ifndef KEV_TOOLS_SIM_SIM_ENGINE_H_
#define KEV_TOOLS_SIM_SIM_ENGINE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/random.h"
#include "engine/core/run_core.h"
#include "engine/host/clock.h"
#include "engine/host/host.h"
#include "queue/fake/memory_network.h"
#include "tools/sim/hooks.h"
#include "tools/sim/ledger.h"
#include "tools/sim/server.h"
#include "tools/sim/story.h"
#include "tools/sim/witness.h"
#include "tools/sim/workload.h"

namespace kev::sim {

// The network's time, from another beginning in each process; it can jump ahead.
class SimClock final : public Clock {
 public:
  SimClock(const MemoryNetwork* network, int64_t begins_ms)
      : network_(network), ahead_ms_(begins_ms) {}
  int64_t NowMs() override { return network_->now_ms() + ahead_ms_; }
  void Jump(int64_t ms) { ahead_ms_ += ms; }

 private:
  const MemoryNetwork* network_;
  int64_t ahead_ms_;
};

class SimEngine {
 public:
  // All of them outlive it.
  struct World {
    SimServer* server;
    Ledger* ledger;
    const std::vector<RunScript>* runs;
    CounterRandom* random;
    Story* story;
    const Hooks* hooks;
  };
  SimEngine(uint64_t number, MemoryNetwork* network, const World& world);
  ~SimEngine() { Die("it is over"); }

  void Turn();
  void Die(const std::string& why);
  void Freeze(bool frozen);
  void CrashAt(CrashPoint point, uint32_t passes) { plan_ = {true, point, passes}; }
  void Disarm() { plan_.armed = false; }
  void Hold(bool holding) {
    if (host_) host_->Hold(holding);
    moved_ = true;
  }
  void DrainWorker(const std::string& name);
  void JumpClock(int64_t ms) { clock_.Jump(ms); }
  void CutStore() {
    if (connection_) connection_->Cut();
    moved_ = true;
  }
  // Posts the next candidates of runs over given ones. False: all are given.
  bool GiveNext();

  bool up() const { return host_ != nullptr; }
  bool frozen() const { return frozen_; }
  bool moved() const { return up() && !frozen_ && moved_; }  // in the last turn
  uint64_t number() const { return number_; }
  MemoryNetwork* network() const { return network_; }
  Host* host() const { return host_.get(); }
  Witness* witness() const { return witness_.get(); }
  int64_t NextMs() const;  // in the network's time
  // By what it said of itself, it has something to do.
  bool Due() const { return network_->HasNews() || NextMs() <= network_->now_ms(); }

  bool AllEnded() const;
  // Every open attempt is somewhere, or waits for something that can be named; what the placer
  // counts is what is there.
  void Audit() const;
  void CompareWithLedger() const;
  // Of a run that does not end: why, as users are told.
  std::string Complaint() const;
  // When all has ended: nothing is left behind.
  void CheckEmpty() const;

 private:
  struct Live {
    const RunScript* script = nullptr;
    std::unique_ptr<RunCore> core;
    HostedRun* run = nullptr;
    uint64_t given = 0;
    bool giving = false;
  };
  void Begin(Live& live, bool keep_ended, int64_t grace_ms);
  std::unique_ptr<RunCore> Recover(const std::string& run, bool keep_ended, uint64_t* snapshot_seq);
  void Connect(const SimStore* before);
  void Take(SessionId session, ClientCall& call);
  // Does what calls the ports; false: the engine died of it.
  bool Survives(const std::function<void()>& what);

  uint64_t number_;
  MemoryNetwork* network_;
  World world_;
  SimClock clock_;
  CrashPlan plan_;
  std::unique_ptr<SimStore> connection_;
  std::unique_ptr<Store> store_;  // what the hooks put before it
  std::unique_ptr<Witness> witness_;
  std::unique_ptr<Transport> transport_;  // likewise
  std::vector<Live> lives_;
  std::unique_ptr<Host> host_;
  std::optional<int64_t> reconnect_at_ms_;
  bool frozen_ = false;
  bool moved_ = false;
};

}  // namespace kev::sim

#endif  // KEV_TOOLS_SIM_SIM_ENGINE_H_
