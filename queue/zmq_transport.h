// ZmqTransport: one ROUTER socket on which all workers connect (protocol: queue/PROTOCOL.md).
//
// Threads: the host's only (ZeroMQ's own I/O thread works underneath). Errors: see
// engine/host/transport.h.
#ifndef KEV_QUEUE_ZMQ_TRANSPORT_H_
#define KEV_QUEUE_ZMQ_TRANSPORT_H_

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "engine/host/transport.h"

namespace kev {

struct ZmqTransportOptions {
  std::vector<std::string> endpoints;         // ipc://…, tcp://…; all are bound before Bind returns
  std::chrono::milliseconds heartbeat{1000};  // told to workers in WELCOME
  int liveness = 4;                           // silent for heartbeat * liveness: lost
};

class ZmqTransport : public Transport {
 public:
  static Result<std::unique_ptr<ZmqTransport>> Bind(const ZmqTransportOptions& options);
  // Endpoints as bound, with the port that the system chose for tcp://…:0 .
  virtual const std::vector<std::string>& Endpoints() const = 0;
};

}  // namespace kev

#endif  // KEV_QUEUE_ZMQ_TRANSPORT_H_
