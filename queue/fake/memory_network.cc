#include "queue/fake/memory_network.h"

#include <algorithm>
#include <utility>

namespace kev {

struct MemoryNetwork::Peer final : public FrameSink {
  MemoryNetwork* network = nullptr;
  PeerProtocol* protocol = nullptr;
  PeerProof proof;
  uint64_t connection = 0;  // 0: none yet
  int64_t least_us = 0, most_us = 0;
  bool blocked[2] = {false, false};
  bool jammed = false;
  bool frozen = false;

  bool Send(std::string_view, const Frames& frames) override {
    const auto it = network->connections_.find(connection);
    if (it == network->connections_.end()) return false;
    network->Put(*this, it->second->to_engine, frames);
    return true;
  }
};

// The transport of the engine that runs.
class MemoryNetwork::Engine final : public Transport, public FrameSink {
 public:
  Engine(MemoryNetwork* network, const EngineProtocolOptions& options)
      : network_(network), protocol(options, this) {}
  std::vector<Inbound> Receive(size_t most) override { return protocol.Take(most); }
  void Send(SessionId session, Outbound message) override {
    protocol.Send(session, std::move(message));
  }
  void Flush() override { protocol.Flush(); }
  int Descriptor() const override { return -1; }
  bool Send(std::string_view route, const Frames& frames) override {
    return network_->SendToPeer(route, frames);
  }

 private:
  MemoryNetwork* network_;

 public:
  EngineProtocol protocol;
};

MemoryNetwork::MemoryNetwork(uint64_t seed, const EngineProtocolOptions& options)
    : options_(options), random_(seed, "network") {}
MemoryNetwork::~MemoryNetwork() = default;

Transport* MemoryNetwork::StartEngine() {
  StopEngine();
  engine_frozen_ = false;
  engine_ = std::make_unique<Engine>(this, options_);
  for (auto& [link, peer] : links_) {
    if (peer->connection == 0) Connect(link, /*tell=*/true);
  }
  return engine_.get();
}

void MemoryNetwork::StopEngine() {
  if (!engine_) return;
  engine_.reset();
  connections_.clear();
  std::vector<Link> cut;
  for (auto& [link, peer] : links_) {
    if (std::exchange(peer->connection, 0) != 0) cut.push_back(link);
  }
  for (const Link link : cut) Follow(link, links_.at(link)->protocol->Closed(now_us_));
}

Transport* MemoryNetwork::engine() { return engine_.get(); }

MemoryNetwork::Link MemoryNetwork::Attach(PeerProtocol* protocol, PeerProof proof) {
  const Link link = ++last_link_;
  auto peer = std::make_unique<Peer>();
  peer->network = this;
  peer->protocol = protocol;
  peer->proof = std::move(proof);
  links_[link] = std::move(peer);
  Connect(link, /*tell=*/true);
  return link;
}

void MemoryNetwork::Detach(Link link, bool engine_notices) {
  const auto it = links_.find(link);
  if (it == links_.end()) return;
  Abandon(*it->second, engine_notices);
  links_.erase(it);
}

void MemoryNetwork::Delay(Link link, int64_t least_us, int64_t most_us) {
  const auto it = links_.find(link);
  if (it == links_.end()) return;
  it->second->least_us = least_us;
  it->second->most_us = std::max(least_us, most_us);
}

void MemoryNetwork::Block(Link link, Direction direction, bool blocked) {
  const auto it = links_.find(link);
  if (it == links_.end()) return;
  it->second->blocked[static_cast<size_t>(direction)] = blocked;
}

void MemoryNetwork::Jam(Link link, bool jammed) {
  if (const auto it = links_.find(link); it != links_.end()) it->second->jammed = jammed;
}

void MemoryNetwork::Cut(Link link, InFlight fate, Notice notice) {
  const auto found = links_.find(link);
  if (found == links_.end() || found->second->connection == 0) return;
  Peer& peer = *found->second;
  Connection& connection = *connections_.at(peer.connection);
  Pipe& pipe = connection.to_engine;
  std::deque<Delivery> lost = std::exchange(pipe.queue, {});
  if (fate != InFlight::kLost) {
    for (Delivery& delivery : lost) {
      const int copies = fate == InFlight::kTwice ? 2 : 1;
      for (int i = 0; i < copies; ++i) {
        Delivery late = delivery;
        late.at_us = now_us_ + static_cast<int64_t>(random_.Below(kLatestUs));
        late.order = ++order_;
        pipe.queue.push_back(std::move(late));
      }
    }
    std::sort(pipe.queue.begin(), pipe.queue.end(),
              [](const Delivery& a, const Delivery& b) { return a.at_us < b.at_us; });
  }
  if (notice.engine && engine_) engine_->protocol.Closed(connection.number);
  Die(connection);
  peer.connection = 0;
  Connect(link, /*tell=*/false);
  if (notice.peer && !peer.frozen) Follow(link, peer.protocol->Closed(now_us_));
}

void MemoryNetwork::Freeze(Link link, bool frozen) {
  if (const auto it = links_.find(link); it != links_.end()) it->second->frozen = frozen;
}

// A connection of its own for the link; `tell`: the protocol begins a new session on it.
void MemoryNetwork::Connect(Link link, bool tell) {
  Peer& peer = *links_.at(link);
  if (engine_) {
    auto connection = std::make_unique<Connection>();
    connection->number = ++last_connection_;
    connection->link = link;
    peer.connection = connection->number;
    connections_[connection->number] = std::move(connection);
  }
  if (tell) peer.protocol->Opened(now_us_);
}

void MemoryNetwork::Die(Connection& connection) {
  connection.dead = true;
  connection.died_us = now_us_;
  connection.to_peer.queue.clear();
}

// Forgets what has been dead for so long that the engine has noticed.
void MemoryNetwork::Bury() {
  std::erase_if(connections_, [&](const auto& entry) {
    const Connection& c = *entry.second;
    return c.dead && c.to_engine.queue.empty() && now_us_ - c.died_us > 60'000'000;
  });
}

// The peer closes its end: what it has sent arrives, then the end of the connection.
void MemoryNetwork::Abandon(Peer& peer, bool engine_notices) {
  const auto it = connections_.find(std::exchange(peer.connection, 0));
  if (it == connections_.end()) return;
  Die(*it->second);
  if (engine_notices) Put(peer, it->second->to_engine, {}, /*closes=*/true);
}

void MemoryNetwork::Follow(Link link, PeerNext next) {
  if (next == PeerNext::kGoOn) return;
  const auto it = links_.find(link);
  if (it == links_.end()) return;
  Abandon(*it->second, /*engine_notices=*/true);
  if (next == PeerNext::kEnd)
    links_.erase(it);
  else
    Connect(link, /*tell=*/true);
}

void MemoryNetwork::Put(Peer& peer, Pipe& pipe, const Frames& frames, bool closes) {
  const auto spread = static_cast<uint64_t>(peer.most_us - peer.least_us);
  const int64_t delay =
      peer.least_us + (spread == 0 ? 0 : static_cast<int64_t>(random_.Below(spread + 1)));
  pipe.last_us = std::max(pipe.last_us, now_us_ + delay);
  pipe.queue.push_back({pipe.last_us, ++order_, closes, {frames.begin(), frames.end()}});
}

bool MemoryNetwork::SendToPeer(std::string_view route, const Frames& frames) {
  uint64_t number = 0;
  for (const char c : route) number = number * 10 + static_cast<uint64_t>(c - '0');
  const auto it = connections_.find(number);
  if (it == connections_.end()) return false;
  Connection& connection = *it->second;
  if (connection.dead) return true;  // half open: the engine does not know yet
  Peer& peer = *links_.at(connection.link);
  if (peer.jammed) return false;
  Put(peer, connection.to_peer, frames);
  return true;
}

void MemoryNetwork::Pump(Link link) {
  const auto it = links_.find(link);
  if (it == links_.end() || it->second->frozen) return;
  // A write that asks for a fresh connection has something to say on it.
  for (int tries = 0; tries < 2; ++tries) {
    const PeerNext next = it->second->protocol->Write(it->second.get(), now_us_);
    if (next == PeerNext::kGoOn) return;
    Follow(link, next);
    if (next == PeerNext::kEnd) return;
  }
}

void MemoryNetwork::PumpAll() {
  std::vector<Link> all;
  for (const auto& [link, peer] : links_) all.push_back(link);
  for (const Link link : all) Pump(link);
}

void MemoryNetwork::DeliverToEngine(Connection& connection, const Delivery& delivery) {
  if (!engine_) return;
  if (delivery.closes) return engine_->protocol.Closed(connection.number);
  const Frames frames(delivery.frames.begin(), delivery.frames.end());
  engine_->protocol.Read(std::to_string(connection.number), frames, now_us_, [&] {
    PeerProof proof{"in memory", std::nullopt, true, 0};
    if (const auto it = links_.find(connection.link); it != links_.end()) proof = it->second->proof;
    proof.connection = connection.number;
    return proof;
  });
}

// The earliest delivery that is due by then. False: there is none.
bool MemoryNetwork::DeliverNext(int64_t until_us) {
  Connection* from = nullptr;
  Pipe* pipe = nullptr;
  for (auto& [number, connection] : connections_) {
    const auto link = links_.find(connection->link);
    const auto is_blocked = [&](Direction d) {
      if (d == Direction::kToEngine && engine_frozen_) return true;
      if (link == links_.end() || connection->dead) return false;
      return link->second->blocked[static_cast<size_t>(d)] ||
             (d == Direction::kToPeer && link->second->frozen);
    };
    for (const Direction d : {Direction::kToEngine, Direction::kToPeer}) {
      Pipe& p = d == Direction::kToEngine ? connection->to_engine : connection->to_peer;
      if (p.queue.empty() || p.queue.front().at_us > until_us || is_blocked(d)) continue;
      if (pipe != nullptr && std::pair(pipe->queue.front().at_us, pipe->queue.front().order) <
                                 std::pair(p.queue.front().at_us, p.queue.front().order))
        continue;
      from = connection.get();
      pipe = &p;
    }
  }
  if (pipe == nullptr) return false;
  Delivery delivery = std::move(pipe->queue.front());
  pipe->queue.pop_front();
  now_us_ = std::max(now_us_, delivery.at_us);
  ++delivered_;
  if (pipe == &from->to_engine) {
    DeliverToEngine(*from, delivery);
    return true;
  }
  const Link link = from->link;
  const Frames frames(delivery.frames.begin(), delivery.frames.end());
  Follow(link, links_.at(link)->protocol->Read(frames, now_us_));
  Pump(link);
  return true;
}

int64_t MemoryNetwork::NextWake() const {
  int64_t next = INT64_MAX;
  for (const auto& [link, peer] : links_) {
    if (!peer->frozen) next = std::min(next, peer->protocol->WakeUs(now_us_));
  }
  const int64_t beat = std::chrono::microseconds(options_.heartbeat).count() / 4;
  return std::min(next, now_us_ + std::max<int64_t>(beat, 1000));
}

bool MemoryNetwork::HasNews() const { return engine_ && engine_->protocol.pending() > 0; }

void MemoryNetwork::Advance(int64_t to_ms, bool to_news) {
  const int64_t to_us = to_ms * 1000;
  const auto news = [&] { return to_news && HasNews(); };
  const auto expire = [&] {
    if (engine_ && !engine_frozen_) engine_->protocol.Expire(now_us_);
  };
  Bury();
  PumpAll();
  while (!news()) {
    // A machine whose time has come already is given the time to pass: one step at least.
    const int64_t wake = std::max(NextWake(), now_us_ + 1);
    if (DeliverNext(std::min(wake, to_us))) continue;
    if (wake > to_us) break;
    now_us_ = wake;
    PumpAll();
    expire();
  }
  if (news()) return;
  now_us_ = std::max(now_us_, to_us);
  PumpAll();
  while (DeliverNext(now_us_)) {
  }
  expire();
}

}  // namespace kev
