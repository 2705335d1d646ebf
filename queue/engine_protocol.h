// EngineProtocol: the engine's side of the queue without sockets, threads or clocks. Frames with
// their route and the time go in, Inbound comes out; Outbound goes in, frames for a FrameSink come
// out. It knows all sessions: who has one, who is silent, who is refused and why.
//
// Threads: one at a time. Errors: a peer that breaks the protocol gets REJECT with the reason, and
// its session is reported as SessionLost; a peer that is refused before it has a session is
// reported as SessionLost of session 0. Adapters: queue/zmq_transport.h,
// queue/fake/memory_network.h.
#ifndef KEV_QUEUE_ENGINE_PROTOCOL_H_
#define KEV_QUEUE_ENGINE_PROTOCOL_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/host/transport.h"
#include "queue/engine_session.h"
#include "queue/frames.h"

namespace kev {

// What the transport knows of the other end of a connection.
struct PeerProof {
  std::string address;       // for messages: "tcp 10.0.0.7", "ipc, pid 812"
  std::optional<Role> role;  // its key is one of this role
  bool keyless = false;      // no key is asked for where it came in: it says its role itself
  uint64_t connection = 0;   // what Closed will name; 0: not known
};

struct EngineProtocolOptions {
  std::chrono::milliseconds heartbeat{900};  // told to peers in WELCOME
  int liveness = 4;                          // silent for heartbeat * liveness: lost
};

class EngineProtocol {
 public:
  // `sink` outlives this.
  EngineProtocol(const EngineProtocolOptions& options, FrameSink* sink)
      : options_(options), sink_(sink) {}

  // A message from `route`. `prove` is only asked when a session begins or a stranger is refused.
  void Read(std::string_view route, const Frames& frames, int64_t now_us,
            const std::function<PeerProof()>& prove);
  // The connection is closed, and everything that came over it has been read.
  void Closed(uint64_t connection);
  // A peer that did not get as far as a message: its connection was refused.
  void TurnedAway(const std::string& address, const std::string& why, int64_t now_us);
  // Gives up sessions that have been silent. Call it only when nothing is left to read, so that a
  // pause of this process is not taken for theirs.
  void Expire(int64_t now_us);

  std::vector<Inbound> Take(size_t most);
  size_t pending() const { return inbox_.size(); }
  size_t sessions() const { return sessions_.size(); }

  void Send(SessionId session, Outbound message);
  void Flush();

 private:
  void Greet(std::string_view route, const WireHeader& header, const Value& body, int64_t now_us,
             const std::function<PeerProof()>& prove);
  Status MayJoin(const Hello& hello, const PeerProof& proof) const;
  bool MayReportStranger(int64_t now_us);
  void ReportStranger(const std::string& address, const std::string& why);
  void Refuse(std::string_view route, RejectReason reason, const std::string& text);
  void RefuseStranger(std::string_view route, RejectReason reason, const std::string& text,
                      int64_t now_us, const std::function<PeerProof()>& prove);
  void Lose(SessionId id, const std::string& reason, bool orderly = false, bool refused = false);
  // Counts a peer that broke the protocol. Until when it may not come back; 0: it may.
  void Blame(const std::string& instance, int64_t now_us);
  int64_t BannedUntil(const std::string& instance, int64_t now_us);
  void MarkDirty(EngineSession* session);

  EngineProtocolOptions options_;
  FrameSink* sink_;
  SessionId last_id_ = 0;
  std::unordered_map<std::string, SessionId> by_route_;
  std::unordered_map<SessionId, std::unique_ptr<EngineSession>> sessions_;
  std::vector<SessionId> dirty_;
  struct Blamed {
    int64_t since_us = 0;
    uint32_t times = 0;
  };
  std::map<std::string, Blamed> blamed_;  // by instance
  std::deque<Inbound> inbox_;
  int64_t checked_us_ = 0;
  int64_t strangers_since_us_ = 0;  // reports about strangers are limited
  int strangers_ = 0;
};

}  // namespace kev

#endif  // KEV_QUEUE_ENGINE_PROTOCOL_H_
