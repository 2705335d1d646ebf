#include "tools/live/engine_service.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "engine/host/projection.h"
#include "tools/live/confirmed_mark.h"
#include "tools/live/file_system.h"
#include "tools/live/run_epoch.h"
#include "tools/live/stored_run.h"

namespace kev {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr int64_t kTickMs = 250;  // children, disk
constexpr int64_t kMarksMs = 1000;
constexpr milliseconds kHeartbeat{900};
constexpr int kLiveness = 4;
// How long workers that are not ours have to come back with what they hold after a restart.
constexpr int64_t kRestartGraceMs = kHeartbeat.count() * (kLiveness + 1);

// An endpoint that listens on every address, as another machine can name it.
std::string Reachable(const std::string& endpoint) {
  for (const std::string all : {"tcp://0.0.0.0:", "tcp://[::]:", "tcp://*:"}) {
    char host[256] = "";
    if (endpoint.starts_with(all) && gethostname(host, sizeof(host) - 1) == 0)
      return std::string("tcp://") + host + ":" + endpoint.substr(all.size());
  }
  return endpoint;
}

// A commit that the server has confirmed is on the disk (strict), will be within a second or two
// (normal), or within the half minute that kernels take (fast). As long as it may not be, it is
// kept to be written again.
int64_t RetainMs(Durability durability) {
  switch (durability) {
    case Durability::kStrict:
      return 0;
    case Durability::kNormal:
      return 3000;
    case Durability::kFast:
      return 60000;
  }
  return 0;
}

}  // namespace

EngineService::EngineService(EngineOptions options)
    : options_(std::move(options)),
      disk_(options_.folder.path, options_.keep_free_bytes,
            [this](const std::string& text) { Say(text); }) {}

EngineService::~EngineService() = default;

Status EngineService::TakeLock() {
  if (lock_ != nullptr) return {};
  auto lock = FolderLock::Take(options_.folder.path, options_.what,
                               [this](const std::string& text) { Say(text); });
  if (!lock) return lock.error();
  lock_ = std::move(*lock);
  return {};
}

Status EngineService::Open() {
  if (Status s = TakeLock(); !s.ok()) return s;
  if (Status s = disk_.Check(); !s.ok()) return s;
  PinTo(options_.cores.others);
  StoreOptions store;
  store.folder = options_.folder;
  store.url = options_.store_url;
  store.durability = options_.durability;
  store.keep_free_bytes = options_.keep_free_bytes;
  store.force_network_fs = options_.force_network_fs;
  auto opened = StoreKeeper::Open(std::move(store), [this](const std::string& text) { Say(text); });
  if (!opened) return opened.error();
  store_ = std::move(*opened);
  // Others may use an external store, and name blobs that are here.
  if (options_.keep_ended || !store_->own()) return {};
  auto blobs = BlobFile::Open(options_.folder.Blobs());
  if (!blobs) return blobs.error();
  blobs_ = std::move(*blobs);
  if (blobs_->damaged() > 0) {
    Say("damaged entries in " + options_.folder.Blobs() + ".index: " +
        std::to_string(blobs_->damaged()) + "; the blobs that they named cannot be read");
  }
  return {};
}

Status EngineService::Listen() {
  ZmqTransportOptions transport;
  std::error_code ignored;
  fs::remove(options_.folder.Socket(), ignored);  // left by an engine that was killed; the lock
                                                  // says it is gone
  transport.endpoints.push_back(options_.folder.Endpoint());
  for (const std::string& endpoint : options_.listen) transport.endpoints.push_back(endpoint);
  transport.heartbeat = kHeartbeat;
  transport.liveness = kLiveness;
  if (!options_.listen.empty()) transport.access_file = options_.access_file;
  auto bound = ZmqTransport::Bind(transport);
  if (!bound) return bound.error();
  transport_ = std::move(*bound);
  for (const std::string& endpoint : transport_->Endpoints()) {
    if (!endpoint.starts_with("tcp://")) continue;
    const std::string access =
        options_.access_file.empty() ? "" : " --access " + options_.access_file;
    Say("workers can join: " + CommandName() + " worker --stage STAGE --connect " +
        Reachable(endpoint) + access);
  }
  fleet_ = std::make_unique<StageFleet>(
      StageFleet::Place{options_.folder.Endpoint(), options_.folder.Logs(), options_.cores.others},
      [this](const std::string& text) { Say(text); });
  host_ = std::make_unique<Host>(transport_.get(), store_->store(), &clock_);
  host_->read_trimmed = [this](const std::string& id, uint64_t from, uint64_t to) {
    const ServedRun* run = Find(id);
    return run == nullptr ? std::nullopt : run->log->Trimmed(from, to);
  };
  if (blobs_) {
    host_->read_moved_blob = [this](const std::string& sha256) { return blobs_->Get(sha256); };
  }
  host_->on_joined = [this](const Hello& hello) { Joined(hello); };
  host_->on_left = [this](const Hello& hello, uint64_t finished, const SessionLost& lost) {
    Left(hello, finished, lost);
  };
  host_->on_refused = [this](const std::string& why) { Say(why); };
  return {};
}

Result<ServedRun*> EngineService::Load(const RunFolder& folder) {
  auto run = std::make_unique<ServedRun>();
  run->folder = folder;
  if (folder.path != options_.folder.path) {
    auto lock = FolderLock::Take(folder.path, "run " + folder.id,
                                 [this](const std::string& text) { Say(text); });
    if (!lock) return lock.error();
    run->lock = std::move(*lock);
  }
  auto store = store_->Blocking();
  if (!store) return store.error();
  auto admin = store_->Admin();
  if (!admin) return admin.error();
  if (Status s = CheckEpoch(**admin, folder, store_->address()); !s.ok()) return s.error();
  run->log = std::make_unique<RunLog>(folder.id, folder.Log());
  auto core = run->log->Load(**store, {.payloads = true, .keep_ended = options_.keep_ended});
  if (!core) return core.error();
  run->core = std::move(*core);
  if (!run->log->refused_snapshot().empty()) {
    Say("run " + folder.id +
        ": its log was folded from the beginning, since its snapshot is of no "
        "use: " +
        run->log->refused_snapshot());
  }
  if (Status s = CheckConfirmedMark(folder, run->core->last_seq(),
                                    [this](const std::string& text) { Say(text); });
      !s.ok())
    return s.error();
  auto epoch = TakeRunEpoch(**store, **admin, folder, store_->address());
  if (!epoch) return epoch.error();
  run->epoch = *epoch;
  if (Status s = FindRecordsOver(run.get()); !s.ok()) return s.error();
  ServedRun* served = run.get();
  runs_[folder.id] = std::move(run);
  return served;
}

// Compaction goes by what ended while it looked on: what ended before must be found.
Status EngineService::FindRecordsOver(ServedRun* run) {
  if (options_.keep_ended || !options_.projections || run->core->last_seq() == 0) return {};
  if (!record_keys_) {
    auto admin = store_->Admin();
    if (!admin) return admin.error();
    auto keys = (*admin)->RecordKeys();
    if (!keys) return keys.error();
    record_keys_ = std::move(*keys);
  }
  const auto own = record_keys_->find(run->folder.id);
  if (own == record_keys_->end()) return {};
  for (const std::string& key : own->second) {
    const std::optional<Subject> subject = SubjectOf(key);
    if (subject && IsOver(*run->core, *subject)) run->over.push_back(*subject);
  }
  record_keys_->erase(own);
  return {};
}

Status EngineService::Drive(ServedRun& run, const Beginning& beginning) {
  const Status s = TakeIn(run, beginning);
  if (!s.ok()) Stop(run);
  return s.ok() && options_.start_workers ? fleet_->Want(run.processes) : s;
}

Status EngineService::TakeIn(ServedRun& run, const Beginning& beginning) {
  HostedRunOptions hosted;
  hosted.run = run.folder.id;
  hosted.epoch = run.epoch;
  hosted.run_time_ms = run.core->run_time_ms();
  hosted.weight = run.weight;
  hosted.projections = options_.projections;
  hosted.retain_ms = RetainMs(options_.durability);
  if (!options_.keep_ended) hosted.snapshot_events = options_.snapshot_events;
  hosted.snapshot_seq = run.log->snapshot_seq();
  hosted.over = std::move(run.over);
  std::error_code ignored;
  if (fs::exists(run.folder.Outside(), ignored)) hosted.restart_grace_ms = kRestartGraceMs;
  auto secret = SecretOf(run.folder);
  if (!secret) return secret.error();
  hosted.secret.Set("seed", *secret);
  const bool fresh = run.core->last_seq() == 0;
  run.hosted = &host_->Add(hosted, run.core.get());
  run.hosted->on_committed = [this, &run](const EventGroup& group, const Commit&) {
    if (on_committed) on_committed(run, group);
  };
  // The file comes before the followers: what they hear of can be read again.
  if (!options_.keep_ended) {
    auto store = store_->Blocking();
    if (!store) return store.error();
    const auto trim = [this, id = run.folder.id](uint64_t seq,
                                                 const std::vector<std::string>& blobs) {
      store_->store()->Trim(id, seq, blobs);
    };
    const Status s = run.log->Follow(
        **store, run.hosted, blobs_.get(),
        [this](const std::string& sha256) {
          auto blocking = store_->Blocking();
          return blocking ? (*blocking)->Blob(sha256) : Result<std::string>(blocking.error());
        },
        trim);
    if (!s.ok()) return s;
  }
  for (const auto& [session, hello] : host_->sessions()) {
    if (hello.role == Role::kWorker && !fleet_->Owns(hello)) NoteOutsideWorker(run);
  }
  if (fresh) {
    for (size_t i = 0; i < beginning.events.size(); ++i) {
      run.hosted->Post(beginning.events[i], nullptr,
                       i == 0 ? beginning.blobs : decltype(beginning.blobs){});
    }
  } else {
    host_->PostRestart(*run.hosted, kDecisionVersion);
    for (const Event& event : beginning.events) run.hosted->Post(event);
  }
  return {};
}

void EngineService::Stop(ServedRun& run) {
  if (run.hosted == nullptr) return;
  host_->Remove(*run.hosted);
  run.hosted = nullptr;
}

void EngineService::Forget(ServedRun& run) {
  Stop(run);
  runs_.erase(std::string(run.folder.id));
}

ServedRun* EngineService::Find(const std::string& id) {
  const auto it = runs_.find(id);
  return it == runs_.end() ? nullptr : it->second.get();
}

void EngineService::Joined(const Hello& hello) {
  if (hello.role != Role::kWorker) return;
  if (fleet_->Owns(hello)) {
    fleet_->Seen(hello, 0);
    return;
  }
  for (const auto& [id, run] : runs_) {
    if (run->hosted != nullptr) NoteOutsideWorker(*run);
  }
}

void EngineService::Left(const Hello& hello, uint64_t finished, const SessionLost& lost) {
  if (hello.role != Role::kWorker) {
    if (lost.refused) Say("refused " + lost.reason);
    return;
  }
  fleet_->Seen(hello, finished);
  // A worker that has come back has a session of its own again.
  const auto same = [&](const auto& entry) { return entry.second.worker == hello.worker; };
  const bool still_there =
      std::count_if(host_->sessions().begin(), host_->sessions().end(), same) > 1;
  fleet_->SessionLost(hello, still_there);
  const bool at_work = std::any_of(runs_.begin(), runs_.end(), [](const auto& entry) {
    return entry.second->hosted != nullptr && entry.second->core->phase() != Phase::kEnded;
  });
  if (lost.refused || (!lost.reason.empty() && !leaving_ && at_work))
    Say("lost worker " + hello.worker + " (" + hello.program + "): " + lost.reason);
}

// From now on an engine that is started on this run waits for workers that may come back.
void EngineService::NoteOutsideWorker(ServedRun& run) {
  std::error_code ignored;
  if (fs::exists(run.folder.Outside(), ignored)) return;
  if (const Status s = WriteDurably(run.folder.Outside(), ""); !s.ok()) Say(s.error().message);
}

void EngineService::Tick(int64_t now_ms) {
  disk_low_ = disk_.Low();
  for (const auto& [session, hello] : host_->sessions()) {
    if (hello.role == Role::kWorker)
      fleet_->Seen(hello, host_->placer().CountsOfWorker(session).finished);
  }
  if (const Status s = fleet_->Watch(now_ms); !s.ok() && !leaving_) {
    if (on_fleet_failure)
      on_fleet_failure(s.error());
    else
      failure_ = s.error();
  }
  if (now_ms >= next_marks_ms_) {
    next_marks_ms_ = now_ms + kMarksMs;
    for (const auto& [id, run] : runs_) {
      if (run->hosted == nullptr || run->hosted->confirmed_seq() <= run->marked_seq) continue;
      run->marked_seq = run->hosted->confirmed_seq();
      WriteConfirmedMark(run->folder, run->marked_seq, options_.durability);
    }
  }
  for (const auto& [id, run] : runs_) {
    if (run->hosted == nullptr || !run->log->failed() || run->log_failure_said) continue;
    run->log_failure_said = true;
    Say("run " + id + " keeps its whole log and its blobs in the store from now on: " +
        run->log->failed()->message);
  }
  if (on_tick) on_tick(now_ms);
}

void EngineService::Pump(int64_t most_wait_ms) {
  host_->Hold(hold_ || disk_low_);
  const bool moved = host_->Turn();
  const int64_t now = clock_.NowMs();
  if (const Status s = store_->Mend(*host_, now); !s.ok()) failure_ = s.error();
  for (const auto& [id, run] : runs_) {
    if (run->hosted != nullptr && run->hosted->broken() && !run->failure)
      run->failure = run->hosted->broken();
  }
  if (now >= next_tick_ms_) {
    next_tick_ms_ = now + kTickMs;
    Tick(now);
  }
  if (!moved) Wait(most_wait_ms);
}

void EngineService::Wait(int64_t most_wait_ms) {
  pollfd fds[2] = {{transport_->Descriptor(), POLLIN, 0},
                   {store_->store()->Descriptor(),
                    static_cast<short>(POLLIN | (store_->store()->WantsWrite() ? POLLOUT : 0)), 0}};
  int64_t wait = host_->WaitMs();
  if (wait < 0 || wait > most_wait_ms) wait = most_wait_ms;
  poll(fds, 2, static_cast<int>(wait));
}

void EngineService::StopWorkers(milliseconds grace) {
  leaving_ = true;
  if (fleet_) fleet_->Stop(grace);
}

Status EngineService::Close() { return store_ ? store_->Close() : Status(); }

}  // namespace kev
