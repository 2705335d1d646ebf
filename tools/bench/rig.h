// BenchRig: an engine with real Redis, real ZeroMQ and real worker processes, and nothing else: no
// progress, no archive. What the benchmarks of the engine share.
//
// Threads: the caller's (start it from the main thread: children die with it). Errors: Result with
// what is missing.
#ifndef KEV_TOOLS_BENCH_RIG_H_
#define KEV_TOOLS_BENCH_RIG_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/host/host.h"
#include "queue/redis_server.h"
#include "queue/redis_store.h"
#include "queue/zmq_transport.h"
#include "runners/fleet/fleet.h"
#include "tools/live/run_log.h"

namespace kev {

struct RigOptions {
  std::string folder;  // made when it does not exist
  Durability durability = Durability::kNormal;
  bool projections = false;
  uint64_t snapshot_events = 0;
};

class BenchRig {
 public:
  // Starts Redis, folds what it has of the run, binds the socket.
  static Result<std::unique_ptr<BenchRig>> Open(const RigOptions& options);
  ~BenchRig();

  Result<int> StartWorker(const std::vector<std::string>& arguments);
  // Turns and waits until `until` is true. False: a child ended, the store was lost, or the time is
  // over.
  bool Drive(const std::function<bool()>& until, int64_t limit_ms);
  // CPU seconds of this process so far.
  static double EngineCpuSeconds();

  std::unique_ptr<EmbeddedRedis> redis;
  std::unique_ptr<RedisStore> store;
  std::unique_ptr<ZmqTransport> transport;
  std::unique_ptr<BlobFile> blobs;
  std::unique_ptr<RunLog> log;
  std::unique_ptr<RunCore> core;
  std::unique_ptr<Host> host;
  HostedRun* run = nullptr;
  Fleet fleet;
  SteadyClock clock;
  std::string endpoint;

 private:
  std::string folder_;
};

// "strict", "normal", "fast".
Durability DurabilityFrom(const std::string& name);
// One exec/null step over given candidates.
Plan NoOpPlan();
// Gives `count` candidates with a payload of 100 bytes each.
CandidatesGiven NoOpJobs(uint64_t count, bool last);
double Quantile(std::vector<double> values, double q);

}  // namespace kev

#endif  // KEV_TOOLS_BENCH_RIG_H_
