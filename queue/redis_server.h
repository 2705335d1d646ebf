// EmbeddedRedis: the engine's own redis-server, in a folder of the run: unix socket, append-only
// file, no port.
//
// The server dies with the thread that started it (parent-death signal: start it from the main
// thread); the file keeps what was committed. A server that outlived a killed engine is ended
// before a new one starts on its files: only start one in a folder that the caller has locked.
// Threads: one. Errors say what, where and what to do.
#ifndef KEV_QUEUE_REDIS_SERVER_H_
#define KEV_QUEUE_REDIS_SERVER_H_

#include <chrono>
#include <memory>
#include <string>

#include "engine/core/result.h"

namespace kev {

enum class Durability {
  kStrict,  // fsync before every answer
  kNormal,  // fsync each second
  kFast,    // when the kernel likes
};

struct EmbeddedRedisOptions {
  std::string folder;  // made when it does not exist; redis.sock, redis.log, redis.pid and
                       // appendonlydir live in it
  Durability durability = Durability::kStrict;
  std::string program = "redis-server";
  std::chrono::milliseconds start_limit{30000};  // without the time that loading takes
};

class EmbeddedRedis {
 public:
  // Returns when the server answers and has loaded its data.
  static Result<std::unique_ptr<EmbeddedRedis>> Start(const EmbeddedRedisOptions& options);
  // Returns at once; Ready() says when it answers. For who cannot wait.
  static Result<std::unique_ptr<EmbeddedRedis>> Launch(const EmbeddedRedisOptions& options);
  // False while it starts or loads its data. Error: it has ended.
  Result<bool> Ready();
  bool loading() const { return loading_; }  // when Ready() was asked last
  ~EmbeddedRedis();
  EmbeddedRedis(const EmbeddedRedis&) = delete;
  EmbeddedRedis& operator=(const EmbeddedRedis&) = delete;

  const std::string& Address() const { return address_; }  // "unix:/…/redis.sock"
  int pid() const { return pid_; }
  // Whether the process still runs; does not wait.
  bool Alive();
  // Why it ended, from its log: for the message when Alive() says no.
  Error LastWords() const;
  // SIGTERM, then SIGKILL when it has not ended in time. The append-only file keeps all that was
  // committed.
  Status Stop(std::chrono::milliseconds limit = std::chrono::milliseconds(10000));

 private:
  EmbeddedRedis(std::string folder, std::string address, int pid);
  std::string folder_;
  std::string address_;
  int pid_;  // 0: ended
  bool loading_ = false;
};

}  // namespace kev

#endif  // KEV_QUEUE_REDIS_SERVER_H_
