// SimServer: the simulated store: one server whose log and records outlive engines, and SimStore,
// an engine's connection to it. In virtual time: a commit takes effect after a while, its answer
// comes after another; both in order. A connection can be lost with commits whose outcome the
// engine does not know: some have taken effect, some never will, and some still do. The server can
// die and come back; with `normal` durability it may have lost its newest second.
//
// Threads: one at a time. Errors: as the Store port says.
#ifndef KEV_TOOLS_SIM_SERVER_H_
#define KEV_TOOLS_SIM_SERVER_H_

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/random.h"
#include "engine/core/run_core.h"
#include "engine/host/store.h"
#include "tools/sim/ledger.h"
#include "tools/sim/story.h"

namespace kev::sim {

// An engine dies when a port that it calls throws this: in the middle of a turn, where no return
// value could stop it. Caught in SimEngine and nowhere else.
struct EngineDies {
  CrashPoint at;
};
// Where it is to die next, and after how many passes of that point.
struct CrashPlan {
  bool armed = false;
  CrashPoint at = CrashPoint::kBeforeSubmit;
  uint32_t passes = 0;
  void Pass(CrashPoint point) {
    if (!armed || point != at || passes-- > 0) return;
    armed = false;
    throw EngineDies{point};
  }
};

class SimStore;

class SimServer {
 public:
  SimServer(uint64_t seed, bool strict, Story* story, Ledger* ledger)
      : random_(seed, "server"), strict_(strict), story_(story), ledger_(ledger) {}

  using Log = std::vector<std::shared_ptr<const Commit>>;

  // Calls of a starting engine, at once. REQUIRES: alive().
  uint64_t TakeEpoch(const std::string& run, uint64_t engine);
  Log WholeLog(const std::string& run) const;
  const Projections& Records(const std::string& run) { return runs_[run].records; }
  std::pair<uint64_t, RunCore::SnapshotFields> Snapshot(
      const std::string& run) const;  // its seq; 0: none
  bool Has(const std::string& sha256) const { return blobs_.contains(sha256); }

  // What is due takes effect.
  void Advance(int64_t now_ms);
  int64_t NextMs() const;
  void SetDelays(int64_t effect_most_ms, int64_t answer_most_ms);

  bool alive() const { return alive_; }
  bool strict() const { return strict_; }
  // The server dies with what it has not synced: `tail`, as much of that as can be.
  void Crash(bool tail);
  void Start() { alive_ = true; }

 private:
  friend class SimStore;
  struct Operation {
    enum class Kind : uint8_t { kCommit, kBlob, kLog, kEnd, kTrim } kind = Kind::kCommit;
    std::shared_ptr<const Commit> commit;
    std::string name;  // run, or a blob's
    uint64_t from = 0, to = 0;
    uint64_t engine = 0;
    int64_t effect_ms = 0;
    int64_t answer_ms = 0;
    bool effected = false;
    Completion completion;
  };
  struct Entry {
    std::shared_ptr<const Commit> commit;
    int64_t at_ms = 0;
    bool safe = false;  // synced
  };
  struct Run {
    std::vector<Entry> log;
    Projections records;
    uint64_t epoch = 0;
    uint64_t owner = 0;  // the engine that took the epoch
    uint64_t snapshot_seq = 0;
    std::map<std::string, std::string> snapshot;
  };

  void Effect(Operation& operation);
  Status Append(const std::shared_ptr<const Commit>& commit, uint64_t engine);
  void Keep(Run& run, const Commit& commit);
  void Answered(const std::string& run, uint64_t seq);

  CounterRandom random_;
  bool strict_;
  Story* story_;
  Ledger* ledger_;
  bool alive_ = true;
  uint64_t life_ = 1;
  int64_t now_ms_ = 0;
  int64_t effect_most_ms_ = 2, answer_most_ms_ = 2;
  uint64_t order_ = 0;
  std::map<std::string, Run> runs_;
  std::map<std::string, std::string> blobs_;
  std::map<std::pair<int64_t, uint64_t>, std::shared_ptr<Operation>> due_;
};

class SimStore final : public Store {
 public:
  SimStore(SimServer* server, uint64_t engine, CrashPlan* plan)
      : server_(server), engine_(engine), plan_(plan), life_(server->life_) {}
  ~SimStore() override { Cut(); }

  uint64_t Submit(std::shared_ptr<const Commit> commit) override;
  uint64_t ReadBlob(const std::string& sha256) override;
  uint64_t ReadLog(const std::string& run, uint64_t from_seq, uint64_t to_seq) override;
  uint64_t ReadEnd(const std::string& run) override;
  uint64_t Trim(const std::string& run, uint64_t seq,
                const std::vector<std::string>& blobs) override;
  std::vector<Completion> Poll() override;
  int Descriptor() const override { return -1; }
  bool WantsWrite() const override { return false; }

  // The connection is lost. Of what has not taken effect, some still will.
  void Cut();
  bool lost() const { return lost_ || !server_->alive() || life_ != server_->life_; }
  // Up to where the engine has ever been told that the log goes. What the store loses after that is
  // the store's fault.
  uint64_t confirmed(const std::string& run) const;
  void Confirm(const std::string& run, uint64_t seq) {
    confirmed_[run] = std::max(confirmed_[run], seq);
  }
  int64_t NextMs() const;  // when there is something to poll

 private:
  using Operation = SimServer::Operation;
  uint64_t Add(std::shared_ptr<Operation> operation);

  SimServer* server_;
  uint64_t engine_;
  CrashPlan* plan_;
  uint64_t life_;  // of the server
  bool lost_ = false;
  uint64_t tickets_ = 0;
  int64_t last_effect_ms_ = 0, last_answer_ms_ = 0;
  std::deque<std::shared_ptr<Operation>> open_;
  std::map<std::string, uint64_t> confirmed_;
};

}  // namespace kev::sim

#endif  // KEV_TOOLS_SIM_SERVER_H_
