// The network of the simulator: its faults, and that a run over it can be had again.
#include "queue/fake/memory_network.h"

#include <doctest/doctest.h>

#include <map>
#include <set>

#include "tests/queue/support/rigs.h"
#include "tests/support/seeds.h"

using namespace kev;
using Fate = MemoryNetwork::InFlight;

namespace {

// A host that wants `jobs` jobs done, and workers that do them, over a network that is unkind.
// Gives a trace of what the host saw.
class Story {
 public:
  Story(uint64_t seed, uint32_t jobs, size_t workers)
      : network_(seed), random_(seed, "story"), jobs_(jobs) {
    network_.StartEngine();
    for (size_t i = 0; i < workers; ++i) {
      workers_.push_back(
          std::make_unique<WorkerProtocol>(WorkerOptionsOf("w:" + std::to_string(i), 2, 4)));
      links_.push_back(network_.Attach(workers_.back().get()));
      network_.Delay(links_.back(), 100, 5000);
    }
  }

  // False: not all jobs were done in `limit_ms`.
  bool Run(int64_t limit_ms, bool faults) {
    while (results_.size() < jobs_ && network_.now_ms() < limit_ms) {
      network_.Advance(network_.now_ms() + 1 + static_cast<int64_t>(random_.Below(20)));
      PlayHost();
      for (auto& worker : workers_) PlayWorker(*worker);
      if (faults && network_.now_ms() < limit_ms / 2) Harm();
    }
    return results_.size() == jobs_;
  }
  const std::string& trace() const { return trace_; }
  bool only_wanted_results() const { return only_wanted_; }
  size_t lost() const { return lost_; }

 private:
  void PlayHost() {
    Transport& transport = *network_.engine();
    for (;;) {
      std::vector<Inbound> more = transport.Receive(64);
      if (more.empty()) break;
      for (Inbound& m : more) Hear(m);
    }
    for (uint32_t n = 1; n <= jobs_; ++n) {
      if (results_.contains(n) || placed_.contains(n) || sessions_.empty()) continue;
      auto at = sessions_.begin();
      std::advance(at, static_cast<ptrdiff_t>(random_.Below(sessions_.size())));
      placed_[n] = *at;
      transport.Send(*at, AssignOf(n, ++attempts_[n]));
    }
    transport.Flush();
  }
  void Hear(Inbound& m) {
    Transport& transport = *network_.engine();
    if (auto* hello = std::get_if<Hello>(&m.message)) {
      Welcome welcome;
      for (kev::InFlight& id : hello->in_flight) {
        const uint32_t n = id.key.subject.number;
        if (attempts_[n] != id.attempt || results_.contains(n)) continue;
        placed_[n] = m.session;
        welcome.keep.push_back(std::move(id));
      }
      sessions_.insert(m.session);
      transport.Send(m.session, std::move(welcome));
    } else if (auto* result = std::get_if<ResultMessage>(&m.message)) {
      const uint32_t n = result->key.subject.number;
      if (result->attempt > attempts_[n]) only_wanted_ = false;
      const bool stale = result->attempt != attempts_[n] || results_.contains(n);
      if (!stale) results_.insert(n);
      transport.Send(m.session, Acknowledge{"R", result->key, result->attempt, stale});
    } else if (auto* lost = std::get_if<SessionLost>(&m.message)) {
      sessions_.erase(m.session);
      std::erase_if(placed_, [&](const auto& p) { return p.second == m.session; });
      trace_ += lost->reason + "\n";
      ++lost_;
      return;
    }
    trace_ += std::to_string(network_.now_ms()) + " " + std::to_string(m.session) + " " +
              std::to_string(m.message.index()) + "\n";
  }
  void PlayWorker(WorkerProtocol& worker) {
    while (worker.running() < 2) {
      auto begun = worker.Begin(network_.now_ms() * 1000);
      if (!begun) break;
      running_[&worker].push_back(begun->id);
    }
    auto& mine = running_[&worker];
    if (mine.empty() || random_.Below(3) == 0) return;
    worker.Finish(FinishedOf(mine.front()), network_.now_ms() * 1000);
    mine.erase(mine.begin());
  }
  void Harm() {
    const MemoryNetwork::Link link = links_[random_.Below(links_.size())];
    switch (random_.Below(60)) {
      case 0:
        return network_.Cut(link, Fate::kLost, {random_.Below(2) == 0, random_.Below(2) == 0});
      case 1:
        return network_.Cut(link, Fate::kLate, {random_.Below(2) == 0, random_.Below(2) == 0});
      case 2:
        return network_.Cut(link, Fate::kTwice, {random_.Below(2) == 0, random_.Below(2) == 0});
      case 3:
        return network_.Block(link, MemoryNetwork::Direction::kToEngine, random_.Below(2) == 0);
      case 4:
        return network_.Block(link, MemoryNetwork::Direction::kToPeer, random_.Below(2) == 0);
      case 5:
        return network_.Jam(link, random_.Below(2) == 0);
      case 6:
        if (random_.Below(4) != 0) return;
        network_.StartEngine();  // the old one is gone, with all its sessions
        sessions_.clear();
        placed_.clear();
        return;
      default:
        for (const MemoryNetwork::Link each : links_) {
          if (random_.Below(20) != 0) continue;
          network_.Block(each, MemoryNetwork::Direction::kToEngine, false);
          network_.Block(each, MemoryNetwork::Direction::kToPeer, false);
          network_.Jam(each, false);
        }
    }
  }

  MemoryNetwork network_;
  CounterRandom random_;
  uint32_t jobs_;
  std::vector<std::unique_ptr<WorkerProtocol>> workers_;
  std::vector<MemoryNetwork::Link> links_;
  std::map<WorkerProtocol*, std::vector<kev::InFlight>> running_;
  std::set<SessionId> sessions_;
  std::map<uint32_t, SessionId> placed_;
  std::map<uint32_t, uint32_t> attempts_;
  std::set<uint32_t> results_;
  bool only_wanted_ = true;
  size_t lost_ = 0;
  std::string trace_;
};

}  // namespace

TEST_CASE("the same seed gives the same story, another one another") {
  Story first(7, 200, 3), again(7, 200, 3), other(8, 200, 3);
  CHECK(first.Run(60000, true));
  CHECK(again.Run(60000, true));
  CHECK(other.Run(60000, true));
  CHECK(first.trace() == again.trace());
  CHECK(first.trace() != other.trace());
}

TEST_CASE("whatever the network does, every job is done once it is kind again") {
  size_t lost = 0;
  for (uint64_t seed = 1; seed <= testing::Seeds(200); ++seed) {
    CAPTURE(seed);
    Story story(seed, 200, 3);
    CHECK(story.Run(120000, true));
    CHECK(story.only_wanted_results());
    lost += story.lost();
  }
  CHECK(lost > testing::Seeds(400));  // it was unkind
}

TEST_CASE("without faults no session is lost") {
  Story story(3, 300, 4);
  CHECK(story.Run(120000, false));
  CHECK_MESSAGE(story.trace().find("w:") == std::string::npos, story.trace());
}

TEST_CASE("a peer that cannot be heard is lost by its silence, and comes back when it can") {
  MemoryNetwork network(1);
  WorkerProtocol worker(WorkerOptionsOf("w:1"));
  Transport& transport = *network.StartEngine();
  const MemoryNetwork::Link link = network.Attach(&worker);
  const auto await = [&](auto wanted, int64_t limit_ms) -> SessionId {
    while (network.now_ms() < limit_ms) {
      network.Advance(network.now_ms() + 10);
      for (const Inbound& m : transport.Receive(1)) {
        if (std::holds_alternative<decltype(wanted)>(m.message)) return m.session;
      }
    }
    return 0;
  };
  const SessionId first = await(Hello{}, 1000);
  REQUIRE(first != 0);
  transport.Send(first, Welcome{1, {}});
  transport.Flush();
  network.Block(link, MemoryNetwork::Direction::kToEngine, true);
  const int64_t since = network.now_ms();
  CHECK(await(SessionLost{}, since + 10000) == first);
  CHECK(network.now_ms() - since <= 5000 + 20);  // one heartbeat may have been heard just before
  CHECK(network.now_ms() - since > 2000);
  network.Block(link, MemoryNetwork::Direction::kToEngine, false);
  CHECK(await(Hello{}, network.now_ms() + 20000) > first);
}

TEST_CASE("a worker whose engine stays away ends with an error") {
  MemoryNetwork network(1);
  WorkerProtocolOptions options = WorkerOptionsOf("w:1");
  options.engine_lost_grace = std::chrono::milliseconds(3000);
  WorkerProtocol worker(options);
  const MemoryNetwork::Link link = network.Attach(&worker);
  network.Advance(2900);
  CHECK_FALSE(worker.over());
  network.Advance(3200);
  CHECK(worker.over());
  CHECK(worker.ending().error().code == Code::kUnavailable);
  CHECK(worker.ending().error().message.find("the engine") != std::string::npos);
  CHECK_FALSE(network.Attached(link));
}
