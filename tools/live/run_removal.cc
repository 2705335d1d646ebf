#include "tools/live/run_removal.h"

#include <algorithm>

#include "queue/redis_admin.h"
#include "queue/redis_server.h"
#include "tools/live/engine_client.h"
#include "tools/live/engine_folder.h"
#include "tools/live/file_system.h"
#include "tools/live/folder_lock.h"

namespace kev {
namespace {

namespace fs = std::filesystem;

// An unfinished run has keys in a store that is not its folder's: a service's, or an external one.
Status RemoveFromStore(const RunFolder& folder) {
  std::error_code error;
  if (fs::exists(folder.Archive(), error)) return {};
  const auto engine = EngineOf(folder);
  if (!engine) return {};  // its engine's folder is gone, and the store with it
  const std::string address = StoreAddress(*engine);
  const bool own = address == "unix:" + engine->RedisSocket();
  if (own && engine->path == folder.path) return {};  // goes with the folder
  std::unique_ptr<FolderLock> held;
  std::unique_ptr<EmbeddedRedis> server;
  if (own) {
    if (auto lock = FolderLock::Take(engine->path, "the engine in " + engine->path)) {
      held = std::move(*lock);
      EmbeddedRedisOptions options;
      options.folder = engine->Redis();
      auto started = EmbeddedRedis::Start(options);
      if (!started) return started.error();
      server = std::move(*started);
    }
  }
  auto admin = RedisAdmin::Connect(address);
  return admin ? (*admin)->DropRun(folder.id) : Status(admin.error());
}

void SortByAge(std::vector<Removable>* things) {
  std::sort(things->begin(), things->end(), [](const Removable& a, const Removable& b) {
    return a.when != b.when ? a.when < b.when : a.path < b.path;
  });
}

}  // namespace

Result<uint64_t> RemoveRun(const RunFolder& folder) {
  auto lock = FolderLock::Take(folder.path, "run " + folder.id);
  if (!lock) {
    Error error = lock.error();
    if (error.code == Code::kExists) {
      error.message +=
          "; it is not removed. End it first: `" + CommandName() + " cancel " + folder.id + "`";
    }
    return error;
  }
  if (Status s = RemoveFromStore(folder); !s.ok()) return s.error();
  const uint64_t bytes = FolderBytes(folder.path);
  std::error_code error;
  fs::remove_all(folder.path, error);
  if (error)
    return Error{Code::kPermission, "cannot remove " + folder.path + ": " + error.message()};
  return bytes;
}

std::vector<Removable> EndedRuns() {
  std::vector<Removable> runs;
  std::error_code error;
  for (const std::string& id : RunIds()) {
    const RunFolder folder{id, RunsFolder() + "/" + id};
    const auto when = fs::last_write_time(folder.Archive(), error);
    if (error || IsLive(folder)) continue;
    runs.push_back({id, folder.path, FolderBytes(folder.path), when});
  }
  SortByAge(&runs);
  return runs;
}

std::vector<Removable> CachedFiles() {
  std::vector<Removable> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(HomeFolder() + "/cache", error), end;
       !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (!it->is_regular_file(ignored) || it->is_symlink(ignored)) continue;
    files.push_back(
        {"", it->path().string(), it->file_size(ignored), it->last_write_time(ignored)});
  }
  SortByAge(&files);
  return files;
}

}  // namespace kev
