#include "queue/zmq_socket.h"

#include <zmq.h>

#include <cerrno>
#include <deque>
#include <utility>

#include "queue/wire.h"

namespace kev {

ZmqContext::ZmqContext() : context_(zmq_ctx_new()) {}
ZmqContext::~ZmqContext() { zmq_ctx_term(context_); }

struct Multipart::Frames {
  std::deque<zmq_msg_t> messages;  // a deque: a message must not move in memory
  ~Frames() {
    for (zmq_msg_t& m : messages) zmq_msg_close(&m);
  }
};

Multipart::Multipart() : frames_(std::make_unique<Frames>()) {}
Multipart::~Multipart() = default;

std::string_view Multipart::operator[](size_t i) const {
  zmq_msg_t* m = &frames_->messages[i];
  return {static_cast<const char*>(zmq_msg_data(m)), zmq_msg_size(m)};
}

int Multipart::SourceDescriptor() const {
  if (size_ == 0) return -1;
  return zmq_msg_get(&frames_->messages[size_ - 1], ZMQ_SRCFD);
}

std::string Multipart::Property(const char* name) const {
  const char* text = size_ == 0 ? nullptr : zmq_msg_gets(&frames_->messages[size_ - 1], name);
  return text == nullptr ? "" : text;
}

Result<ZmqSocket> ZmqSocket::Make(const ZmqContext& context, SocketKind kind) {
  void* s = zmq_socket(context.get(), kind == SocketKind::kRouter ? ZMQ_ROUTER : ZMQ_DEALER);
  if (s == nullptr) {
    return Error{Code::kInternal,
                 std::string("a ZeroMQ socket cannot be made: ") + zmq_strerror(errno)};
  }
  const auto set = [s](int option, int value) { zmq_setsockopt(s, option, &value, sizeof value); };
  set(ZMQ_LINGER, 0);
  set(ZMQ_SNDTIMEO, 0);
  set(ZMQ_SNDHWM, 100000);  // bounds are kept by credits; a full pipe means a peer that is gone
  set(ZMQ_RCVHWM, 100000);
  set(ZMQ_HANDSHAKE_IVL, 5000);
  set(ZMQ_TCP_KEEPALIVE, 1);
  set(ZMQ_TCP_KEEPALIVE_IDLE, 60);
  zmq_setsockopt(s, ZMQ_MAXMSGSIZE, &kWireMaxFrame, sizeof kWireMaxFrame);
  if (kind == SocketKind::kRouter) {
    set(ZMQ_ROUTER_MANDATORY, 1);
  } else {
    set(ZMQ_IMMEDIATE, 1);
    set(ZMQ_RECONNECT_IVL, 100);
    set(ZMQ_RECONNECT_IVL_MAX, 2000);
  }
  return ZmqSocket(s);
}

ZmqSocket::ZmqSocket(ZmqSocket&& other) noexcept : socket_(std::exchange(other.socket_, nullptr)) {}
ZmqSocket& ZmqSocket::operator=(ZmqSocket&& other) noexcept {
  std::swap(socket_, other.socket_);
  return *this;
}
ZmqSocket::~ZmqSocket() {
  if (socket_ != nullptr) zmq_close(socket_);
}

Result<std::string> ZmqSocket::Bind(const std::string& endpoint) {
  if (zmq_bind(socket_, endpoint.c_str()) != 0) {
    const int e = errno;
    const std::string what = "cannot listen on " + endpoint + ": " + zmq_strerror(e);
    if (e == EADDRINUSE)
      return Error{Code::kExists, what + "; another process has it, choose another port"};
    if (e == EACCES) return Error{Code::kPermission, what};
    if (e == ENAMETOOLONG) {
      return Error{
          Code::kInvalid,
          what + " (a socket path has at most 107 bytes; set KEVOLVE_HOME to a shorter one)"};
    }
    return Error{Code::kInvalid, what};
  }
  char bound[256];
  size_t size = sizeof bound;
  if (zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, bound, &size) != 0) return endpoint;
  return std::string(bound);
}

Status ZmqSocket::Connect(const std::string& endpoint) {
  if (zmq_connect(socket_, endpoint.c_str()) == 0) return {};
  return Error{Code::kInvalid, "cannot connect to '" + endpoint + "': " + zmq_strerror(errno) +
                                   "; an endpoint looks like tcp://host:port or ipc:///path"};
}

Status ZmqSocket::AskForKeys(const std::string& engine_secret) {
  const int one = 1;
  if (zmq_setsockopt(socket_, ZMQ_CURVE_SERVER, &one, sizeof one) == 0 &&
      zmq_setsockopt(socket_, ZMQ_CURVE_SECRETKEY, engine_secret.c_str(),
                     engine_secret.size() + 1) == 0 &&
      zmq_setsockopt(socket_, ZMQ_ZAP_DOMAIN, "kevolve", 7) == 0)
    return {};
  return Error{Code::kInvalid,
               std::string("the engine's key cannot be used: ") + zmq_strerror(errno)};
}

Status ZmqSocket::UseKeys(const CurvePeer& keys) {
  const auto set = [this](int option, const std::string& key) {
    return zmq_setsockopt(socket_, option, key.c_str(), key.size() + 1) == 0;
  };
  if (set(ZMQ_CURVE_SERVERKEY, keys.engine_public) && set(ZMQ_CURVE_PUBLICKEY, keys.own_public) &&
      set(ZMQ_CURVE_SECRETKEY, keys.own_secret))
    return {};
  return Error{Code::kInvalid,
               std::string("the keys of the access file cannot be used: ") + zmq_strerror(errno)};
}

SendOutcome ZmqSocket::Send(const Frames& frames) {
  for (size_t i = 0; i < frames.size(); ++i) {
    const int flags = ZMQ_DONTWAIT | (i + 1 < frames.size() ? ZMQ_SNDMORE : 0);
    int rc;
    do {
      rc = zmq_send(socket_, frames[i].data(), frames[i].size(), flags);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0) return errno == EAGAIN ? SendOutcome::kWouldBlock : SendOutcome::kPeerGone;
  }
  return SendOutcome::kSent;
}

bool ZmqSocket::Receive(Multipart* message) {
  auto& messages = message->frames_->messages;
  message->size_ = 0;
  for (;;) {
    if (messages.size() == message->size_) {
      messages.emplace_back();
      zmq_msg_init(&messages.back());
    }
    zmq_msg_t* m = &messages[message->size_];
    int rc;
    do {
      rc = zmq_msg_recv(m, socket_, ZMQ_DONTWAIT);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0) return false;
    ++message->size_;
    if (zmq_msg_more(m) == 0) return true;
  }
}

int ZmqSocket::Descriptor() const {
  int fd = -1;
  size_t size = sizeof fd;
  zmq_getsockopt(socket_, ZMQ_FD, &fd, &size);
  return fd;
}

void WaitFor(const ZmqSocket& socket, bool writing, int first, int second, long timeout_ms) {
  const short want = static_cast<short>(ZMQ_POLLIN | (writing ? ZMQ_POLLOUT : 0));
  zmq_pollitem_t items[3] = {{socket.get(), 0, want, 0}};
  int n = 1;
  for (const int descriptor : {first, second}) {
    if (descriptor >= 0) items[n++] = {nullptr, descriptor, ZMQ_POLLIN, 0};
  }
  zmq_poll(items, n, timeout_ms);
}

}  // namespace kev
