// EngineCalls: what clients may ask of an engine and tell it (docs/engine-service.md has the
// table). Orders that change a run are answered when they are committed.
//
// Threads: the host's. Errors: go into the reply: what is wrong and what to write instead.
#ifndef KEV_TOOLS_LIVE_ENGINE_CALLS_H_
#define KEV_TOOLS_LIVE_ENGINE_CALLS_H_

#include <functional>
#include <string>

#include "tools/live/engine_service.h"
#include "tools/live/event_feed.h"

namespace kev {

class EngineCalls {
 public:
  explicit EngineCalls(EngineService* service);
  ~EngineCalls();
  void Committed(const ServedRun& run) { feed_.Committed(run); }
  void Turn() { feed_.Turn(service_->clock().NowMs()); }
  bool Busy() const { return feed_.Busy(); }

  // Takes a submission and answers it with Host::Reply. Not set: this engine takes none.
  std::function<void(SessionId, ClientCall&)> on_submit;
  // The folder of a run that this engine has had; not set: only those that it drives.
  std::function<Result<RunFolder>(const std::string& run)> find_ended;

 private:
  void On(SessionId session, const Hello& hello, ClientCall& call);
  Result<ServedRun*> RunOf(const ClientCall& call);
  Result<RunFolder> FolderOf(const ClientCall& call);
  // Those that answer at once.
  Result<Value> Answer(const Hello& hello, const ClientCall& call);
  Value Runs() const;
  Value Workers() const;
  Result<Value> Drain(const ClientCall& call);
  // Those that answer later.
  Status SignalRun(SessionId session, const ClientCall& call);
  Status SendBlob(SessionId session, const ClientCall& call);

  EngineService* service_;
  EventFeed feed_;
};

// A run in a few words, for lists.
Value Digest(const ServedRun& run);

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_ENGINE_CALLS_H_
