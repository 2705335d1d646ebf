// RedisConnection: a pipelined, non-blocking connection to one Redis server (hiredis), and the
// replies as plain values.
//
// Threads: one. Errors: once the connection is lost it stays lost; make a new one. hiredis.h stays
// in the .cc file.
#ifndef KEV_QUEUE_REDIS_CONNECTION_H_
#define KEV_QUEUE_REDIS_CONNECTION_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/result.h"

struct redisContext;

namespace kev {

struct RedisReply {
  enum class Kind { kNil, kInteger, kText, kList, kError } kind = Kind::kNil;
  int64_t integer = 0;
  std::string text;  // kText, kError
  std::vector<RedisReply> list;
};

// What an error reply means: kDiskFull, kConflict (a commit's checks), kUnavailable (loading, out
// of memory), kInternal.
Error ErrorOf(const RedisReply& reply);

class RedisConnection {
 public:
  // `address`: "unix:/path", "tcp://host:port" or "redis://[[user]:password@]host[:port]".
  static Result<RedisConnection> Open(const std::string& address,
                                      std::chrono::milliseconds timeout);
  RedisConnection(RedisConnection&&) noexcept;
  RedisConnection& operator=(RedisConnection&&) noexcept;
  ~RedisConnection();

  void Append(const std::vector<std::string_view>& words);
  // Moves bytes both ways as far as the socket takes and gives them, without waiting. False: the
  // connection is lost.
  bool Pump();
  bool PumpOut();
  // Next reply that has arrived whole.
  std::optional<RedisReply> Next();
  // Sends one command and waits for its reply. REQUIRES: nothing is outstanding.
  Result<RedisReply> Call(const std::vector<std::string_view>& words);

  bool lost() const { return lost_; }
  const std::string& why() const { return why_; }
  const std::string& address() const { return address_; }
  int descriptor() const;
  bool wants_write() const { return !lost_ && sent_ < out_.size(); }
  Error Lost() const;
  // A server that says nothing for so long while a Call waits counts as lost.
  static constexpr std::chrono::seconds kMostSilence{15};

 private:
  RedisConnection(redisContext* context, std::string address);
  void Lose(const std::string& why);
  redisContext* context_;
  std::string address_;
  std::string why_;
  // Commands, and how much of them the socket has taken. Not hiredis' own buffer: that moves all
  // the rest to its front after each write, which for a command of many MB is most of the work.
  std::string out_;
  size_t sent_ = 0;
  bool lost_ = false;
};

}  // namespace kev

#endif  // KEV_QUEUE_REDIS_CONNECTION_H_
