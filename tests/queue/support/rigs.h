// One engine and its peers over each transport, driven step by step from one thread: the same tests
// run in memory and over ZeroMQ. A step is a millisecond of virtual time, or a short wait.
#ifndef KEV_TESTS_QUEUE_SUPPORT_RIGS_H_
#define KEV_TESTS_QUEUE_SUPPORT_RIGS_H_

#include <doctest/doctest.h>
#include <poll.h>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "queue/client_protocol.h"
#include "queue/fake/memory_network.h"
#include "queue/worker_protocol.h"
#include "queue/zmq_peer.h"
#include "queue/zmq_transport.h"
#include "tests/queue/scratch_folder.h"

namespace kev {

class MemoryRig {
 public:
  static constexpr int kMostSteps = 20000;
  MemoryRig() : network_(1) { network_.StartEngine(); }
  Transport& engine() { return *network_.engine(); }
  int64_t NowUs() const { return network_.now_ms() * 1000; }
  void Attach(PeerProtocol* peer) { links_[peer] = network_.Attach(peer); }
  void Detach(PeerProtocol* peer) { network_.Detach(links_.at(peer)); }
  void Reconnect(PeerProtocol* peer) {
    network_.Cut(links_.at(peer), MemoryNetwork::InFlight::kLost, {});
  }
  void Step() { network_.Advance(network_.now_ms() + 1); }

 private:
  MemoryNetwork network_;
  std::map<PeerProtocol*, MemoryNetwork::Link> links_;
};

class ZmqRig {
 public:
  static constexpr int kMostSteps = 10000;
  ZmqRig() {
    // No heartbeat comes due: what is noticed, is noticed by the closed connection.
    ZmqTransportOptions options;
    options.endpoints = {"ipc://" + (folder_ / "q")};
    options.heartbeat = std::chrono::milliseconds(60000);
    auto bound = ZmqTransport::Bind(options);
    REQUIRE(bound.ok());
    transport_ = std::move(*bound);
  }
  Transport& engine() { return *transport_; }
  int64_t NowUs() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
  void Attach(PeerProtocol* peer) {
    ZmqPeerOptions options;
    options.endpoints = transport_->Endpoints();
    peers_[peer] = std::make_unique<ZmqPeer>(options, peer);
    REQUIRE(peers_[peer]->Open().ok());
  }
  void Detach(PeerProtocol* peer) { peers_.erase(peer); }
  void Reconnect(PeerProtocol* peer) { REQUIRE(peers_.at(peer)->Open().ok()); }
  void Step() {
    for (auto it = peers_.begin(); it != peers_.end();) {
      const Result<bool> on = it->second->Turn();
      REQUIRE(on.ok());
      it = *on ? std::next(it) : peers_.erase(it);
    }
    pollfd item{transport_->Descriptor(), POLLIN, 0};
    poll(&item, 1, 1);
  }

 private:
  ScratchFolder folder_;
  std::unique_ptr<ZmqTransport> transport_;
  std::map<PeerProtocol*, std::unique_ptr<ZmqPeer>> peers_;
};

// What a test waits for at the engine, and how.
template <typename Rig>
class EngineEnd {
 public:
  explicit EngineEnd(Rig* rig) : rig_(rig) {}

  void Step() {
    rig_->Step();
    for (;;) {
      std::vector<Inbound> more = rig_->engine().Receive(16);
      if (more.empty()) break;
      for (Inbound& m : more) seen_.push_back(std::move(m));
    }
    rig_->engine().Flush();
  }
  // Steps until it holds; false when it never does.
  template <typename Condition>
  bool Until(Condition condition) {
    for (int i = 0; i < Rig::kMostSteps && !condition(); ++i) Step();
    return condition();
  }
  // The first message of type T that was not looked at; those before it are skipped.
  template <typename T>
  std::optional<std::pair<SessionId, T>> Await() {
    std::optional<std::pair<SessionId, T>> found;
    Until([&] {
      while (!found && !seen_.empty()) {
        Inbound m = std::move(seen_.front());
        seen_.pop_front();
        if (T* wanted = std::get_if<T>(&m.message)) found.emplace(m.session, std::move(*wanted));
      }
      return found.has_value();
    });
    return found;
  }
  void Send(SessionId session, Outbound message) {
    rig_->engine().Send(session, std::move(message));
    rig_->engine().Flush();
  }
  SessionId Greet(std::vector<kev::InFlight> keep = {}) {
    auto hello = Await<Hello>();
    REQUIRE(hello.has_value());
    Send(hello->first, Welcome{1, std::move(keep)});
    return hello->first;
  }
  std::deque<Inbound>& seen() { return seen_; }

 private:
  Rig* rig_;
  std::deque<Inbound> seen_;
};

inline WorkerProtocolOptions WorkerOptionsOf(const std::string& name, uint32_t slots = 2,
                                             std::optional<uint32_t> prefetch = 0) {
  WorkerProtocolOptions options;
  options.hello.worker = name;
  options.hello.program = "test";
  options.hello.stages = {"compile"};
  options.hello.slots = slots;
  options.instance = "instance of " + name;
  options.engine = "the engine";
  options.prefetch = prefetch;
  return options;
}

inline kev::InFlight AttemptOf(uint32_t number, uint32_t attempt = 1) {
  return {"R", {{SubjectKind::kCandidate, number}, 1, 0}, attempt};
}
inline Assign AssignOf(uint32_t number, uint32_t attempt = 1) {
  return {"R", AttemptOf(number).key, attempt, "job " + std::to_string(number), 1000 + number};
}
inline std::shared_ptr<const FinishedAttempt> FinishedOf(
    kev::InFlight id, std::vector<std::pair<BlobRef, std::string>> blobs = {}) {
  JobResult result;
  result.facts.Set("seconds", 0.5);
  auto finished = std::make_shared<FinishedAttempt>();
  finished->id = std::move(id);
  finished->result = EncodeCanonical(ToValue(result));
  finished->blobs = std::move(blobs);
  return finished;
}

}  // namespace kev

#endif  // KEV_TESTS_QUEUE_SUPPORT_RIGS_H_
