#include "tools/live/reopen.h"

#include <algorithm>
#include <filesystem>

#include "engine/host/projection.h"
#include "queue/redis_admin.h"
#include "queue/redis_server.h"
#include "queue/redis_store.h"
#include "tools/live/engine_folder.h"
#include "tools/live/file_system.h"
#include "tools/live/folder_lock.h"
#include "tools/live/run_archive.h"

namespace kev {

namespace fs = std::filesystem;

namespace {

Status Fill(StoredRun& run, const RunFolder& folder, const std::string& address) {
  auto store = RedisStore::Connect(address);
  if (!store) return store.error();
  auto admin = RedisAdmin::Connect(address);
  if (!admin) return admin.error();
  const auto blobs = BlobsNamedBy(run.log);
  if (!blobs) return blobs.error();
  for (const auto& [sha256, ref] : *blobs) {
    auto bytes = run.Blob(sha256);
    if (!bytes && bytes.error().code == Code::kNotFound) continue;  // as it was archived
    if (!bytes) return bytes.error();
    if (Status s = (*store)->PutBlob(ref, *bytes); !s.ok()) return s;
  }
  if (Status s = (*admin)->PutLog(run.id, run.log); !s.ok()) return s;
  for (const Projection& projection : AllProjections(*run.core)) {
    if (Status s = (*admin)->PutProjection(run.id, projection); !s.ok()) return s;
  }
  const auto epoch = (*store)->TakeEpoch(run.id, std::max<uint64_t>(run.core->epoch(), 1));
  if (!epoch) return epoch.error();
  if (Status s = (*admin)->Sync(); !s.ok()) return s;
  return WriteDurably(folder.Epoch(), std::to_string(*epoch) + "\n");
}

}  // namespace

Status Reopen(StoredRun& run, const RunFolder& folder) {
  auto lock = FolderLock::Take(folder.path, "run " + folder.id);
  if (!lock) return lock.error();
  const EngineFolder engine{folder.path};
  std::error_code error;
  for (const std::string& path : {engine.Redis(), engine.StoreName(), engine.StoreUrl(),
                                  engine.Blobs(), engine.Blobs() + ".index", folder.Epoch(),
                                  folder.Confirmed(), folder.Engine(), folder.Log()}) {
    fs::remove_all(path, error);  // of an earlier life, or of an attempt that was cut short
  }
  EmbeddedRedisOptions options;
  options.folder = engine.Redis();
  auto server = EmbeddedRedis::Start(options);
  if (!server) return server.error();
  if (Status s = Fill(run, folder, (*server)->Address()); !s.ok()) return s;
  if (Status s = (*server)->Stop(); !s.ok()) return s;
  // From here on the store is the run.
  fs::rename(folder.Archive(), folder.Archive() + ".before", error);
  if (error) {
    return Error{Code::kPermission, "cannot rename " + folder.Archive() + ": " + error.message() +
                                        "; nothing changed"};
  }
  return {};
}

}  // namespace kev
