// ZmqTransport: EngineProtocol over one ROUTER socket on which all peers connect (protocol:
// queue/PROTOCOL.md). A connection that is closed is noticed at once, by the socket's monitor.
//
// With an access file, tcp asks for keys, and a peer's role is that of its key; ipc does not, the
// folder's permissions say who may come. Threads: the host's only (ZeroMQ's own threads and the
// guard of the keys work underneath). Errors: see engine/host/transport.h. In memory:
// queue/fake/memory_network.h.
#ifndef KEV_QUEUE_ZMQ_TRANSPORT_H_
#define KEV_QUEUE_ZMQ_TRANSPORT_H_

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "engine/host/transport.h"

namespace kev {

struct ZmqTransportOptions {
  std::vector<std::string> endpoints;        // ipc://…, tcp://…; all are bound before Bind returns
  std::chrono::milliseconds heartbeat{900};  // told to peers in WELCOME
  int liveness = 4;                          // silent for heartbeat * liveness: lost
  // The engine's access file (queue/access.h): its keys are used again when it is there, it is
  // written with the endpoints as bound. Empty: tcp without keys, everybody says his own role.
  std::string access_file = {};
};

class ZmqTransport : public Transport {
 public:
  static Result<std::unique_ptr<ZmqTransport>> Bind(const ZmqTransportOptions& options);
  // Endpoints as bound, with the port that the system chose for tcp://…:0 .
  virtual const std::vector<std::string>& Endpoints() const = 0;
};

}  // namespace kev

#endif  // KEV_QUEUE_ZMQ_TRANSPORT_H_
