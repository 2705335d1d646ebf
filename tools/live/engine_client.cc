#include "tools/live/engine_client.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "queue/codec.h"
#include "tools/live/engine_folder.h"
#include "tools/live/folder_lock.h"

namespace kev {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr int kAskMs = 500;                      // of one long poll, so that Ctrl-C is heeded
constexpr milliseconds kEventsLimit{3000};       // for its answer
constexpr std::chrono::seconds kEngineGone{60};  // a restarted or standby engine answers before

// A socket that nobody listens on is known at once; ZeroMQ would wait for somebody to come.
bool SomebodyListens(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return true;
  const bool there = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return there;
}

Result<std::string> EndpointOf(const EngineAddress& address) {
  if (!address.engine.empty()) return EndpointFrom(address.engine);
  if (!address.access.empty()) return std::string();  // the file names it
  if (address.run.empty()) return EndpointFrom("default");
  const auto folder = FindRunFolder(address.run);
  if (!folder) return folder.error();
  if (!IsLive(*folder)) {
    return Error{Code::kNotFound, "run " + address.run +
                                      " is not live: no engine drives it now. `" + CommandName() +
                                      " show " + address.run + "` says how it stands"};
  }
  const auto engine = EngineOf(*folder);
  if (!engine) return engine.error();
  return engine->Endpoint();
}

}  // namespace

bool IsLive(const RunFolder& folder) {
  const auto lock = FolderLock::Read(folder.path, "run " + folder.id);
  return !lock && lock.error().code == Code::kExists;
}

bool IsPutAway(const std::string& run) {
  const auto folder = FindRunFolder(run);
  if (!folder || IsLive(*folder)) return false;
  std::error_code ignored;
  const auto engine = EngineOf(*folder);
  return std::filesystem::exists(folder->Archive(), ignored) ||
         (engine && engine->path == folder->path);
}

Result<std::unique_ptr<ClientSession>> OpenEngine(const EngineAddress& address) {
  auto endpoint = EndpointOf(address);
  if (!endpoint) return endpoint.error();
  if (endpoint->starts_with("ipc://") && !SomebodyListens(endpoint->substr(6))) {
    if (!address.run.empty() && address.engine.empty())
      return Error{Code::kUnavailable, "the engine of run " + address.run +
                                           " just begins or ends, and does not answer at " +
                                           endpoint->substr(6) + ": try again in a moment"};
    return Error{Code::kUnavailable, "no engine answers at " + endpoint->substr(6) +
                                         ": is it running? `" + CommandName() +
                                         " engine` starts one"};
  }
  ClientSessionOptions options;
  options.endpoint = *endpoint;
  options.access_file = address.access;
  options.admin = address.admin;
  if (address.engine.empty() && address.access.empty() && !address.run.empty())
    options.may_answer = [run = address.run] { return !IsPutAway(run); };
  return ClientSession::Open(options);
}

Result<Value> CallEngine(const EngineAddress& address, const std::string& method, Value arguments) {
  auto engine = OpenEngine(address);
  if (!engine) return engine.error();
  return (*engine)->Call(method, std::move(arguments), kCallLimit);
}

Result<bool> Follow(ClientSession& engine, RunCore* core, LiveProgress* progress,
                    const std::function<bool()>& go_on) {
  bool away = false;
  Clock::time_point heard = Clock::now();
  while (core->phase() != Phase::kEnded) {
    if (!go_on()) return false;
    Value arguments;
    arguments.Set("run", core->run());
    arguments.Set("from", core->last_seq() + 1);
    arguments.Set("wait_ms", kAskMs);
    Result<Value> answer = engine.Call("events", std::move(arguments), kEventsLimit);
    if (!answer) {
      if (answer.error().code != Code::kUnavailable || Clock::now() - heard > kEngineGone ||
          IsPutAway(core->run()))
        return answer.error();
      if (!std::exchange(away, true))
        progress->Note("the engine does not answer; waiting for it to come back");
      continue;
    }
    heard = Clock::now();
    if (std::exchange(away, false)) progress->Note("the engine is back");
    for (const Value& body : (*answer)["groups"].AsList()) {
      auto group = DecodeGroup(body.AsBytes(), "");
      if (!group) return group.error();
      if (group->first_seq != core->last_seq() + 1) {
        return Error{Code::kCorrupt, "the engine gave event " + std::to_string(group->first_seq) +
                                         " where " + std::to_string(core->last_seq() + 1) +
                                         " follows"};
      }
      core->Apply(*group);
      progress->Committed(*group, *core);
    }
    if (answer->Has("run_time_ms")) {
      progress->Tick(*core,
                     {static_cast<size_t>((*answer)["ready"].AsInt()),
                      static_cast<size_t>((*answer)["out"].AsInt())},
                     (*answer)["run_time_ms"].AsInt());
    }
  }
  return true;
}

}  // namespace kev
