#include "tools/bench/rig.h"

#include <poll.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace kev {
namespace {

constexpr const char* kRun = "bench";
constexpr int64_t kMostWaitMs = 50;

}  // namespace

namespace {

// Over a connection of its own: the rig's has commits under way.
RunLog::ReadBlob ReadFrom(const std::string& address) {
  auto store = RedisStore::Connect(address);
  std::shared_ptr<RedisStore> reader = store ? std::move(*store) : nullptr;
  return [reader](const std::string& sha256) {
    return reader ? reader->Blob(sha256)
                  : Result<std::string>(Error{Code::kUnavailable, "the store is away"});
  };
}

}  // namespace

Result<std::unique_ptr<BenchRig>> BenchRig::Open(const RigOptions& options) {
  auto rig = std::make_unique<BenchRig>();
  rig->folder_ = options.folder;
  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  EmbeddedRedisOptions redis;
  redis.folder = options.folder + "/redis";
  redis.durability = options.durability;
  auto server = EmbeddedRedis::Start(redis);
  if (!server) return server.error();
  rig->redis = std::move(*server);
  auto store = RedisStore::Connect(rig->redis->Address());
  if (!store) return store.error();
  rig->store = std::move(*store);
  rig->log = std::make_unique<RunLog>(kRun, options.folder + "/log.kevrun");
  auto blobs = BlobFile::Open(options.folder + "/blobs");
  if (!blobs) return blobs.error();
  rig->blobs = std::move(*blobs);
  auto core = rig->log->Load(*rig->store, {.payloads = true, .keep_ended = false});
  if (!core) return core.error();
  rig->core = std::move(*core);
  auto epoch = rig->store->TakeEpoch(kRun);
  if (!epoch) return epoch.error();
  ZmqTransportOptions transport;
  rig->endpoint = "ipc://" + options.folder + "/engine.sock";
  transport.endpoints = {rig->endpoint};
  auto bound = ZmqTransport::Bind(transport);
  if (!bound) return bound.error();
  rig->transport = std::move(*bound);
  rig->host = std::make_unique<Host>(rig->transport.get(), rig->store.get(), &rig->clock);
  HostedRunOptions run;
  run.run = kRun;
  run.epoch = *epoch;
  run.run_time_ms = rig->core->run_time_ms();
  run.projections = options.projections;
  run.snapshot_events = options.snapshot_events;
  run.snapshot_seq = rig->log->snapshot_seq();
  rig->run = &rig->host->Add(run, rig->core.get());
  if (options.snapshot_events != 0) {
    if (Status s = rig->log->Follow(
            *rig->store, rig->run, rig->blobs.get(), ReadFrom(rig->redis->Address()),
            [store = rig->store.get()](uint64_t seq, const std::vector<std::string>& gone) {
              store->Trim(kRun, seq, gone);
            });
        !s.ok())
      return s.error();
    rig->host->read_moved_blob = [blobs = rig->blobs.get()](const std::string& sha256) {
      return blobs->Get(sha256);
    };
    rig->host->read_trimmed = [log = rig->log.get()](const std::string&, uint64_t from,
                                                     uint64_t to) {
      return log->Trimmed(from, to);
    };
  }
  if (rig->core->last_seq() > 0) rig->host->PostRestart(*rig->run, kDecisionVersion);
  return rig;
}

BenchRig::~BenchRig() { fleet.Stop(std::chrono::milliseconds(500)); }

Result<int> BenchRig::StartWorker(const std::vector<std::string>& arguments) {
  ChildOptions child;
  child.program = "kevolve-null";
  child.arguments = arguments;
  for (const std::string& word :
       {std::string("--connect"), endpoint, std::string("--home"), folder_ + "/home"})
    child.arguments.push_back(word);
  child.log = folder_ + "/worker.log";
  return fleet.Start(child);
}

bool BenchRig::Drive(const std::function<bool()>& until, int64_t limit_ms) {
  const int64_t end = clock.NowMs() + limit_ms;
  while (!until()) {
    const bool moved = host->Turn();
    if (run->broken() || host->store_lost()) return false;
    if (moved) continue;
    if (clock.NowMs() > end) return false;
    pollfd fds[2] = {
        {transport->Descriptor(), POLLIN, 0},
        {store->Descriptor(), static_cast<short>(POLLIN | (store->WantsWrite() ? POLLOUT : 0)), 0}};
    int64_t wait = host->WaitMs();
    if (wait < 0 || wait > kMostWaitMs) wait = kMostWaitMs;
    poll(fds, 2, static_cast<int>(wait));
  }
  return true;
}

double BenchRig::EngineCpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Durability DurabilityFrom(const std::string& name) {
  return name == "strict" ? Durability::kStrict
         : name == "fast" ? Durability::kFast
                          : Durability::kNormal;
}

Plan NoOpPlan() {
  Plan plan;
  plan.workflow = "no-op";
  plan.task = "null";
  plan.target = "null";
  plan.given = true;
  Step step;
  step.id = "work";
  step.stage = "exec/null";
  step.kind = StageKind::kExec;
  plan.steps = {step};
  return plan;
}

CandidatesGiven NoOpJobs(uint64_t count, bool last) {
  CandidatesGiven given;
  given.last = last;
  given.proposals.resize(count);
  for (Proposal& proposal : given.proposals)
    proposal.parameters = Value(Value::Bytes{std::string(100, 'x')});
  return given;
}

double Quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto at = static_cast<size_t>(std::ceil(q * static_cast<double>(values.size())));
  return values[std::min(values.size() - 1, at == 0 ? 0 : at - 1)];
}

}  // namespace kev
