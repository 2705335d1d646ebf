// Transport: the engine's side of the queue. Workers connect to it; it turns frames into messages
// and back.
//
// Threads: called from the host's thread only. Errors: a peer that sends what cannot be read is
// rejected and reported as SessionLost; sends never block, a session that cannot take a message is
// lost. Real one: queue/zmq_transport.h; fake: engine/host/fake/fake_transport.h.
#ifndef KEV_ENGINE_HOST_TRANSPORT_H_
#define KEV_ENGINE_HOST_TRANSPORT_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/core/job.h"
#include "engine/core/result.h"
#include "engine/core/value.h"

namespace kev {

using SessionId = uint64_t;  // one connection of one peer; never used again

// What a peer may do. Over tcp it follows from the key that the peer proved to have (access file);
// over ipc the folder's permissions decide, and the peer says it in HELLO.
enum class Role : uint8_t { kWorker, kClient, kAdmin };
inline const char* Name(Role role) {
  static constexpr const char* kNames[] = {"worker", "client", "admin"};
  return kNames[static_cast<size_t>(role)];
}

inline const char* WithArticle(Role role) {
  static constexpr const char* kNames[] = {"a worker", "a client", "an admin"};
  return kNames[static_cast<size_t>(role)];
}

struct InFlight {
  std::string run;
  JobKey key;
  uint32_t attempt = 0;
  // Of the job that came with it (Assign); 0: not said. The name of an attempt does not tell it
  // from one of the same number in a history that the store has lost.
  uint64_t job_digest = 0;
};

// Worker -> engine.
struct Hello {
  Role role = Role::kWorker;
  std::string worker;               // "host:pid"
  std::string program;              // compile, …
  std::vector<std::string> stages;  // stage names it does
  uint32_t slots = 1;
  std::string host;
  std::string version;                        // kevolve's, for people
  std::map<std::string, uint32_t> resources;  // what it has, in whole pieces: device: 1
  std::map<std::string, std::string> labels;  // what it is: gpu.model: H100
  uint64_t expires_in_ms = 0;                 // its allocation ends then; 0: it does not
  std::string peer;  // filled in by the transport: address and key, for the log
  // Filled in by the transport: this peer's earlier sessions. Nothing reaches them any more; that
  // they are lost is told behind this, so that what they had can be moved first.
  std::vector<SessionId> replaces = {};
  std::vector<InFlight>
      in_flight;  // attempts it still works on, or whose results were not acknowledged
};
struct Taken {
  std::string run;
  JobKey key;
  uint32_t attempt = 0;
};
struct Progress {  // it still works; `note` and `fraction` are for people
  std::string run;
  JobKey key;
  uint32_t attempt = 0;
  double fraction = -1;  // done so far, 0..1; < 0: not known
  std::string note;
};
// The worker hands back what it has not begun: the answer to Retract.
struct Returned {
  std::string run;
  JobKey key;
  uint32_t attempt = 0;
  bool leaving = false;  // nobody asked for it back: the worker takes nothing more
};
// How many attempts the engine may have sent in this session in all: those received so far, free
// slots, and some ahead. Cumulative, so that a late or repeated one cannot grant twice.
struct CreditGranted {
  uint64_t limit = 0;
};
struct ResultMessage {
  std::string run;
  JobKey key;
  uint32_t attempt = 0;
  JobResult result;
  std::vector<std::pair<BlobRef, std::string>>
      blobs;                // those that the result names and the store may lack
  std::string packed = {};  // the result's bytes as they came, for the log; decoded as `result`
};
struct BlobWanted {
  std::string sha256;
};
struct HistoryWanted {
  std::string run;
  uint64_t from = 0;  // first seq wanted
  uint64_t to = 0;    // last seq wanted
};
// A question or an order of a client (kevolve pause, attach, …); answered by one ClientReply.
struct ClientCall {
  uint64_t id = 0;     // of this session; repeated in the reply
  std::string method;  // submit, signal, status, …
  Value arguments;
  std::vector<std::pair<BlobRef, std::string>> blobs;
};
struct SessionLost {
  std::string reason;
  bool orderly = false;  // it said BYE
  bool refused = false;  // it broke the protocol; with session 0: before it had a session
};
struct Inbound {
  SessionId session = 0;
  std::variant<Hello, Taken, Progress, Returned, CreditGranted, ResultMessage, BlobWanted,
               HistoryWanted, ClientCall, SessionLost>
      message;
};

// Engine -> worker.
struct Welcome {
  uint64_t epoch = 0;
  std::vector<InFlight>
      keep;  // of the worker's inventory, what is still current; the rest is to be dropped
};
struct Assign {
  std::string run;
  JobKey key;
  uint32_t attempt = 0;
  std::string payload;  // canonical bytes of the Job
  uint64_t job_digest = 0;
};
struct Acknowledge {
  std::string run;
  JobKey key;
  uint32_t attempt = 0;
  bool stale = false;
};
// Soft: the handler is asked to stop and may still answer with what it has. Hard, after `grace_ms`:
// what it started is killed.
struct Cancel {
  std::string run;
  JobKey key;
  uint32_t attempt = 0;
  uint32_t grace_ms = 2000;
};
struct Retract {  // hand it back if it has not begun
  std::string run;
  JobKey key;
  uint32_t attempt = 0;
};
struct BlobAnswer {
  std::string sha256;
  bool found = false;
  std::string bytes;
};
struct HistoryAnswer {
  std::string run;
  uint64_t from = 0;
  std::vector<std::string> groups;  // canonical bytes of event groups, in order
};
struct ClientReply {
  uint64_t id = 0;
  Status status;
  Value value;
};
struct Drain {};  // finish what you have, then BYE
using Outbound = std::variant<Welcome, Assign, Acknowledge, Cancel, Retract, BlobAnswer,
                              HistoryAnswer, ClientReply, Drain>;

class Transport {
 public:
  virtual ~Transport() = default;
  // What has arrived, without waiting. At most `most` messages.
  virtual std::vector<Inbound> Receive(size_t most) = 0;
  // Queues a message; Flush sends what is queued, one frame batch per session.
  virtual void Send(SessionId session, Outbound message) = 0;
  virtual void Flush() = 0;
  // Descriptor that is readable when Receive may give something (edge: call Receive until it gives
  // nothing).
  virtual int Descriptor() const = 0;
};

}  // namespace kev

#endif  // KEV_ENGINE_HOST_TRANSPORT_H_
