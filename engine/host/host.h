// Host: drives runs. It carries messages from the transport to the cores as events, commits them in
// groups, and lets the commands of a group leave only when the store has confirmed it. The loop
// around it (who waits on descriptors and signals, who restarts the store) is the caller's.
//
// Threads: none of its own; one at a time. Errors: store_lost() says that the store went away:
// nothing is dispatched until Reconcile() has found out what it has; a run's broken() says that it
// cannot go on here. What was committed is safe.
#ifndef KEV_ENGINE_HOST_HOST_H_
#define KEV_ENGINE_HOST_HOST_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/core/placer.h"
#include "engine/core/run_core.h"
#include "engine/host/clock.h"
#include "engine/host/hosted_run.h"
#include "engine/host/store.h"
#include "engine/host/transport.h"

namespace kev {

class Host {
 public:
  Host(Transport* transport, Store* store, Clock* clock);
  ~Host();

  // The core must outlive the run here. A core that has folded a log begins where it ends.
  HostedRun& Add(HostedRunOptions options, RunCore* core);
  // After a restart: logs the new epoch, and gives workers the grace to come back with what they
  // hold before everything else that was open counts as lost.
  void PostRestart(HostedRun& run, uint32_t decision_version);
  // Forgets a run; what its workers have is cancelled.
  void Remove(HostedRun& run);
  HostedRun* Find(const std::string& run);
  const std::map<uint32_t, std::unique_ptr<HostedRun>>& runs() const { return runs_; }

  // One pass: receive, commit, confirm, place, send. Gives whether anything was done.
  bool Turn();
  // How long the caller may wait for a descriptor before the next Turn. < 0: as long as it likes.
  int64_t WaitMs() const;
  // Nothing new is given to workers from now on (orderly stop, no space left); results are still
  // taken and committed.
  void Hold(bool holding) { holding_ = holding; }

  bool Settled() const;  // all that was posted is committed
  const std::optional<Error>& store_lost() const { return store_lost_; }
  // The caller knows of it before any answer failed.
  void LoseStore(Error why) {
    if (!store_lost_) store_lost_ = std::move(why);
  }
  // The store is back (the same one or another object): every run finds out where its log ends,
  // writes again what is missing, and goes on.
  void Reconcile(Store* store);
  // For how long the store has owed an answer to a commit; 0: it owes none.
  int64_t StoreSilentMs() const;
  bool reconciling() const { return reconciling_ != 0; }  // and does not know everything yet

  // For the caller's own questions, answered when the store has answered: parts of a log (event
  // groups as they were committed) and blobs. Asked again of the next store when this one is lost.
  using Answer = std::function<void(const Status&, std::vector<std::string> data)>;
  void ReadLog(const std::string& run, uint64_t from, uint64_t to, Answer answer);
  void ReadBlob(const std::string& sha256, Answer answer);

  const Placer& placer() const { return placer_; }
  const std::map<SessionId, Hello>& sessions() const { return sessions_; }
  size_t workers() const { return placer_.workers(); }
  uint64_t jobs_done() const { return jobs_done_; }
  // Asks every worker, or the one called `name`, to finish what it has and leave. Gives how many.
  size_t DrainWorkers(const std::string& name = "");
  // Why the job waits: what the run says, else what the placer says.
  std::string Explain(const HostedRun& run, const JobKey& key) const;
  void Reply(SessionId session, ClientReply reply);

  // Called when a worker or a client joins; and when it leaves, with how many jobs it has finished
  // in its session.
  std::function<void(const Hello&)> on_joined;
  std::function<void(const Hello&, uint64_t finished, const SessionLost&)> on_left;
  // Called with why somebody was refused who had no session yet, and who that was.
  std::function<void(const std::string& why)> on_refused;
  // Called for each order of a client; who takes it answers with Reply, now or later.
  std::function<void(SessionId, const Hello&, ClientCall&)> on_call;
  // Called with what a worker says of its progress.
  std::function<void(HostedRun&, const Progress&)> on_progress;
  // The log below the store's beginning: event groups as they were committed. Not set: the store
  // has all of it.
  std::function<std::optional<std::vector<std::string>>(const std::string& run, uint64_t from,
                                                        uint64_t to)>
      read_trimmed;
  // Blobs that have left the store. Not set: none have.
  std::function<Result<std::optional<std::string>>(const std::string& sha256)> read_moved_blob;

 private:
  struct Reader {
    SessionId session;
    std::string sha256;  // a blob is wanted
    std::string run;     // or a part of the log
    uint64_t from = 0;
    uint64_t to = 0;
    uint32_t end_of = 0;      // or where the log of this run ends
    Answer answer = nullptr;  // the caller asked, not a session
  };
  struct AttemptHash {
    size_t operator()(const AttemptId& id) const;
  };

  bool Receive();
  void On(SessionId session, Hello& hello);
  void On(SessionId session, ResultMessage& message);
  void On(SessionId session, const Returned& returned);
  void On(SessionId session, const HistoryWanted& wanted);
  static void Refuse(ResultMessage* message, const std::string& why);
  static const BlobRef* FirstUnknownBlob(const HostedRun& run, const ResultMessage& message);
  void AskForBlob(SessionId session, const BlobRef& ref, ResultMessage& message);
  bool AnswerTo(HostedRun& run, SessionId session, const AttemptId& id);
  void Lose(SessionId session, const SessionLost& lost);
  bool CommitGroups();
  bool Confirm();
  void Confirmed(HostedRun& run, std::vector<HostedRun::InCommit> commits);
  void AnswerReader(Reader reader, Completion done);
  void Read(Reader reader);
  void Execute(HostedRun& run, std::vector<Command>& commands);
  void Offer(HostedRun& run, StartAttempt& start);
  void RegisterClasses(HostedRun& run);
  bool PlaceAndSend();
  void Expire();
  void EndGrace(HostedRun& run);
  bool Adopt(HostedRun& run, SessionId session, const Hello& hello, const InFlight& item);

  Transport* transport_;
  Store* store_;
  Clock* clock_;
  Placer placer_;
  uint32_t last_run_ = 0;
  std::map<uint32_t, std::unique_ptr<HostedRun>> runs_;
  std::map<std::string, HostedRun*, std::less<>> by_name_;
  std::unordered_map<uint64_t, HostedRun*> commits_;  // by ticket; never iterated
  std::map<uint64_t, Reader> readers_;
  std::map<SessionId, Hello> sessions_;
  // Of attempts that are ready or out; never iterated.
  struct Payload {
    std::string bytes;
    uint64_t digest;  // of the job as it is in the log: the secret is not in it
  };
  std::unordered_map<AttemptId, Payload, AttemptHash> payloads_;
  std::optional<Error> store_lost_;
  int64_t asked_ms_ = 0;    // since when the store has owed an answer, if it owes one
  size_t reconciling_ = 0;  // runs that wait to hear where their log ends
  bool holding_ = false;
  uint64_t jobs_done_ = 0;
};

}  // namespace kev

#endif  // KEV_ENGINE_HOST_HOST_H_
