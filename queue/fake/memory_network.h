// MemoryNetwork: connects one engine with any number of workers and clients in memory, in virtual
// time, with faults on demand. It carries the same multipart messages between the same state
// machines as ZeroMQ does, so that a simulation runs the real protocol; the same seed and the same
// calls give the same run.
//
// Between two calls of Advance the caller plays host (through the Transport) and handlers (through
// the machines). Connections keep their order, as TCP does, except for what is in flight when one
// is cut. Threads: none; one at a time. Errors: none. Real one: queue/zmq_transport.h and
// queue/zmq_peer.h.
#ifndef KEV_QUEUE_FAKE_MEMORY_NETWORK_H_
#define KEV_QUEUE_FAKE_MEMORY_NETWORK_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/random.h"
#include "queue/engine_protocol.h"
#include "queue/peer_protocol.h"

namespace kev {

class MemoryNetwork {
 public:
  using Link = uint32_t;
  enum class Direction : uint8_t { kToEngine, kToPeer };
  // Of what is under way to the engine when a connection is cut. (What is under way to a peer is
  // lost: a peer reads nothing of a connection that it has given up.)
  enum class InFlight : uint8_t {
    kLost,
    kLate,   // arrives in any order within kLatest, on the old connection
    kTwice,  // the same, each delivery twice
  };
  static constexpr int64_t kLatestUs = 5'000'000;
  struct Notice {
    bool engine = true;  // false: half open, only silence tells
    bool peer = true;    // false: connected again under its feet, as ZeroMQ does by itself
  };

  explicit MemoryNetwork(uint64_t seed, const EngineProtocolOptions& options = {});
  ~MemoryNetwork();

  // An engine that knows nobody; the one before it is gone. Good until StopEngine.
  Transport* StartEngine();
  // As by SIGKILL. What is under way to it is lost.
  void StopEngine();
  Transport* engine();  // nullptr when none runs

  // `peer` outlives the link. Connects as soon as there is an engine.
  Link Attach(PeerProtocol* peer, PeerProof proof = {"in memory", std::nullopt, true, 0});
  // The peer's process is gone; what it had sent arrives.
  void Detach(Link link, bool engine_notices = true);
  bool Attached(Link link) const { return links_.contains(link); }  // false: its protocol has ended

  // Faults.
  void Delay(Link link, int64_t least_us, int64_t most_us);  // of each message; 0 at first
  void Cut(Link link, InFlight fate, Notice notice);
  void Block(Link link, Direction direction, bool blocked);  // kept back, not lost
  void Jam(Link link, bool jammed);  // the engine's sends on it find no room
  // A process that is stopped (SIGSTOP): it reads and writes nothing while time passes.
  void Freeze(Link link, bool frozen);
  void FreezeEngine(bool frozen) { engine_frozen_ = frozen; }

  // With `to_news` it stops early, as soon as there is something for the host to receive.
  void Advance(int64_t to_ms, bool to_news = false);
  bool HasNews() const;  // there is something for the host to receive
  int64_t now_ms() const { return now_us_ / 1000; }
  int64_t now_us() const { return now_us_; }
  uint64_t delivered() const { return delivered_; }

 private:
  struct Delivery {
    int64_t at_us;
    uint64_t order;  // among those of the same time
    bool closes = false;
    std::vector<std::string> frames;
  };
  struct Pipe {
    std::deque<Delivery> queue;
    int64_t last_us = 0;
    bool blocked = false;
  };
  struct Connection {
    uint64_t number = 0;
    Link link = 0;
    Pipe to_engine;
    Pipe to_peer;
    bool dead = false;  // only what is left in to_engine comes from it
    int64_t died_us = 0;
  };
  struct Peer;
  class Engine;

  void Connect(Link link, bool tell);
  void Die(Connection& connection);
  void Bury();
  void Abandon(Peer& peer, bool engine_notices);
  void Follow(Link link, PeerNext next);
  void Pump(Link link);
  void PumpAll();
  void Put(Peer& peer, Pipe& pipe, const Frames& frames, bool closes = false);
  bool SendToPeer(std::string_view route, const Frames& frames);
  bool DeliverNext(int64_t until_us);
  void DeliverToEngine(Connection& connection, const Delivery& delivery);
  int64_t NextWake() const;

  EngineProtocolOptions options_;
  CounterRandom random_;
  int64_t now_us_ = 0;
  uint64_t order_ = 0;
  uint64_t last_connection_ = 0;
  Link last_link_ = 0;
  uint64_t delivered_ = 0;
  bool engine_frozen_ = false;
  std::unique_ptr<Engine> engine_;
  std::map<Link, std::unique_ptr<Peer>> links_;
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;  // by number, which is the route
};

}  // namespace kev

#endif  // KEV_QUEUE_FAKE_MEMORY_NETWORK_H_
