#include "tools/live/store_keeper.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "tools/live/file_system.h"

namespace kev {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr int64_t kFirstDelayMs = 50;
constexpr int64_t kMostDelayMs = 5000;
constexpr int64_t kLookAgainMs = 250;          // for space, or while it loads
constexpr uint64_t kLeastFreeBytes = 1 << 20;  // a server cannot work with less
constexpr int64_t kSilentMs = 5000;            // of a store that is connected: worth a note
constexpr int64_t kForgetFailuresMs = 30000;   // a store that lasts so long begins afresh
constexpr milliseconds kConnectLimit{500};     // the loop waits for no more

bool Loading(const Error& error) { return error.message.find("LOADING") != std::string::npos; }

std::string MiB(uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

// redis://user:password@host:port without what must not be read by others.
std::string WithoutPassword(const std::string& url) {
  const size_t at = url.rfind('@');
  const size_t scheme = url.find("://");
  return at == std::string::npos || scheme == std::string::npos
             ? url
             : url.substr(0, scheme + 3) + url.substr(at + 1);
}

}  // namespace

StoreKeeper::StoreKeeper(StoreOptions options, Note note)
    : options_(std::move(options)), note_(std::move(note)) {
  address_ = own() ? "unix:" + options_.folder.RedisSocket() : options_.url;
  shown_ = WithoutPassword(address_);
}

EmbeddedRedisOptions StoreKeeper::ServerOptions() const {
  EmbeddedRedisOptions redis;
  redis.folder = options_.folder.Redis();
  redis.durability = options_.durability;
  return redis;
}

Result<std::unique_ptr<StoreKeeper>> StoreKeeper::Open(StoreOptions options, Note note) {
  std::unique_ptr<StoreKeeper> keeper(new StoreKeeper(std::move(options), std::move(note)));
  if (keeper->own()) {
    if (Status s = keeper->StartOwn(); !s.ok()) return s.error();
  }
  if (Status s = keeper->ConnectFirst(); !s.ok()) return s.error();
  auto admin = keeper->Admin();
  if (!admin) return admin.error();
  if (Status s = keeper->CheckOwnership(**admin); !s.ok()) return s.error();
  if (Status s = keeper->CheckDurability(**admin); !s.ok()) return s.error();
  if (!keeper->own()) {
    const Status s = WriteDurably(keeper->options_.folder.StoreUrl(), keeper->address_ + "\n");
    if (!s.ok()) return s.error();
  }
  return keeper;
}

Status StoreKeeper::StartOwn() {
  const EngineFolder& folder = options_.folder;
  const auto network = NetworkFileSystem(folder.path);
  if (network && !options_.force_network_fs) {
    return Error{Code::kUnavailable,
                 folder.path + " is on a network file system (" + *network +
                     "), where a sync may not be one and a lock may not hold: set KEVOLVE_HOME to "
                     "a folder on a local disk, keep the store elsewhere with --store URL, or "
                     "accept that with --force-network-fs"};
  }
  if (Status s = CheckStoreFiles(options_.folder); !s.ok()) return s;
  auto server = EmbeddedRedis::Start(ServerOptions());
  if (!server) return server.error();
  server_ = std::move(*server);
  return {};
}

Status StoreKeeper::ConnectFirst() {
  for (bool told = false;;) {
    auto store = RedisStore::Connect(address_);
    if (store) {
      store_ = std::move(*store);
      return {};
    }
    if (!Loading(store.error())) {
      Error error = store.error();
      if (!own()) error.message += "; is it running, and does --store name it rightly?";
      return error;
    }
    if (!std::exchange(told, true)) note_("the store at " + shown_ + " loads its data; waiting");
    std::this_thread::sleep_for(milliseconds(kLookAgainMs));
  }
}

Result<RedisStore*> StoreKeeper::Blocking() {
  if (blocking_ == nullptr || blocking_->lost()) {
    auto store = RedisStore::Connect(address_, kConnectLimit);
    if (!store) return store.error();
    blocking_ = std::move(*store);
  }
  return blocking_.get();
}

Result<RedisAdmin*> StoreKeeper::Admin() {
  if (admin_ != nullptr && admin_->Keys().ok()) return admin_.get();
  auto admin = RedisAdmin::Connect(address_, kConnectLimit);
  if (!admin) return admin.error();
  admin_ = std::move(*admin);
  return admin_.get();
}

// The folder keeps the name of the data set that belongs to it.
Status StoreKeeper::CheckOwnership(RedisAdmin& admin) {
  const std::string file = options_.folder.StoreName();
  const std::string expected = identity_.empty() ? FirstWordOf(file) : identity_;
  const Result<std::string> there = admin.Identity();
  if (!there) return there.error();
  if (expected.empty()) {
    const Result<std::string> name = there->empty() ? admin.MakeIdentity() : there;
    if (!name) return name.error();
    identity_ = *name;
    return WriteDurably(file, identity_ + "\n");
  }
  identity_ = expected;
  if (*there == expected) return {};
  const Result<uint64_t> keys = admin.Keys();
  const Result<std::vector<std::string>> runs = admin.Runs();
  std::string found = keys && *keys == 0 ? "it is empty"
                      : there->empty()   ? "it has other data, and not of kevolve"
                                         : "it has the data set " + there->substr(0, 8);
  if (runs && !runs->empty()) {
    found += " with run " + runs->front();
    if (runs->size() > 1) found += " and " + std::to_string(runs->size() - 1) + " more";
  }
  return Error{Code::kConflict,
               "the store at " + shown_ + " is not ours: " + found + ", and " + file +
                   " names the data set " + expected.substr(0, 8) +
                   ". Nothing was changed in it. Give it its files back, or name the right store; "
                   "if the data is gone for good, remove what belonged to it (`" +
                   CommandName() + " rm`) and " + file};
}

// What an external server promises must be what was asked for.
Status StoreKeeper::CheckDurability(RedisAdmin& admin) {
  if (own()) return {};
  const std::string append = admin.Setting("appendonly");
  const std::string fsync = admin.Setting("appendfsync");
  if (append.empty()) {
    note_("the store at " + shown_ +
          " does not allow CONFIG: how durable it is, its owner must know");
    return {};
  }
  // What is evicted is lost as well, whatever is synced.
  const std::string policy = admin.Setting("maxmemory-policy");
  if (policy != "noeviction" && !policy.empty()) {
    return Error{Code::kInvalid, "the store at " + shown_ + " has maxmemory-policy " + policy +
                                     " and may throw keys away: set it to noeviction"};
  }
  const std::string wanted = options_.durability == Durability::kStrict   ? "always"
                             : options_.durability == Durability::kNormal ? "everysec"
                                                                          : "no";
  const bool good =
      options_.durability == Durability::kFast ||
      (append == "yes" && (fsync == "always" || (wanted == "everysec" && fsync == "everysec")));
  if (good) return {};
  return Error{Code::kInvalid, "the store at " + shown_ + " runs with appendonly " + append +
                                   " and appendfsync " + fsync +
                                   ", which is less than was asked for: set it to appendonly yes "
                                   "and appendfsync " +
                                   wanted + ", or run with another --durability"};
}

Status StoreKeeper::Mend(Host& host, int64_t now_ms) {
  // Nothing may be under way that could fail.
  if (state_ == State::kGood && store_->lost())
    host.LoseStore(Error{Code::kUnavailable, "the connection to " + shown_ + " was lost"});
  if (!host.store_lost()) {
    if (state_ != State::kGood) {
      state_ = State::kGood;
      good_since_ms_ = now_ms;
      said_.clear();
      note_("the store is back; going on");
    } else if (host.StoreSilentMs() > kSilentMs) {
      if (!std::exchange(silent_, true)) {
        note_("the store at " + shown_ + " has not answered for " +
              std::to_string(kSilentMs / 1000) + " s; nothing goes on until it does");
      }
    } else if (std::exchange(silent_, false)) {
      note_("the store answers again; going on");
    } else if (failures_ > 0 && now_ms - good_since_ms_ > kForgetFailuresMs) {
      failures_ = 0;
    }
    return {};
  }
  switch (state_) {
    case State::kGood:
      state_ = State::kWaiting;
      next_try_ms_ = now_ms + (failures_ == 0 ? 0 : Delay());
      note_("the store was lost: " + host.store_lost()->message +
            "; nothing is given out until it is back");
      return {};
    case State::kReconciling:
      if (host.reconciling() && !store_->lost()) return {};
      WaitLonger(now_ms, host.store_lost()->message);
      return {};
    case State::kWaiting:
    case State::kStarting:
      return now_ms < next_try_ms_ ? Status() : Try(host, now_ms);
  }
  return {};
}

int64_t StoreKeeper::Delay() const {
  return std::min(kMostDelayMs, kFirstDelayMs << std::min(failures_, 10u));
}

void StoreKeeper::WaitLonger(int64_t now_ms, const std::string& why) {
  state_ = State::kWaiting;
  next_try_ms_ = now_ms + Delay();
  ++failures_;
  if (std::exchange(said_, why) != why) note_("the store is still away: " + why);
}

Status StoreKeeper::Try(Host& host, int64_t now_ms) {
  if (!own()) return Reconnect(host, now_ms);
  const bool ended = state_ == State::kWaiting && !server_->Alive();
  const auto free = FreeBytes(options_.folder.path);
  const uint64_t wanted = std::max(options_.keep_free_bytes, kLeastFreeBytes);
  if ((ended || host.store_lost()->code == Code::kDiskFull) && free && *free < wanted) {
    const std::string why = "the store goes on only when there is room: " + MiB(wanted) +
                            " must be free in " + options_.folder.path;
    if (std::exchange(said_, why) != why)
      note_(why + "; " + MiB(*free) + " are. " + (ended ? server_->LastWords().message : ""));
    next_try_ms_ = now_ms + kLookAgainMs;
    return {};
  }
  if (ended) {
    if (Status s = CheckStoreFiles(options_.folder); !s.ok()) return s;
    note_("redis-server is started again; " + server_->LastWords().message);
    auto server = EmbeddedRedis::Launch(ServerOptions());
    if (!server) {
      WaitLonger(now_ms, server.error().message);
      return {};
    }
    server_ = std::move(*server);
    state_ = State::kStarting;
  }
  const Result<bool> ready = server_->Ready();
  if (!ready) {
    WaitLonger(now_ms, ready.error().message);
    return {};
  }
  if (!*ready) {
    state_ = State::kStarting;
    next_try_ms_ = now_ms + (server_->loading() ? kLookAgainMs : 5);
    return {};
  }
  return Reconnect(host, now_ms);
}

Status StoreKeeper::Reconnect(Host& host, int64_t now_ms) {
  auto store = RedisStore::Connect(address_, kConnectLimit);
  if (!store && Loading(store.error())) {
    next_try_ms_ = now_ms + kLookAgainMs;
    return {};
  }
  auto admin = store ? RedisAdmin::Connect(address_, kConnectLimit)
                     : Result<std::unique_ptr<RedisAdmin>>(store.error());
  if (!admin) {
    WaitLonger(now_ms, admin.error().message);
    return {};
  }
  const Status ours = CheckOwnership(**admin);
  if (!ours.ok()) {
    if (ours.error().code == Code::kConflict) return ours;
    WaitLonger(now_ms, ours.error().message);
    return {};
  }
  admin_ = std::move(*admin);
  blocking_.reset();
  const std::unique_ptr<RedisStore> before = std::move(store_);  // the host lets go of it below
  store_ = std::move(*store);
  state_ = State::kReconciling;
  ++failures_;
  host.Reconcile(store_.get());
  return {};
}

Status StoreKeeper::Renew(Host& host) {
  auto store = RedisStore::Connect(address_, kConnectLimit);
  if (!store) return store.error();
  const std::unique_ptr<RedisStore> before = std::move(store_);
  store_ = std::move(*store);
  blocking_.reset();
  state_ = State::kReconciling;
  said_.clear();
  host.Reconcile(store_.get());
  if (!host.store_lost()) state_ = State::kGood;
  return {};
}

Status StoreKeeper::Close() {
  store_.reset();
  blocking_.reset();
  admin_.reset();
  return server_ ? server_->Stop() : Status();
}

}  // namespace kev
