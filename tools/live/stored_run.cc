#include "tools/live/stored_run.h"

#include <filesystem>
#include <iostream>

#include "queue/codec.h"
#include "queue/redis_server.h"
#include "queue/redis_store.h"
#include "tools/live/engine_folder.h"
#include "tools/live/folder_lock.h"
#include "tools/live/home.h"
#include "tools/live/run_epoch.h"
#include "tools/live/run_log.h"
#include "tools/live/stored_blobs.h"

namespace kev {
namespace {

class ArchivedRun : public StoredRun {
 public:
  explicit ArchivedRun(std::unique_ptr<ArchiveReader> reader) : reader_(std::move(reader)) {}
  Result<std::string> Blob(const std::string& sha256) override { return reader_->Blob(sha256); }
  const ArchiveReader& reader() const { return *reader_; }

 private:
  std::unique_ptr<ArchiveReader> reader_;
};

class RedisRun : public StoredRun {
 public:
  RedisRun(std::unique_ptr<FolderLock> lock, std::unique_ptr<FolderLock> turn,
           std::unique_ptr<EmbeddedRedis> server, std::unique_ptr<RedisStore> store,
           const EngineFolder& engine)
      : lock_(std::move(lock)),
        turn_(std::move(turn)),
        server_(std::move(server)),
        store_(std::move(store)),
        blobs_(store_.get(), engine) {}
  ~RedisRun() override {
    store_.reset();
    if (server_) (void)server_->Stop();
  }
  // The run may end while it is read: what was in the store is in its archive then.
  Result<std::string> Blob(const std::string& sha256) override {
    auto bytes = blobs_.Read(sha256);
    if (bytes) return bytes;
    const std::string archive = RunFolder{id, where}.Archive();
    std::error_code ignored;
    if (!archive_ && std::filesystem::exists(archive, ignored)) {
      if (auto reader = ArchiveReader::Open(archive); reader.ok()) archive_ = std::move(*reader);
    }
    return archive_ ? archive_->Blob(sha256) : bytes;
  }
  RedisStore& store() { return *store_; }

 private:
  // With the server: nobody may resume the run while it is read this way, or start another one.
  std::unique_ptr<FolderLock> lock_, turn_;
  std::unique_ptr<EmbeddedRedis> server_;  // null while a live engine has its own
  std::unique_ptr<RedisStore> store_;
  StoredBlobs blobs_;
  std::unique_ptr<ArchiveReader> archive_;
};

Result<std::unique_ptr<StoredRun>> OpenArchive(const std::string& path) {
  auto reader = ArchiveReader::Open(path);
  if (!reader) return reader.error();
  auto run = std::make_unique<ArchivedRun>(std::move(*reader));
  run->id = run->reader().Header()["run"].AsString();
  run->where = path;
  run->log = run->reader().Log();
  if (run->reader().CutTail()) {
    if (run->log.empty())
      return Error{Code::kCorrupt, path +
                                       " is cut off before the first event: nothing of the run "
                                       "is left in it"};
    const uint64_t behind = run->reader().BytesBehind();
    run->warning = behind > 0
                       ? path + " has " + std::to_string(behind) +
                             " bytes behind its end, which are not its own; all that it had is read"
                       : path + " is cut off: what followed event " +
                             std::to_string(run->log.back().last_seq) + ", if anything, is missing";
  }
  return std::unique_ptr<StoredRun>(std::move(run));
}

// While no engine has the folder, its server is ours to start.
Result<std::unique_ptr<RedisRun>> OpenRedis(const RunFolder& folder) {
  const auto engine = EngineOf(folder);
  if (!engine) return engine.error();
  const std::string address = StoreAddress(*engine);
  const bool own = address == "unix:" + engine->RedisSocket();
  std::unique_ptr<EmbeddedRedis> server;
  auto lock = FolderLock::Read(engine->path, "run " + folder.id);
  std::unique_ptr<FolderLock> held, turn;
  bool live = false;
  if (lock) {
    held = std::move(*lock);
    if (own) {
      if (Status s = CheckStoreFiles(*engine); !s.ok()) return s.error();
      if (!std::filesystem::exists(engine->Redis())) {
        return Error{
            Code::kNotFound,
            "run " + folder.id + " has nothing stored yet (it was stopped before it began)"};
      }
      auto taken = FolderLock::TakeTurn(
          engine->path, "run " + folder.id,
          [](const std::string& text) { std::cerr << "kevolve: " << text << std::endl; });
      if (!taken) return taken.error();
      turn = std::move(*taken);
      EmbeddedRedisOptions options;
      options.folder = engine->Redis();
      auto started = EmbeddedRedis::Start(options);
      if (!started) return started.error();
      server = std::move(*started);
    }
  } else if (lock.error().code != Code::kExists) {
    return lock.error();
  } else {
    // A service that lives may have given the run up.
    live = engine->path == folder.path || !FolderLock::Read(folder.path, "run " + folder.id).ok();
  }
  auto store = RedisStore::Connect(address);
  if (!store && live)
    return Error{store.error().code, store.error().message +
                                         "; the run is live, and its engine just starts, restores "
                                         "or ends its store: try again in a moment"};
  if (!store) return store.error();
  auto run = std::make_unique<RedisRun>(std::move(held), std::move(turn), std::move(server),
                                        std::move(*store), *engine);
  run->id = folder.id;
  run->where = folder.path;
  run->store_address = address;
  run->state = live ? StoredRun::State::kLive : StoredRun::State::kInterrupted;
  auto admin = RedisAdmin::Connect(address);
  if (!admin) return admin.error();
  if (Status ours = CheckEpoch(**admin, folder, address); !ours.ok()) return ours.error();
  return run;
}

Status ReadLog(RedisRun& run) {
  const RunFolder folder{run.id, run.where};
  return ForEachEntry(run.id, folder.Log(), run.store(), [&](LogEntry entry) {
    run.log.push_back(std::move(entry));
    return Status();
  });
}

// An archive, or where the run is in Redis.
template <class OfRedis>
Result<std::unique_ptr<StoredRun>> OpenAs(const std::string& name, const OfRedis& of_redis) {
  std::error_code error;
  if (name.ends_with(".kevrun")) {
    if (!std::filesystem::exists(name, error))
      return Error{Code::kNotFound, "there is no archive file " + name};
    return OpenArchive(name);
  }
  auto folder = FindRunFolder(name);
  if (!folder) return folder.error();
  if (std::filesystem::exists(folder->Archive(), error)) return OpenArchive(folder->Archive());
  auto run = OpenRedis(*folder);
  const Status read = run ? of_redis(**run) : Status(run.error());
  if (read.ok()) return std::unique_ptr<StoredRun>(std::move(*run));
  // It ended meanwhile, and its store with it.
  if (std::filesystem::exists(folder->Archive(), error)) return OpenArchive(folder->Archive());
  return read.error();
}

Result<std::unique_ptr<StoredRun>> Folded(Result<std::unique_ptr<StoredRun>> run) {
  if (!run || (*run)->core) return run;
  auto core = Fold((*run)->id, (*run)->log, &(*run)->groups);
  if (!core) return core.error();
  (*run)->core = std::move(*core);
  // An archive may be of a run that had not ended when it was made.
  if ((*run)->store_address.empty() && (*run)->core->phase() != Phase::kEnded)
    (*run)->state = StoredRun::State::kInterrupted;
  return run;
}

}  // namespace

Result<std::unique_ptr<RunCore>> Fold(const std::string& run, const std::vector<LogEntry>& log,
                                      std::vector<EventGroup>* groups) {
  auto core = std::make_unique<RunCore>(run);
  for (const LogEntry& entry : log) {
    auto group = DecodeGroup(entry.body, entry.digest);
    if (!group) {
      return Error{Code::kCorrupt, "run " + run + ": log entry " + std::to_string(entry.last_seq) +
                                       ": " + group.error().message};
    }
    if (group->first_seq != core->last_seq() + 1 || group->last_seq() != entry.last_seq) {
      return Error{Code::kCorrupt, "run " + run + ": log entry " + std::to_string(entry.last_seq) +
                                       " holds events " + std::to_string(group->first_seq) + ".." +
                                       std::to_string(group->last_seq()) + " where event " +
                                       std::to_string(core->last_seq() + 1) + " must follow"};
    }
    core->Apply(*group);
    if (groups != nullptr) groups->push_back(std::move(*group));
  }
  return core;
}

Result<std::unique_ptr<StoredRun>> StoredRun::OpenUnread(const std::string& name) {
  return OpenAs(name, [](RedisRun&) { return Status(); });
}

Result<std::unique_ptr<StoredRun>> StoredRun::OpenUnfolded(const std::string& name) {
  return OpenAs(name, ReadLog);
}

Result<std::unique_ptr<StoredRun>> StoredRun::OpenLean(const std::string& name) {
  return Folded(OpenAs(name, [](RedisRun& run) {
    const RunFolder folder{run.id, run.where};
    const RunCore::Options lean{.payloads = true, .keep_ended = false};
    auto core = RunLog(run.id, folder.Log()).Load(run.store(), lean);
    // Written by another version, or a snapshot was just taken and the log behind it trimmed.
    if (!core && core.error().code == Code::kCorrupt) return ReadLog(run);
    if (!core) return Status(core.error());
    run.core = std::move(*core);
    return Status();
  }));
}

Result<std::unique_ptr<StoredRun>> StoredRun::Open(const std::string& name) {
  return Folded(OpenUnfolded(name));
}

}  // namespace kev
