// StoreKeeper: has the engine's store and gets it back when it was lost. Its own redis-server is
// started again, with a back-off and only when the disk has room for it; an external one is
// connected to anew. Both are asked first whether the data is still ours.
//
// Threads: one, the host's (start it from the main thread: the server dies with its starter).
// Nothing in Mend waits. Errors: kConflict when what is there is not our data, else what keeps the
// store from being opened, and what to do.
#ifndef KEV_TOOLS_LIVE_STORE_KEEPER_H_
#define KEV_TOOLS_LIVE_STORE_KEEPER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "engine/host/host.h"
#include "queue/redis_admin.h"
#include "queue/redis_server.h"
#include "queue/redis_store.h"
#include "tools/live/engine_folder.h"

namespace kev {

using Note = std::function<void(const std::string&)>;  // a line for whoever watches

struct StoreOptions {
  EngineFolder folder;
  std::string url;  // empty: a redis-server of our own in folder.Redis()
  Durability durability = Durability::kStrict;
  uint64_t keep_free_bytes = 0;   // a server that died is not started again with less
  bool force_network_fs = false;  // allow the own server's files on a network file system
};

class StoreKeeper {
 public:
  static Result<std::unique_ptr<StoreKeeper>> Open(StoreOptions options, Note note);

  RedisStore* store() { return store_.get(); }  // the host's
  // For calls that wait. Another connection than the host's; made anew when it was lost.
  Result<RedisStore*> Blocking();
  Result<RedisAdmin*> Admin();
  const std::string& address() const { return address_; }
  bool own() const { return options_.url.empty(); }
  bool Good() const { return state_ == State::kGood; }

  // To be called in each pass of the loop: when the host has lost the store, works on getting it
  // back and then has the host reconcile. Error: what came back is not our data.
  Status Mend(Host& host, int64_t now_ms);
  // A connection for the host that remembers nothing, after blobs were taken out of the store.
  Status Renew(Host& host);
  Status Close();  // ends the own server

 private:
  enum class State { kGood, kWaiting, kStarting, kReconciling };
  StoreKeeper(StoreOptions options, Note note);
  Status StartOwn();
  Status ConnectFirst();
  Status CheckOwnership(RedisAdmin& admin);
  Status CheckDurability(RedisAdmin& admin);
  Status Try(Host& host, int64_t now_ms);
  Status Reconnect(Host& host, int64_t now_ms);
  int64_t Delay() const;
  void WaitLonger(int64_t now_ms, const std::string& why);
  EmbeddedRedisOptions ServerOptions() const;

  StoreOptions options_;
  Note note_;
  std::string address_;
  std::string shown_;     // address without a password
  std::string identity_;  // of the data set that is ours
  std::unique_ptr<EmbeddedRedis> server_;
  std::unique_ptr<RedisStore> store_;
  std::unique_ptr<RedisStore> blocking_;
  std::unique_ptr<RedisAdmin> admin_;
  State state_ = State::kGood;
  unsigned failures_ = 0;
  int64_t next_try_ms_ = 0;
  int64_t good_since_ms_ = 0;
  std::string said_;     // why we wait, as it was told last
  bool silent_ = false;  // it owes an answer, and that was told
};

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_STORE_KEEPER_H_
