// ZmqSocket: a ZeroMQ socket with its own context, and the multipart message it receives. Nothing
// here blocks.
//
// Options that both ends share are set here: LINGER 0, no blocking sends, frames of at most 256
// MiB, handshake limit, keepalive. Threads: one (a socket belongs to the thread that uses it).
// zmq.h stays in the .cc file.
#ifndef KEV_QUEUE_ZMQ_SOCKET_H_
#define KEV_QUEUE_ZMQ_SOCKET_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/result.h"
#include "queue/frames.h"

namespace kev {

enum class SocketKind { kRouter, kDealer };
enum class SendOutcome { kSent, kWouldBlock, kPeerGone };

class ZmqContext {
 public:
  ZmqContext();
  ~ZmqContext();
  ZmqContext(const ZmqContext&) = delete;
  ZmqContext& operator=(const ZmqContext&) = delete;
  void* get() const { return context_; }

 private:
  void* context_;
};

// One received message: views stay valid until the next Receive.
class Multipart {
 public:
  Multipart();
  ~Multipart();
  Multipart(const Multipart&) = delete;
  Multipart& operator=(const Multipart&) = delete;
  size_t size() const { return size_; }
  std::string_view operator[](size_t i) const;
  int SourceDescriptor() const;                  // of the connection it came over; -1: not known
  std::string Property(const char* name) const;  // "User-Id", "Peer-Address"; "" when not there

 private:
  friend class ZmqSocket;
  struct Frames;
  std::unique_ptr<Frames> frames_;
  size_t size_ = 0;
};

// Keys of a peer that connects, in Z85 (40 characters).
struct CurvePeer {
  std::string engine_public;
  std::string own_public;
  std::string own_secret;
};

class ZmqSocket {
 public:
  static Result<ZmqSocket> Make(const ZmqContext& context, SocketKind kind);
  ZmqSocket(ZmqSocket&& other) noexcept;
  ZmqSocket& operator=(ZmqSocket&& other) noexcept;
  ~ZmqSocket();

  Result<std::string> Bind(const std::string& endpoint);  // gives the endpoint as bound
  Status Connect(const std::string& endpoint);
  // Endpoints bound after this ask for keys; who may come in is the ZAP handler's to say
  // (queue/zmq_guard.h), which must be there already.
  Status AskForKeys(const std::string& engine_secret);
  Status UseKeys(const CurvePeer& keys);  // for what is connected after this
  SendOutcome Send(const Frames& frames);
  bool Receive(Multipart* message);  // false: nothing there
  int Descriptor() const;
  void* get() const { return socket_; }

 private:
  explicit ZmqSocket(void* socket) : socket_(socket) {}
  void* socket_;
};

// Waits until the socket can be read (or written, if `writing`), one of the descriptors (-1: none)
// is readable, or the time is over.
void WaitFor(const ZmqSocket& socket, bool writing, int first, int second, long timeout_ms);

}  // namespace kev

#endif  // KEV_QUEUE_ZMQ_SOCKET_H_
