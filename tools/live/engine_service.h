// EngineService: an engine on this machine: lock, store, transport, host, stage processes, and the
// runs that it drives. `kevolve run` has one for its one run, `kevolve engine` one for many.
//
// Threads: the main one only. Errors: Open and Listen say why the engine cannot begin; failure()
// why it cannot go on; of a single run, ServedRun::failure. What was committed is safe.
#ifndef KEV_TOOLS_LIVE_ENGINE_SERVICE_H_
#define KEV_TOOLS_LIVE_ENGINE_SERVICE_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/run_core.h"
#include "engine/host/host.h"
#include "queue/redis_server.h"
#include "queue/zmq_transport.h"
#include "tools/live/disk_watch.h"
#include "tools/live/engine_folder.h"
#include "tools/live/folder_lock.h"
#include "tools/live/home.h"
#include "tools/live/machine.h"
#include "tools/live/run_log.h"
#include "tools/live/stage_fleet.h"
#include "tools/live/store_keeper.h"

namespace kev {

struct EngineOptions {
  EngineFolder folder;
  std::string what;  // "run softmax-1", "engine default": for messages
  Durability durability = Durability::kStrict;
  std::string store_url;  // empty: a redis-server of its own
  bool force_network_fs = false;
  std::vector<std::string> listen;  // tcp://address:port, besides its own socket
  std::string access_file;          // keys for tcp; empty: none
  CoreSplit cores;
  uint64_t keep_free_bytes = 64ull << 20;  // with less on the disk nothing new is given out
  bool projections = true;
  bool start_workers = true;
  // Keep all of what has ended in memory, and the whole log in the store. For runs that are shown
  // while they go on, and are not long.
  bool keep_ended = false;
  uint64_t snapshot_events = 50000;  // at least, between snapshots; unused with keep_ended
};

// What a run begins with: blobs that must be there first, then the first events. Not used by a
// resumed run.
struct Beginning {
  std::vector<std::pair<BlobRef, std::string>> blobs;
  std::vector<Event> events;
};

struct ServedRun {
  RunFolder folder;
  std::unique_ptr<FolderLock> lock;  // none when the engine's folder is the run's
  std::unique_ptr<RunCore> core;
  std::unique_ptr<RunLog> log;
  std::vector<Subject> over;  // whose records an engine before this one left in the store
  uint64_t epoch = 0;
  uint64_t marked_seq = 0;  // confirmed, as the folder knows it
  double weight = 1;
  std::string submission;       // its idempotency key; "" for runs that were not submitted
  HostedRun* hosted = nullptr;  // while it is driven
  std::vector<StageProcess> processes;
  std::optional<Error> failure;  // nothing of it can be committed any more
  bool log_failure_said = false;
};

class EngineService {
 public:
  explicit EngineService(EngineOptions options);
  ~EngineService();

  Status TakeLock();  // kExists: another engine has the folder
  Status Open();      // lock, unless it was taken, and store
  Status Listen();    // binds its endpoints
  const std::vector<std::string>& endpoints() const { return transport_->Endpoints(); }

  // Takes a run: its lock and next epoch, and what its log says. Waits for the store.
  Result<ServedRun*> Load(const RunFolder& folder);
  // From here on it goes on by itself. When it cannot, hosted stays null; else an error is of the
  // stage processes, and workers may still join.
  Status Drive(ServedRun& run, const Beginning& beginning);
  // Takes it out of the host; it stays in runs().
  void Stop(ServedRun& run);
  void Forget(ServedRun& run);
  ServedRun* Find(const std::string& id);
  const std::map<std::string, std::unique_ptr<ServedRun>>& runs() const { return runs_; }

  // One pass of the loop; waits at most `most_wait_ms` when there is nothing to do.
  void Pump(int64_t most_wait_ms = 50);
  void Hold(bool hold) { hold_ = hold; }  // nothing new is given out
  // The stage processes end; the store stays until Close.
  void StopWorkers(std::chrono::milliseconds grace);
  Status Close();

  const std::optional<Error>& failure() const { return failure_; }
  Host* host() const { return host_.get(); }
  StoreKeeper& store() { return *store_; }
  BlobFile* moved_blobs() { return blobs_.get(); }  // those that have left the store; may be null
  StageFleet& fleet() { return *fleet_; }
  Clock& clock() { return clock_; }
  bool disk_low() const { return disk_low_; }
  const EngineOptions& options() const { return options_; }

  std::function<void(const std::string&)> on_note;
  std::function<void(ServedRun&, const EventGroup&)> on_committed;
  // A stage program keeps ending. Not set: it is a failure of the engine.
  std::function<void(const Error&)> on_fleet_failure;
  std::function<void(int64_t now_ms)> on_tick;  // four times a second

 private:
  Status FindRecordsOver(ServedRun* run);
  Status TakeIn(ServedRun& run, const Beginning& beginning);
  void Joined(const Hello& hello);
  void Left(const Hello& hello, uint64_t finished, const SessionLost& lost);
  void NoteOutsideWorker(ServedRun& run);
  void Tick(int64_t now_ms);
  void Wait(int64_t most_wait_ms);
  void Say(const std::string& text) {
    if (on_note) on_note(text);
  }

  EngineOptions options_;
  SteadyClock clock_;
  std::unique_ptr<FolderLock> lock_;
  std::unique_ptr<StoreKeeper> store_;
  std::unique_ptr<BlobFile> blobs_;
  std::unique_ptr<ZmqTransport> transport_;
  std::unique_ptr<StageFleet> fleet_;
  std::unique_ptr<Host> host_;
  DiskWatch disk_;
  std::map<std::string, std::unique_ptr<ServedRun>> runs_;
  // Of all runs, as they were when the first that goes on was taken up.
  std::optional<std::map<std::string, std::vector<std::string>>> record_keys_;
  std::optional<Error> failure_;
  bool hold_ = false;
  bool disk_low_ = false;
  bool leaving_ = false;
  int64_t next_tick_ms_ = 0;
  int64_t next_marks_ms_ = 0;
};

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_ENGINE_SERVICE_H_
