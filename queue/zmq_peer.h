// ZmqPeer: one DEALER socket for a PeerProtocol: moves its frames, makes a fresh socket when it
// asks for one, and tells it at once when the connection breaks or its key is refused.
//
// Threads: one. Errors: those of making sockets; what ends the protocol is the protocol's to say.
#ifndef KEV_QUEUE_ZMQ_PEER_H_
#define KEV_QUEUE_ZMQ_PEER_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "queue/frames.h"
#include "queue/peer_protocol.h"
#include "queue/zmq_monitor.h"
#include "queue/zmq_socket.h"

namespace kev {

struct ZmqPeerOptions {
  std::vector<std::string> endpoints;  // tried in turn, one for each fresh connection
  std::optional<CurvePeer> curve;      // for tcp endpoints
};

class ZmqPeer final : private FrameSink {
 public:
  // `protocol` outlives this.
  ZmqPeer(ZmqPeerOptions options, PeerProtocol* protocol);
  Status Open();  // the first connection

  // Reads and writes what there is. False: the protocol is over.
  Result<bool> Turn();
  // Until there is something to read (or room to write, when that was missing), `descriptor` (-1:
  // none) is readable, `most_ms` are over, or the protocol wants to write.
  void Wait(int descriptor, long most_ms);

 private:
  bool Send(std::string_view route, const Frames& frames) override;
  Result<bool> Follow(PeerNext next);
  PeerNext Watch();

  ZmqPeerOptions options_;
  PeerProtocol* protocol_;
  ZmqContext context_;
  std::optional<ZmqMonitor> monitor_;
  std::optional<ZmqSocket> socket_;
  Multipart message_;
  Frames frames_;
  size_t next_endpoint_ = 0;
  std::string endpoint_;  // of this socket
  bool keyed_ = false;
  int broken_handshakes_ = 0;  // in a row
  bool blocked_ = false;       // no connection yet, or a full pipe
};

}  // namespace kev

#endif  // KEV_QUEUE_ZMQ_PEER_H_
