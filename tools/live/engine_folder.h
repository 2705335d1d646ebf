// EngineFolder: where an engine keeps what is its own: lock, engine.sock, access, redis/ and the
// name of its store. `kevolve run` uses the run's folder, `kevolve engine`
// $KEVOLVE_HOME/engine/NAME.
//
// Threads: functions on values. Errors: say which path and what to do.
#ifndef KEV_TOOLS_LIVE_ENGINE_FOLDER_H_
#define KEV_TOOLS_LIVE_ENGINE_FOLDER_H_

#include <string>

#include "engine/core/result.h"
#include "tools/live/home.h"

namespace kev {

struct EngineFolder {
  std::string path;
  std::string Redis() const { return path + "/redis"; }
  std::string RedisSocket() const { return path + "/redis/redis.sock"; }
  std::string Socket() const { return path + "/engine.sock"; }
  std::string Endpoint() const { return "ipc://" + Socket(); }
  std::string Logs() const { return path + "/logs"; }
  std::string Access() const { return path + "/access"; }
  std::string Blobs() const { return path + "/blobs"; }         // what has left its own server
  std::string StoreUrl() const { return path + "/store-url"; }  // file: the external store, if any
  std::string StoreName() const { return path + "/store"; }     // file: whose data the store has
};

std::string EnginesFolder();
// Makes the folder of the engine service called `name` when there is none.
Result<EngineFolder> MakeEngineFolder(const std::string& name);
// The folder of the engine that has this run, as the run's folder says.
Result<EngineFolder> EngineOf(const RunFolder& run);
// Notes in the run's folder that the engine of `engine` has it.
Status AssignTo(const RunFolder& run, const EngineFolder& engine);

// That what its own server kept is still there, before one is started on it. Errors: kConflict.
Status CheckStoreFiles(const EngineFolder& engine);

// Where its store is: its own server's socket, or the external one.
std::string StoreAddress(const EngineFolder& engine);

// What stands after --engine: an endpoint, the path of an engine.sock, or the name of a service.
Result<std::string> EndpointFrom(const std::string& text);

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_ENGINE_FOLDER_H_
