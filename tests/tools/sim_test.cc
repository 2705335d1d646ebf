// The simulator finds what is wrong: each case puts one faulty part into it, of the kind that its
// rules are there for, and expects to hear of that.
#include <doctest/doctest.h>

#include <deque>
#include <map>
#include <set>
#include <utility>

#include "tools/sim/simulation.h"

namespace kev::sim {
namespace {

// A transport that does what the real one does, but for one thing.
class FaultyTransport : public Transport {
 public:
  explicit FaultyTransport(Transport* real) : real_(real) {}
  std::vector<Inbound> Receive(size_t most) override { return real_->Receive(most); }
  void Send(SessionId session, Outbound message) override {
    real_->Send(session, std::move(message));
  }
  void Flush() override { real_->Flush(); }
  int Descriptor() const override { return -1; }

 protected:
  Transport* real_;
};

class FaultyStore : public Store {
 public:
  explicit FaultyStore(Store* real) : real_(real) {}
  uint64_t Submit(std::shared_ptr<const Commit> commit) override { return real_->Submit(commit); }
  uint64_t ReadBlob(const std::string& sha256) override { return real_->ReadBlob(sha256); }
  uint64_t ReadLog(const std::string& run, uint64_t from, uint64_t to) override {
    return real_->ReadLog(run, from, to);
  }
  uint64_t ReadEnd(const std::string& run) override { return real_->ReadEnd(run); }
  uint64_t Trim(const std::string& run, uint64_t seq,
                const std::vector<std::string>& blobs) override {
    return real_->Trim(run, seq, blobs);
  }
  std::vector<Completion> Poll() override { return real_->Poll(); }
  int Descriptor() const override { return -1; }
  bool WantsWrite() const override { return false; }

 protected:
  Store* real_;
};

// Submits a commit that differs from the one that was asked for.
class RewritingStore : public FaultyStore {
 public:
  using FaultyStore::FaultyStore;
  uint64_t Submit(std::shared_ptr<const Commit> commit) override {
    auto other = std::make_shared<Commit>(*commit);
    Rewrite(other.get());
    return real_->Submit(other);
  }
  virtual void Rewrite(Commit* commit) = 0;
};

template <typename T>
Hooks WithTransport() {
  Hooks hooks;
  hooks.transport = [](Transport* real) { return std::make_unique<T>(real); };
  return hooks;
}
template <typename T>
Hooks WithStore() {
  Hooks hooks;
  hooks.store = [](Store* real) { return std::make_unique<T>(real); };
  return hooks;
}

// The first violation that some seeds find; "" when they find none.
std::string Found(const Hooks& hooks) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SimulationOptions options;
    options.seed = seed;
    options.steps = 500;
    options.hooks = hooks;
    const SimulationOutcome outcome = Simulate(options);
    if (outcome.violation) return *outcome.violation;
  }
  return "";
}

void CheckFinds(const Hooks& hooks, const std::string& what) {
  const std::string found = Found(hooks);
  INFO(found);
  CHECK(found.find(what) != std::string::npos);
}

TEST_CASE("parts that only pass on what they get violate nothing") {
  Hooks hooks = WithTransport<FaultyTransport>();
  hooks.store = WithStore<FaultyStore>().store;
  CHECK(Found(hooks).empty());
}

TEST_CASE("a result that is acknowledged before its commit is found") {
  struct Hasty : FaultyTransport {
    using FaultyTransport::FaultyTransport;
    std::vector<Inbound> Receive(size_t most) override {
      std::vector<Inbound> all = real_->Receive(most);
      for (const Inbound& inbound : all) {
        if (const auto* result = std::get_if<ResultMessage>(&inbound.message))
          real_->Send(inbound.session, Acknowledge{result->run, result->key, result->attempt});
      }
      return all;
    }
  };
  CheckFinds(WithTransport<Hasty>(), "acknowledges");
}

TEST_CASE("a job that is given out twice is found") {
  struct Stutters : FaultyTransport {
    using FaultyTransport::FaultyTransport;
    void Send(SessionId session, Outbound message) override {
      if (std::holds_alternative<Assign>(message)) real_->Send(session, message);
      real_->Send(session, std::move(message));
    }
  };
  CheckFinds(WithTransport<Stutters>(), "gives out");
}

TEST_CASE("a job that is lost on its way to a worker is found") {
  struct Forgets : FaultyTransport {
    using FaultyTransport::FaultyTransport;
    void Send(SessionId session, Outbound message) override {
      if (std::holds_alternative<Assign>(message) && ++jobs_ % 7 == 0) return;
      real_->Send(session, std::move(message));
    }
    uint64_t jobs_ = 0;
  };
  CheckFinds(WithTransport<Forgets>(), "does not end");
}

TEST_CASE("a good result that is refused is found") {
  struct Refuses : FaultyTransport {
    using FaultyTransport::FaultyTransport;
    std::vector<Inbound> Receive(size_t most) override {
      std::vector<Inbound> all = real_->Receive(most);
      std::erase_if(all, [&](const Inbound& inbound) {
        const auto* result = std::get_if<ResultMessage>(&inbound.message);
        if (result == nullptr || ++results_ % 5 != 0) return false;
        real_->Send(inbound.session, Acknowledge{result->run, result->key, result->attempt, true});
        return true;
      });
      return all;
    }
    uint64_t results_ = 0;
  };
  CheckFinds(WithTransport<Refuses>(), "refuses the result");
}

TEST_CASE("an attempt that a worker keeps and another has is found") {
  struct Generous : FaultyTransport {
    using FaultyTransport::FaultyTransport;
    void Send(SessionId session, Outbound message) override {
      if (const auto* assign = std::get_if<Assign>(&message))
        last_ = {assign->run, assign->key, assign->attempt};
      if (auto* welcome = std::get_if<Welcome>(&message); welcome && last_.attempt != 0)
        welcome->keep.push_back(last_);
      real_->Send(session, std::move(message));
    }
    InFlight last_;
  };
  CheckFinds(WithTransport<Generous>(), "lets ");
}

TEST_CASE("a commit that is confirmed before it is written is found") {
  // Confirmed when it is sent: what follows from it is given out before the log has it.
  struct Early : FaultyStore {
    using FaultyStore::FaultyStore;
    uint64_t Submit(std::shared_ptr<const Commit> commit) override {
      const uint64_t ticket = real_->Submit(std::move(commit));
      early_.push_back(ticket);
      return ticket;
    }
    std::vector<Completion> Poll() override {
      std::vector<Completion> all = real_->Poll();
      std::erase_if(all, [&](const Completion& c) { return told_.contains(c.ticket); });
      for (const uint64_t ticket : std::exchange(early_, {})) {
        told_.insert(ticket);
        all.push_back({ticket, Status(), {}});
      }
      return all;
    }
    std::vector<uint64_t> early_;
    std::set<uint64_t> told_;
  };
  CheckFinds(WithStore<Early>(), "which is in no log");
}

TEST_CASE("a log that does not fold to its digests is found") {
  struct Forges : RewritingStore {
    using RewritingStore::RewritingStore;
    void Rewrite(Commit* commit) override {
      commit->digest[0] = commit->digest[0] == 'a' ? 'b' : 'a';
    }
  };
  CheckFinds(WithStore<Forges>(), "other commands");
}

TEST_CASE("a record that is not what the log gives is found") {
  struct Sloppy : RewritingStore {
    using RewritingStore::RewritingStore;
    void Rewrite(Commit* commit) override {
      std::erase_if(commit->projections,
                    [&](const Projection&) { return ++projections_ % 11 == 0; });
    }
    uint64_t projections_ = 0;
  };
  CheckFinds(WithStore<Sloppy>(), "record");
}

TEST_CASE("a result whose blob is not stored is found") {
  struct Light : RewritingStore {
    using RewritingStore::RewritingStore;
    void Rewrite(Commit* commit) override { commit->blobs.clear(); }
  };
  CheckFinds(WithStore<Light>(), "not in the store");
}

TEST_CASE("a worker that answers with the result of another job is found") {
  class Confused final : public PeerProtocol, public FrameSink {
   public:
    explicit Confused(PeerProtocol* real) : real_(real) {}
    void Opened(int64_t now_us) override { real_->Opened(now_us); }
    PeerNext Closed(int64_t now_us) override { return real_->Closed(now_us); }
    PeerNext Refused(Error why) override { return real_->Refused(std::move(why)); }
    PeerNext Read(const Frames& frames, int64_t now_us) override {
      return real_->Read(frames, now_us);
    }
    PeerNext Write(FrameSink* sink, int64_t now_us) override {
      sink_ = sink;
      return real_->Write(this, now_us);
    }
    int64_t WakeUs(int64_t now_us) const override { return real_->WakeUs(now_us); }
    bool Send(std::string_view route, const Frames& frames) override {
      const Result<WireHeader> header = DecodeHeader(frames[0]);
      if (!header || header->type != MessageType::kResult || header->count != 1)
        return sink_->Send(route, frames);
      const std::string mine = std::exchange(last_, std::string(frames[2]));
      Frames sent = frames;
      if (!mine.empty()) sent[2] = mine;
      return sink_->Send(route, sent);
    }

   private:
    PeerProtocol* real_;
    FrameSink* sink_ = nullptr;
    std::string last_;
  };
  Hooks hooks;
  hooks.worker = [](PeerProtocol* real) { return std::make_unique<Confused>(real); };
  CheckFinds(hooks, "another job");
}

}  // namespace
}  // namespace kev::sim
