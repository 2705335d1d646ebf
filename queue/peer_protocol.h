// PeerProtocol: what moves bytes for a worker or a client (queue/zmq_peer.h,
// queue/fake/memory_network.h) sees of its state machine; and PeerLink, the part of a session that
// both kinds of peer share: greeting, sequence numbers, heartbeats, silence, refusals.
//
// Threads: one at a time. Errors: ending() of a PeerLink that said kEnd.
#ifndef KEV_QUEUE_PEER_PROTOCOL_H_
#define KEV_QUEUE_PEER_PROTOCOL_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/result.h"
#include "queue/frames.h"
#include "queue/wire.h"
#include "queue/wire_bodies.h"

namespace kev {

enum class PeerNext {
  kGoOn,
  kReopen,  // this session cannot go on: make a fresh connection and say Opened
  kEnd,     // it is over
};

class PeerProtocol {
 public:
  virtual ~PeerProtocol() = default;
  // A fresh connection was made; nothing of the one before can arrive any more.
  virtual void Opened(int64_t now_us) = 0;
  virtual PeerNext Closed(int64_t now_us) = 0;  // the connection was lost
  virtual PeerNext Refused(Error why) = 0;      // the other end will never let this peer in
  virtual PeerNext Read(const Frames& frames, int64_t now_us) = 0;
  // Sends what there is to send. To be called after every other call, and at WakeUs.
  virtual PeerNext Write(FrameSink* sink, int64_t now_us) = 0;
  virtual int64_t WakeUs(int64_t now_us) const = 0;
};

// A readable message of the engine.
struct PeerMessage {
  WireHeader header;
  Value body;                    // of single messages
  std::vector<BatchItem> batch;  // of batches
};
Result<PeerMessage> DecodePeerMessage(const Frames& frames);

class PeerLink {
 public:
  // `engine` is its address, for messages.
  PeerLink(std::string engine, std::chrono::milliseconds lost_grace);

  void Opened(int64_t now_us);
  PeerNext Closed(int64_t now_us);
  PeerNext End(Status status);
  PeerNext Unreadable(const Error& error);
  // What every session does with a message; `take` is set when it is for the owner.
  PeerNext Read(const PeerMessage& message, int64_t now_us, bool* take);
  // The engine has accepted what this peer sends: refusals before do not count any more.
  void Accepted() { refusals_ = 0; }

  PeerNext CheckSilence(int64_t now_us);
  bool Greet(FrameSink* sink, std::string_view hello);
  bool Send(FrameSink* sink, MessageType type, std::string_view body,
            const std::vector<std::string_view>& payloads = {}, size_t count = 0);
  void Ping(FrameSink* sink, int64_t now_us);
  int64_t WakeUs(int64_t now_us) const;

  bool greeted() const { return greeted_; }
  bool welcomed() const { return welcomed_; }
  bool over() const { return over_; }
  const Status& ending() const { return ending_; }
  uint8_t engine_minor() const { return engine_minor_; }
  uint64_t sent() const { return seq_out_; }               // messages in this session
  double round_trip_us() const { return round_trip_us_; }  // of PING; < 0: not known
  int64_t heartbeat_us() const { return heartbeat_us_; }

 private:
  std::string engine_;
  int64_t lost_grace_us_;
  bool greeted_ = false;   // HELLO is out
  bool welcomed_ = false;  // the session stands
  bool blocked_ = false;   // the last Send found no way out
  bool over_ = false;
  Status ending_;
  uint8_t engine_minor_ = 0;
  uint64_t seq_in_ = 0;
  uint64_t seq_out_ = 0;
  int refusals_ = 0;  // in a row
  int64_t heartbeat_us_ = 1'000'000;
  int liveness_ = 4;
  int64_t heard_us_ = -1;  // last message of any engine
  int64_t opened_us_ = 0;
  int64_t pinged_us_ = 0;
  double round_trip_us_ = -1;
};

}  // namespace kev

#endif  // KEV_QUEUE_PEER_PROTOCOL_H_
