// How commands find the engine that they talk to, and follow a run in it.
//
// Threads: one. Errors: kNotFound when no engine has the run, kUnavailable when the engine does not
// answer, kPermission when it refuses the key.
#ifndef KEV_TOOLS_LIVE_ENGINE_CLIENT_H_
#define KEV_TOOLS_LIVE_ENGINE_CLIENT_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "engine/core/run_core.h"
#include "queue/client_session.h"
#include "tools/live/home.h"
#include "tools/live/progress.h"

namespace kev {

struct EngineAddress {
  std::string engine;  // endpoint, path or name of a service; empty: the one that has `run`
  std::string access;  // file with keys for tcp
  std::string run;
  bool admin = false;
};

inline constexpr std::chrono::milliseconds kCallLimit{15000};

Result<std::unique_ptr<ClientSession>> OpenEngine(const EngineAddress& address);
// One question, one answer.
Result<Value> CallEngine(const EngineAddress& address, const std::string& method, Value arguments);
// Whether an engine drives the run on this machine now.
bool IsLive(const RunFolder& folder);

// Whether no engine will say anything of this run of this machine any more: it has ended and is put
// away, or its own engine is gone. False for what is not known here.
bool IsPutAway(const std::string& run);

// Folds the run's events as they come, showing progress, until it has ended; `go_on` is asked a few
// times a second. False: it was told not to go on. kUnavailable: the engine does not answer for a
// minute, or the run is put away.
Result<bool> Follow(ClientSession& engine, RunCore* core, LiveProgress* progress,
                    const std::function<bool()>& go_on);

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_ENGINE_CLIENT_H_
