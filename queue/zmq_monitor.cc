#include "queue/zmq_monitor.h"

#include <zmq.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace kev {
namespace {

ZmqEvent::Kind KindOf(uint16_t event, uint32_t value) {
  switch (event) {
    case ZMQ_EVENT_ACCEPTED:
      return ZmqEvent::Kind::kAccepted;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      return ZmqEvent::Kind::kConnected;
    case ZMQ_EVENT_DISCONNECTED:
      return ZmqEvent::Kind::kDisconnected;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      return ZmqEvent::Kind::kKeyRefused;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      return value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH ? ZmqEvent::Kind::kOtherMechanism
                                                                 : ZmqEvent::Kind::kHandshakeBroken;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
      return ZmqEvent::Kind::kHandshakeBroken;
    default:
      return ZmqEvent::Kind::kOther;
  }
}

}  // namespace

Result<ZmqMonitor> ZmqMonitor::Watch(const ZmqContext& context, const ZmqSocket& socket) {
  static std::atomic<uint64_t> counter{0};
  const std::string address = "inproc://kevolve-monitor-" + std::to_string(++counter);
  constexpr int kEvents = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED |
                          ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                          ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
  const auto failed = [] {
    return Error{Code::kInternal,
                 std::string("a ZeroMQ socket cannot be watched: ") + zmq_strerror(errno)};
  };
  if (zmq_socket_monitor(socket.get(), address.c_str(), kEvents) != 0) return failed();
  void* pair = zmq_socket(context.get(), ZMQ_PAIR);
  if (pair == nullptr) return failed();
  const int linger = 0;
  zmq_setsockopt(pair, ZMQ_LINGER, &linger, sizeof linger);
  ZmqMonitor monitor(pair);
  if (zmq_connect(pair, address.c_str()) != 0) return failed();
  return monitor;
}

ZmqMonitor::ZmqMonitor(ZmqMonitor&& other) noexcept : pair_(std::exchange(other.pair_, nullptr)) {}
ZmqMonitor& ZmqMonitor::operator=(ZmqMonitor&& other) noexcept {
  std::swap(pair_, other.pair_);
  return *this;
}
ZmqMonitor::~ZmqMonitor() {
  if (pair_ != nullptr) zmq_close(pair_);
}

// Two frames: event u16 and value u32, unaligned; then the endpoint.
std::optional<ZmqEvent> ZmqMonitor::Next() {
  unsigned char bytes[16];
  int n;
  do {
    n = zmq_recv(pair_, bytes, sizeof bytes, ZMQ_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return std::nullopt;
  char endpoint[4] = "";
  int more = 0;
  size_t size = sizeof more;
  while (zmq_getsockopt(pair_, ZMQ_RCVMORE, &more, &size) == 0 && more != 0) {
    zmq_recv(pair_, endpoint, sizeof endpoint, 0);
  }
  if (n < 6) return ZmqEvent{};
  uint16_t event;
  uint32_t value;
  std::memcpy(&event, bytes, sizeof event);
  std::memcpy(&value, bytes + sizeof event, sizeof value);
  return ZmqEvent{KindOf(event, value), value, std::memcmp(endpoint, "tcp:", 4) == 0};
}

int ZmqMonitor::Descriptor() const {
  int fd = -1;
  size_t size = sizeof fd;
  zmq_getsockopt(pair_, ZMQ_FD, &fd, &size);
  return fd;
}

}  // namespace kev
