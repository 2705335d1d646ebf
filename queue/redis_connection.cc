#include "queue/redis_connection.h"

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace kev {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr std::string_view kTcp = "tcp://";
constexpr std::string_view kUrl = "redis://";
constexpr size_t kWordHead = 26;      // most bytes around a word: '$', a number, two line ends
constexpr size_t kKeptOut = 1 << 20;  // bytes of memory that an empty buffer keeps

// Of Redis' protocol: what follows, and how many or how long.
void PutHead(char kind, size_t n, std::string* out) {
  char head[24];
  head[0] = kind;
  char* end = std::to_chars(head + 1, head + sizeof head - 2, n).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out->append(head, static_cast<size_t>(end - head));
}

struct Login {
  std::string address;  // without user and password: this one may stand in messages
  std::string user, password;
};

// Takes redis://user:password@host:port apart; other addresses stay as they are.
Result<Login> LoginFrom(const std::string& address) {
  if (!address.starts_with(kUrl)) return Login{address, "", ""};
  std::string rest = address.substr(kUrl.size());
  Login login;
  if (const size_t at = rest.rfind('@'); at != std::string::npos) {
    const std::string who = rest.substr(0, at);
    const size_t colon = who.find(':');
    login.user = who.substr(0, colon == std::string::npos ? 0 : colon);
    login.password = colon == std::string::npos ? who : who.substr(colon + 1);
    rest.erase(0, at + 1);
  }
  if (const size_t slash = rest.find('/'); slash != std::string::npos) {
    const std::string database = rest.substr(slash + 1);
    if (!database.empty() && database != "0") {
      return Error{Code::kInvalid, "redis://" + rest + ": database " + database +
                                       " cannot be used, only database 0 can: leave '/" + database +
                                       "' away"};
    }
    rest.resize(slash);
  }
  if (rest.empty()) return Error{Code::kInvalid, "a redis:// address needs a host"};
  login.address = std::string(kTcp) + rest;
  return login;
}

RedisReply Convert(const redisReply& r) {
  RedisReply out;
  switch (r.type) {
    case REDIS_REPLY_INTEGER:
      out.kind = RedisReply::Kind::kInteger;
      out.integer = r.integer;
      break;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      out.kind = RedisReply::Kind::kText;
      out.text.assign(r.str, r.len);
      break;
    case REDIS_REPLY_ERROR:
      out.kind = RedisReply::Kind::kError;
      out.text.assign(r.str, r.len);
      break;
    case REDIS_REPLY_ARRAY:
      out.kind = RedisReply::Kind::kList;
      out.list.reserve(r.elements);
      for (size_t i = 0; i < r.elements; ++i) out.list.push_back(Convert(*r.element[i]));
      break;
    default:
      break;
  }
  return out;
}

Result<redisContext*> Dial(const std::string& address, timeval limit) {
  if (address.starts_with(kUnix)) {
    const std::string path = address.substr(kUnix.size());
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
      return Error{Code::kInvalid,
                   "the socket path " + path + " has " + std::to_string(path.size()) +
                       " bytes, 107 are allowed; set KEVOLVE_HOME to a shorter path"};
    }
    return redisConnectUnixWithTimeout(path.c_str(), limit);
  }
  if (address.starts_with(kTcp)) {
    const std::string rest = address.substr(kTcp.size());
    const size_t colon = rest.rfind(':');
    int port = 6379;
    if (colon != std::string::npos) {
      const char* end = rest.data() + rest.size();
      const auto [p, e] = std::from_chars(rest.data() + colon + 1, end, port);
      if (e != std::errc() || p != end || port < 1 || port > 65535) {
        return Error{Code::kInvalid, "'" + address + "' has no valid port; write tcp://host:port"};
      }
    }
    return redisConnectWithTimeout(rest.substr(0, colon).c_str(), port, limit);
  }
  return Error{
      Code::kInvalid,
      "'" + address + "' is no Redis address; write unix:/path/redis.sock or redis://host:port"};
}

}  // namespace

Error ErrorOf(const RedisReply& reply) {
  const std::string& text = reply.text;
  const auto has = [&](const char* what) { return text.find(what) != std::string::npos; };
  if (has("No space left") || text.starts_with("MISCONF")) {
    return {Code::kDiskFull,
            "Redis cannot write its file: " + text + "; make space on its disk and resume the run"};
  }
  if (has("CONFLICT gone")) {
    return {Code::kConflict,
            "the store has nothing of this run any more: it was emptied, or another one answers in "
            "its place. Give it its data back"};
  }
  if (has("CONFLICT") || has("equal or smaller than the target stream top item")) {
    return {Code::kConflict, "another engine has written to this run: " + text};
  }
  if (text.starts_with("OOM")) {
    return {Code::kUnavailable, "Redis is at its memory limit: " + text + "; raise maxmemory"};
  }
  if (text.starts_with("LOADING") || text.starts_with("BUSY"))
    return {Code::kUnavailable, "Redis: " + text};
  if (text.starts_with("WRONGTYPE")) {
    return {Code::kCorrupt,
            "under a key of kevolve's (kev:...) Redis has data that kevolve did not write there "
            "(WRONGTYPE): give it a Redis of its own"};
  }
  if (text.starts_with("NOAUTH") || text.starts_with("NOPERM"))
    return {Code::kPermission, "Redis: " + text};
  return {Code::kInternal, "Redis: " + text};
}

Result<RedisConnection> RedisConnection::Open(const std::string& url,
                                              std::chrono::milliseconds timeout) {
  const Result<Login> login = LoginFrom(url);
  if (!login) return login.error();
  const std::string& address = login->address;
  const timeval limit{static_cast<time_t>(timeout.count() / 1000),
                      static_cast<suseconds_t>(timeout.count() % 1000 * 1000)};
  Result<redisContext*> dialled = Dial(address, limit);
  if (!dialled) return dialled.error();
  redisContext* context = *dialled;
  if (context == nullptr) return Error{Code::kInternal, "no memory for a connection to Redis"};
  if (context->err != 0) {
    Error error{Code::kUnavailable,
                "cannot connect to Redis at " + address + ": " + context->errstr};
    redisFree(context);
    return error;
  }
  // Connected while blocking (with the limit); everything after that must not block.
  fcntl(context->fd, F_SETFL, fcntl(context->fd, F_GETFL) | O_NONBLOCK);
  fcntl(context->fd, F_SETFD, FD_CLOEXEC);
  context->flags &= ~REDIS_BLOCK;
  RedisConnection connection(context, address);
  if (!login->password.empty()) {
    std::vector<std::string_view> words{"AUTH"};
    if (!login->user.empty()) words.emplace_back(login->user);
    words.emplace_back(login->password);
    const Result<RedisReply> let_in = connection.Call(words);
    if (!let_in) {
      return Error{
          let_in.error().code == Code::kUnavailable ? Code::kUnavailable : Code::kPermission,
          "Redis at " + address +
              " does not accept the user and password: " + let_in.error().message};
    }
  }
  return connection;
}

RedisConnection::RedisConnection(redisContext* context, std::string address)
    : context_(context), address_(std::move(address)) {}
RedisConnection::RedisConnection(RedisConnection&& other) noexcept
    : context_(std::exchange(other.context_, nullptr)),
      address_(std::move(other.address_)),
      why_(std::move(other.why_)),
      out_(std::exchange(other.out_, {})),
      sent_(std::exchange(other.sent_, 0)),
      lost_(other.lost_) {}
RedisConnection& RedisConnection::operator=(RedisConnection&& other) noexcept {
  std::swap(context_, other.context_);
  std::swap(address_, other.address_);
  std::swap(why_, other.why_);
  std::swap(lost_, other.lost_);
  std::swap(out_, other.out_);
  std::swap(sent_, other.sent_);
  return *this;
}
RedisConnection::~RedisConnection() {
  if (context_ != nullptr) redisFree(context_);
}

int RedisConnection::descriptor() const { return lost_ ? -1 : context_->fd; }

void RedisConnection::Lose(const std::string& why) {
  if (lost_) return;
  lost_ = true;
  why_ = why;
}

Error RedisConnection::Lost() const {
  return {Code::kUnavailable,
          "the connection to Redis at " + address_ + " was lost (" + why_ + ")"};
}

void RedisConnection::Append(const std::vector<std::string_view>& words) {
  if (lost_) return;
  size_t bytes = 0;
  for (const std::string_view word : words) bytes += word.size() + kWordHead;
  if (sent_ > out_.size() / 2) out_.erase(0, std::exchange(sent_, 0));
  if (out_.capacity() - out_.size() < bytes)
    out_.reserve(std::max(2 * out_.capacity(), out_.size() + bytes));
  PutHead('*', words.size(), &out_);
  for (const std::string_view word : words) {
    PutHead('$', word.size(), &out_);
    out_.append(word);
    out_.append("\r\n");
  }
}

bool RedisConnection::PumpOut() {
  if (lost_) return false;
  while (sent_ < out_.size()) {
    const ssize_t n =
        send(context_->fd, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    if (n < 0) {
      Lose(std::strerror(errno));
      return false;
    }
    sent_ += static_cast<size_t>(n);
  }
  sent_ = 0;
  if (out_.capacity() > kKeptOut)
    std::string().swap(out_);
  else
    out_.clear();
  return true;
}

bool RedisConnection::Pump() {
  if (!PumpOut()) return false;
  for (;;) {
    // hiredis reads 16 KiB at a time and does not say whether anything came; its buffer does.
    const size_t before = context_->reader->len;
    if (redisBufferRead(context_) != REDIS_OK) {
      Lose(context_->errstr);
      return false;
    }
    if (context_->reader->len == before) return true;
  }
}

std::optional<RedisReply> RedisConnection::Next() {
  if (context_->err != 0 && !lost_) Lose(context_->errstr);
  void* raw = nullptr;
  if (redisGetReplyFromReader(context_, &raw) != REDIS_OK) {
    Lose(context_->errstr);
    return std::nullopt;
  }
  if (raw == nullptr) return std::nullopt;
  RedisReply reply = Convert(*static_cast<redisReply*>(raw));
  freeReplyObject(raw);
  return reply;
}

Result<RedisReply> RedisConnection::Call(const std::vector<std::string_view>& words) {
  Append(words);
  auto heard = std::chrono::steady_clock::now();
  for (;;) {
    const size_t before = context_->reader->len;
    const bool alive = Pump();
    const auto now = std::chrono::steady_clock::now();
    if (context_->reader->len != before) heard = now;
    if (now - heard > kMostSilence)
      Lose("it has not answered for " + std::to_string(kMostSilence.count()) + " s");
    if (std::optional<RedisReply> reply = Next()) {
      if (reply->kind == RedisReply::Kind::kError) return ErrorOf(*reply);
      return std::move(*reply);
    }
    if (!alive) return Lost();
    pollfd item{context_->fd, static_cast<short>(POLLIN | (wants_write() ? POLLOUT : 0)), 0};
    poll(&item, 1, 1000);
  }
}

}  // namespace kev
