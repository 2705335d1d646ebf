// ZmqMonitor: what happens to the connections of one ZeroMQ socket, in order: accepted, closed,
// refused. This is how a killed peer is noticed at once instead of by its silence.
//
// Threads: one, the socket's. Errors: of making it. zmq.h stays in the .cc file.
#ifndef KEV_QUEUE_ZMQ_MONITOR_H_
#define KEV_QUEUE_ZMQ_MONITOR_H_

#include <cstdint>
#include <optional>

#include "engine/core/result.h"
#include "queue/zmq_socket.h"

namespace kev {

struct ZmqEvent {
  enum class Kind {
    kAccepted,         // value: file descriptor
    kConnected,        // handshake and all
    kDisconnected,     // value: file descriptor
    kKeyRefused,       // the other end's answer to this one's key
    kOtherMechanism,   // one end uses keys, the other does not
    kHandshakeBroken,  // the other end hung up: it has another key than this one expects
    kOther,
  };
  Kind kind = Kind::kOther;
  uint32_t value = 0;
  bool tcp = false;  // of an endpoint with tcp
};

class ZmqMonitor {
 public:
  // Begins with the connections made after it.
  static Result<ZmqMonitor> Watch(const ZmqContext& context, const ZmqSocket& socket);
  ZmqMonitor(ZmqMonitor&& other) noexcept;
  ZmqMonitor& operator=(ZmqMonitor&& other) noexcept;
  ~ZmqMonitor();

  std::optional<ZmqEvent> Next();  // without waiting
  int Descriptor() const;          // readable when Next may have something
  void* get() const { return pair_; }

 private:
  explicit ZmqMonitor(void* pair) : pair_(pair) {}
  void* pair_;
};

}  // namespace kev

#endif  // KEV_QUEUE_ZMQ_MONITOR_H_
