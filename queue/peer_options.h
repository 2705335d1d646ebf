// What a worker and a client need to know before they connect: where to, with which keys, and what
// they say of themselves.
//
// Threads: any. Errors: of the access file, or of an endpoint that is none.
#ifndef KEV_QUEUE_PEER_OPTIONS_H_
#define KEV_QUEUE_PEER_OPTIONS_H_

#include <string>

#include "engine/core/result.h"
#include "engine/host/transport.h"
#include "queue/zmq_peer.h"

namespace kev {

struct PeerOptions {
  ZmqPeerOptions zmq;
  Hello hello;           // role, worker ("host:pid"), host, version
  std::string instance;  // random
};
// `endpoint` may be empty when the access file names one.
Result<PeerOptions> PeerOptionsFor(Role role, const std::string& endpoint,
                                   const std::string& access_file);

}  // namespace kev

#endif  // KEV_QUEUE_PEER_OPTIONS_H_
