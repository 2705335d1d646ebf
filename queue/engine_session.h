// EngineSession: one session as the engine sees it. Turns the peer's messages into Inbound after
// checking that the peer may send them and does not lie, and Outbound into batches, never more jobs
// than the credit allows.
//
// Threads: one at a time. Errors: Read says what the peer did wrong; the session is over then.
// It has no socket and no clock: see queue/engine_protocol.h.
#ifndef KEV_QUEUE_ENGINE_SESSION_H_
#define KEV_QUEUE_ENGINE_SESSION_H_

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "engine/host/transport.h"
#include "queue/attempt_set.h"
#include "queue/frames.h"
#include "queue/wire.h"
#include "queue/wire_bodies.h"

namespace kev {

class EngineSession {
 public:
  struct Identity {
    SessionId id = 0;
    std::string route;     // the connection
    std::string instance;  // the process behind it, whatever its connection
    std::string name;      // for messages: "host:pid (tcp 10.0.0.7)"
    uint64_t connection = 0;
    Role role = Role::kWorker;
    uint32_t slots = 1;
    uint8_t minor = 0;
  };
  EngineSession(Identity identity, uint64_t first_seq)
      : identity_(std::move(identity)), seq_in_(first_seq), credit_(identity_.slots) {}

  // What a message says, appended to `inbox`; BYE is said by `left`. kConflict: messages are
  // missing.
  Status Read(const WireHeader& header, const Value& body, const Frames& frames,
              std::deque<Inbound>* inbox);
  void Queue(Outbound message);
  // Sends what is queued; jobs beyond the credit wait. Answers that need no worker (a job that was
  // cancelled or retracted before it left) go to `inbox`. False: the link takes nothing.
  bool Flush(const WelcomeBody& terms, FrameSink* sink, std::deque<Inbound>* inbox);

  const Identity& identity() const { return identity_; }
  bool left() const { return left_; }
  const std::string& parting() const { return parting_; }
  bool wants_pong() const { return wants_pong_; }
  bool HasWaitingJobs() const { return !waiting_.empty(); }
  bool SendNow(MessageType type, std::string_view body, FrameSink* sink);  // PONG, BYE_ACK

  int64_t heard_us = 0;
  bool dirty = false;  // stands in the list of those to flush

 private:
  // Kinds do not overtake each other in a way that matters: acknowledgements are about attempts
  // that were sent before; jobs go before cancels and retractions, which may name them; the rest
  // keeps its order and goes last.
  struct Outbox {
    std::vector<Welcome> welcomes;
    std::vector<Acknowledge> acks;
    std::vector<Cancel> cancels;
    std::vector<Retract> retractions;
    std::vector<Outbound> rest;
  };

  Status ReadBatch(MessageType type, std::vector<BatchItem>& batch, const Frames& frames,
                   std::deque<Inbound>* inbox);
  Status ReadResult(BatchItem& item, const Frames& frames, size_t* frame,
                    std::deque<Inbound>* inbox);
  Status ReadCall(const Value& body, const Frames& frames, std::deque<Inbound>* inbox);
  Status ReadCredit(const Value& body, std::deque<Inbound>* inbox);

  void FlushWelcomes(const WelcomeBody& terms);
  void FlushJobs();
  void FlushWithdrawals(std::deque<Inbound>* inbox);
  void FlushRest(const Outbound& message);
  bool TakeWaiting(const InFlight& id, std::deque<Inbound>* inbox);
  CreditGranted HostCredit() const { return {credit_ + withdrawn_}; }
  void SendBatch(MessageType type);
  void Send(MessageType type, std::string_view body, size_t count);

  Identity identity_;
  uint64_t seq_in_;
  uint64_t seq_out_ = 0;
  AttemptSet given_;        // and not answered
  AttemptSet retracted_;    // of them: asked back
  bool leaving_ = false;    // it handed back what nobody asked for, as one that drains does
  uint64_t jobs_sent_ = 0;  // in this session
  uint64_t answered_ = 0;   // of them; only counted for peers without CREDIT
  uint64_t credit_;         // jobs_sent_ may reach this
  uint64_t withdrawn_ = 0;  // jobs of the host that never left: it counts them, the worker does not
  std::deque<Assign> waiting_;
  Outbox outbox_;
  bool left_ = false;
  std::string parting_;
  bool wants_pong_ = false;

  // While Flush runs.
  FrameSink* sink_ = nullptr;
  bool sent_ = true;
  BatchBody batch_;
  std::vector<std::string_view> payloads_;
};

}  // namespace kev

#endif  // KEV_QUEUE_ENGINE_SESSION_H_
