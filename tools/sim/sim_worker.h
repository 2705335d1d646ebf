// SimWorker: a worker in the simulation: the real worker protocol with handlers that take a drawn
// time and meet a drawn fate. Its process can crash, stop for a while, drain, end with its
// allocation, lie, and be started again under a new name, as real ones are.
//
// Threads: one at a time. Errors: none of its own.
#ifndef KEV_TOOLS_SIM_SIM_WORKER_H_
#define KEV_TOOLS_SIM_SIM_WORKER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/random.h"
#include "queue/fake/memory_network.h"
#include "queue/worker_protocol.h"
#include "tools/sim/answers.h"
#include "tools/sim/hooks.h"
#include "tools/sim/peer_tap.h"
#include "tools/sim/story.h"

namespace kev::sim {

struct WorkerKind {
  std::string host;
  std::vector<std::string> stages;
  uint32_t slots = 1;
  std::map<std::string, uint32_t> resources;
  std::map<std::string, std::string> labels;
  std::optional<uint32_t> prefetch;
  int64_t job_us = 50'000;  // mean time of a job
  int64_t lives_ms = 0;     // its allocation; 0: it does not end
  int64_t engine_lost_grace_ms = 30'000;
  int64_t delay_us = 500;  // of its messages, at most
  Fates fates;
};

class SimWorker {
 public:
  SimWorker(uint32_t number, WorkerKind kind, uint64_t seed, Story* story, const Hooks* hooks);

  void Start(MemoryNetwork* network);
  void Crash(bool engine_notices);
  void Freeze(bool frozen);
  void Drain() {
    if (protocol_) protocol_->Drain("it was told to");
  }
  void Lie(std::optional<Forgery> victim) {
    if (tap_) tap_->Lie(std::move(victim));
  }
  void Claim(Forgery victim) {
    if (tap_) tap_->Claim(std::move(victim));
  }
  // The engine is elsewhere now.
  void Move(MemoryNetwork* network);
  void Work();
  // From now on jobs only fail as kernels do.
  void Calm();

  bool up() const { return protocol_ != nullptr; }
  bool frozen() const { return frozen_; }
  MemoryNetwork* network() const { return network_; }
  MemoryNetwork::Link link() const { return link_; }
  const std::string& name() const { return name_; }
  const WorkerKind& kind() const { return kind_; }
  int64_t NextMs() const;  // when a handler has something to do
  bool Empty() const;      // has nothing in hand and nothing to tell

  int64_t restart_at_ms = 0;  // while it is down

  // What it was told of a run's history.
  std::function<void(const HistoryQuestion&)> on_history;

 private:
  struct Handler {
    WorkerInventory::Begun begun;
    Fate fate = Fate::kGood;
    Answer answer;
    uint64_t fingerprint = 0;
    int64_t end_us = 0;
    int64_t progress_us = INT64_MAX;
    bool stopped = false;
  };
  void Begin(WorkerInventory::Begun begun, int64_t now_us);
  bool Step(Handler& handler, int64_t now_us);
  void End(Handler& handler, int64_t now_us);
  void Exit();
  PeerProtocol* peer() { return hook_ ? hook_.get() : tap_.get(); }

  uint32_t number_;
  WorkerKind kind_;
  uint64_t seed_;
  CounterRandom random_;
  Story* story_;
  const Hooks* hooks_;
  uint32_t life_ = 0;
  std::string name_;
  MemoryNetwork* network_ = nullptr;
  MemoryNetwork::Link link_ = 0;
  bool frozen_ = false;
  int64_t ends_us_ = INT64_MAX;
  std::unique_ptr<WorkerProtocol> protocol_;
  std::unique_ptr<PeerTap> tap_;
  std::unique_ptr<PeerProtocol> hook_;
  std::vector<Handler> handlers_;
  std::vector<std::shared_ptr<const HistoryQuestion>> questions_;
};

}  // namespace kev::sim

#endif  // KEV_TOOLS_SIM_SIM_WORKER_H_
