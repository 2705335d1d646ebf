// Site: the processes of one run under fire: an engine with its Redis, and workers that are not its
// children and outlive it. What dies is started again: the engine by `kevolve resume`, workers as
// they were.
//
// Threads: one. Errors: what ended without having been told to is a failure, once and for all.
#ifndef KEV_TESTS_CHAOS_SITE_H_
#define KEV_TESTS_CHAOS_SITE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/result.h"
#include "tests/chaos/child.h"

namespace kev::chaos {

struct SiteOptions {
  std::string bin;       // folder of the programs
  std::string home;      // KEVOLVE_HOME
  std::string notes;     // folder for records and outputs, on another disk than `home` may be
  std::string workflow;  // file
  std::string durability = "strict";
  uint64_t candidates = 1000;
  uint64_t snapshot_every = 0;  // events; 0: its log and blobs stay in the store
  uint64_t seed = 1;
  unsigned workers = 3;
  unsigned job_time_ms = 20;
};

int64_t NowMs();  // monotonic

class Site {
 public:
  explicit Site(SiteOptions options);
  // Starts the run; returns when its first result is acknowledged.
  Status Begin();
  // Reaps and restarts; to be called often. Error: something failed that must not.
  Status Supervise();
  bool Complete() const { return complete_; }
  // Ends the workers of a run that is complete; orderly, else by force.
  void Leave();

  // The engine is there and has said that it drives the run.
  bool EngineUp();
  // Results that workers know to be committed, so far.
  uint64_t Acknowledged();

  // Faults; false: nobody was there to suffer it.
  bool KillEngine();
  bool TerminateEngine();
  bool KillRedis();
  bool StopEngine(bool stop);
  bool StopRedis(bool stop);
  Status TornTail(uint64_t pick, bool* done);
  bool KillWorker(uint64_t pick);
  bool TerminateWorker(uint64_t pick);
  pid_t StopWorker(uint64_t pick);  // 0: nobody; to be continued by its pid
  void DiskIsFull() { disk_was_full_ = true; }

  const std::string& run() const { return run_; }
  std::string RunFolder() const { return options_.home + "/runs/" + run_; }
  std::string Archive() const { return RunFolder() + "/run.kevrun"; }
  const SiteOptions& options() const { return options_; }
  std::vector<std::string> Records() const;
  // Runs `kevolve` with these words to its end; its output and status go into the notes.
  Result<std::string> Kevolve(const std::vector<std::string>& words);
  std::string EngineWords() const;  // the last it said
  uint64_t engine_starts() const { return engine_starts_; }
  uint64_t forgiven() const { return forgiven_; }

 private:
  struct Worker {
    Child child;
    bool told = false;  // to end, by us
    unsigned life = 0;
  };
  Status StartEngine();
  Status EngineEnded();
  Status StartWorker(size_t i);
  Child* WorkerOf(uint64_t pick);
  std::map<std::string, std::string> Environment() const;
  bool Started();

  SiteOptions options_;
  std::string run_;
  Child engine_;
  std::vector<Worker> workers_;
  bool complete_ = false;
  bool engine_told_ = false;     // to end, by us, in this life
  bool engine_started_ = false;  // it has said so in this life
  bool store_hurt_ = false;      // Redis was killed in this life of the engine
  bool disk_was_full_ = false;   // in this life of the engine
  bool torn_ = false;            // the append-only file's tail is, since nobody has read it
  int64_t restart_at_ms_ = -1;
  size_t read_out_ = 0;  // of the engine's output
  uint64_t engine_starts_ = 0;
  uint64_t forgiven_ = 0;
  std::map<std::string, std::pair<size_t, uint64_t>> acknowledged_;  // record -> bytes read, acks
};

}  // namespace kev::chaos

#endif  // KEV_TESTS_CHAOS_SITE_H_
