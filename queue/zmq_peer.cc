#include "queue/zmq_peer.h"

#include <algorithm>
#include <chrono>

namespace kev {
namespace {

// Each follows a fresh connection, 100 ms to 2 s apart.
constexpr int kMostBrokenHandshakes = 5;

int64_t NowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

ZmqPeer::ZmqPeer(ZmqPeerOptions options, PeerProtocol* protocol)
    : options_(std::move(options)), protocol_(protocol) {}

// A fresh socket for every new session: what is left in the old one's pipes must not reach the new
// session.
Status ZmqPeer::Open() {
  socket_.reset();
  monitor_.reset();
  Result<ZmqSocket> socket = ZmqSocket::Make(context_, SocketKind::kDealer);
  if (!socket) return socket.error();
  const std::string& endpoint = options_.endpoints[next_endpoint_++ % options_.endpoints.size()];
  keyed_ = options_.curve && endpoint.starts_with("tcp://");
  endpoint_ = endpoint;
  if (keyed_) {
    if (Status s = socket->UseKeys(*options_.curve); !s.ok()) return s;
  }
  Result<ZmqMonitor> monitor = ZmqMonitor::Watch(context_, *socket);
  if (!monitor) return monitor.error();
  if (Status s = socket->Connect(endpoint); !s.ok()) return s;
  socket_.emplace(std::move(*socket));
  monitor_.emplace(std::move(*monitor));
  broken_handshakes_ = 0;
  blocked_ = false;
  protocol_->Opened(NowUs());
  return {};
}

Result<bool> ZmqPeer::Follow(PeerNext next) {
  if (next == PeerNext::kEnd) return false;
  if (next == PeerNext::kReopen) {
    if (Status s = Open(); !s.ok()) return s.error();
  }
  return true;
}

Result<bool> ZmqPeer::Turn() {
  for (bool reading = true; reading;) {
    // What came before the connection broke is read before the break is told.
    PeerNext watched = Watch();
    reading = false;
    while (socket_->Receive(&message_)) {
      reading = true;
      frames_.clear();
      for (size_t i = 0; i < message_.size(); ++i) frames_.push_back(message_[i]);
      const PeerNext next = protocol_->Read(frames_, NowUs());
      if (next == PeerNext::kGoOn) continue;
      Result<bool> on = Follow(next);
      if (!on || !*on) return on;
      watched = PeerNext::kGoOn;  // that connection is gone
    }
    if (watched != PeerNext::kGoOn) {
      Result<bool> on = Follow(watched);
      if (!on || !*on) return on;
    }
  }
  return Follow(protocol_->Write(this, NowUs()));
}

PeerNext ZmqPeer::Watch() {
  PeerNext worst = PeerNext::kGoOn;
  while (const std::optional<ZmqEvent> event = monitor_->Next()) {
    PeerNext next = PeerNext::kGoOn;
    switch (event->kind) {
      case ZmqEvent::Kind::kConnected:
        broken_handshakes_ = 0;
        break;
      case ZmqEvent::Kind::kDisconnected:
        next = protocol_->Closed(NowUs());
        break;
      case ZmqEvent::Kind::kKeyRefused:
        next = protocol_->Refused(
            {Code::kPermission, "the engine at " + endpoint_ +
                                    " does not know the key of this access file; take a new "
                                    "one from the engine's run folder"});
        break;
      case ZmqEvent::Kind::kOtherMechanism:
        next = protocol_->Refused(
            {Code::kPermission,
             keyed_ ? "the engine at " + endpoint_ + " does not use keys; connect without --access"
                    : "the engine at " + endpoint_ +
                          " lets nobody in without a key; give its access file with --access"});
        break;
      // An engine without keys may hang up before it has said so: seen from here that is the same
      // as one with other keys.
      case ZmqEvent::Kind::kHandshakeBroken:
        if (!keyed_ || ++broken_handshakes_ < kMostBrokenHandshakes) break;
        next = protocol_->Refused(
            {Code::kPermission, "the engine at " + endpoint_ +
                                    " has another key than the access file says (take a new one "
                                    "from the engine's run folder), uses none (connect without "
                                    "--access), or is none of kevolve's"});
        break;
      default:
        break;
    }
    worst = std::max(worst, next);
  }
  return worst;
}

bool ZmqPeer::Send(std::string_view, const Frames& frames) {
  blocked_ = socket_->Send(frames) != SendOutcome::kSent;
  return !blocked_;
}

void ZmqPeer::Wait(int descriptor, long most_ms) {
  const int64_t now = NowUs();
  const int64_t wake = protocol_->WakeUs(now);
  const long until = wake <= now ? 0 : static_cast<long>((wake - now + 999) / 1000);
  WaitFor(*socket_, blocked_, monitor_->Descriptor(), descriptor, std::min(until, most_ms));
}

}  // namespace kev
