// Transport: the engine's side of the queue. Workers connect to it; it turns frames into messages
// and back.
//
// Threads: called from the host's thread only. Errors: a peer that sends what cannot be read is
// rejected and reported as SessionLost; sends never block, a session that cannot take a message is
// lost. Real one: queue/zmq_transport.h; fake: engine/host/fake/fake_transport.h.
#ifndef KEV_ENGINE_HOST_TRANSPORT_H_
#define KEV_ENGINE_HOST_TRANSPORT_H_

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/core/job.h"
#include "engine/core/result.h"

namespace kev {

using SessionId = uint64_t;  // one connection of one worker; never used again

struct InFlight {
  std::string run;
  JobKey key;
  uint32_t attempt = 0;
};

// Worker -> engine.
struct Hello {
  std::string worker;               // "host:pid"
  std::string program;              // compile, …
  std::vector<std::string> stages;  // stage names it does
  uint32_t slots = 1;
  std::string host;
  std::string version;  // kevolve's, for people
  std::vector<InFlight>
      in_flight;  // attempts it still works on, or whose results were not acknowledged
};
struct Taken {
  std::string run;
  JobKey key;
  uint32_t attempt = 0;
};
struct ResultMessage {
  std::string run;
  JobKey key;
  uint32_t attempt = 0;
  JobResult result;
  std::vector<std::pair<BlobRef, std::string>>
      blobs;  // those that the result names and the store may lack
};
struct BlobWanted {
  std::string sha256;
};
struct HistoryWanted {
  std::string run;
  uint64_t from = 0;  // first seq wanted
  uint64_t to = 0;    // last seq wanted
};
struct SessionLost {
  std::string reason;
  bool orderly = false;  // it said BYE
};
struct Inbound {
  SessionId session = 0;
  std::variant<Hello, Taken, ResultMessage, BlobWanted, HistoryWanted, SessionLost> message;
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
};
struct Acknowledge {
  std::string run;
  JobKey key;
  uint32_t attempt = 0;
  bool stale = false;
};
struct Cancel {
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
struct Drain {};  // finish what you have, then BYE
using Outbound =
    std::variant<Welcome, Assign, Acknowledge, Cancel, BlobAnswer, HistoryAnswer, Drain>;

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
