// RunService: many runs in one engine. Takes submissions (a key gives one run, however often it is
// sent), takes up again what was unfinished when the engine ended, and puts away what has ended.
//
// Threads: the host's; a run that has ended is archived by a thread of its own with its own
// connection. Errors: of a submission, in its reply; of a run, as a note, and in `runs`.
#ifndef KEV_TOOLS_LIVE_RUN_SERVICE_H_
#define KEV_TOOLS_LIVE_RUN_SERVICE_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tools/live/engine_calls.h"
#include "tools/live/engine_service.h"
#include "tools/live/run_closer.h"

namespace kev {

class RunService {
 public:
  RunService(EngineService* engine, EngineCalls* calls);
  ~RunService();

  void TakeUpUnfinished();
  void Committed(const ServedRun& run);
  void Turn(int64_t now_ms);
  bool Closing() const { return !closers_.empty(); }
  size_t Untaken() const { return untaken_.size(); }  // unfinished, and not driven

 private:
  struct Submission {
    std::string run;
    std::string digest;  // of what was submitted
  };
  using Waiter = std::pair<SessionId, uint64_t>;  // session and call

  void Submit(SessionId session, ClientCall& call);
  Result<ServedRun*> Begin(const std::string& key, const std::string& digest, double weight,
                           Plan plan, Value about,
                           std::vector<std::pair<BlobRef, std::string>> blobs);
  // Why it cannot be taken up.
  Status TakeUp(const RunFolder& folder);
  // What was cut short between its archive and the end of its store.
  void PutAway(const RunFolder& folder);
  Result<RunFolder> FolderOf(const std::string& run) const;
  void CloseEnded();
  void ReapClosers(int64_t now_ms);
  void RetryUntaken(int64_t now_ms);
  bool AllPutAway() const;
  void SweepStore(int64_t now_ms);
  void LookAfterFleet(int64_t now_ms);
  void Say(const std::string& text) {
    if (engine_->on_note) engine_->on_note(text);
  }

  EngineService* engine_;
  EngineCalls* calls_;
  std::map<std::string, Submission> submissions_;               // by key
  std::map<std::string, std::vector<Waiter>> waiters_;          // by run: for its first commit
  std::map<std::string, std::unique_ptr<RunCloser>> closers_;   // by run
  std::map<std::string, std::pair<RunFolder, Error>> untaken_;  // by run, and why
  int64_t next_retry_ms_ = 0;
  int64_t next_sweep_ms_ = 0;
  bool swept_ = true;  // no blob of an ended run is left in the store
  bool fleet_failed_ = false;
  int64_t idle_since_ms_ = 0;
  int64_t fleet_tried_ms_ = 0;
};

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_RUN_SERVICE_H_
