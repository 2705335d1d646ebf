// What the protocol's state machines read and write: multipart messages as views. They know no
// socket; an adapter (queue/zmq_transport.cc, queue/zmq_peer.cc, queue/fake/memory_network.cc)
// moves the bytes.
//
// Threads: plain values. Errors: Send says no when the link takes nothing (now, or ever again).
#ifndef KEV_QUEUE_FRAMES_H_
#define KEV_QUEUE_FRAMES_H_

#include <string_view>
#include <vector>

namespace kev {

// Header, body, payloads. Views are good for as long as the call that was given them.
using Frames = std::vector<std::string_view>;

class FrameSink {
 public:
  virtual ~FrameSink() = default;
  // All frames or none. `route` names the connection on the engine's side; "" on a peer's.
  virtual bool Send(std::string_view route, const Frames& frames) = 0;
};

}  // namespace kev

#endif  // KEV_QUEUE_FRAMES_H_
