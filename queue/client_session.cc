#include "queue/client_session.h"

#include <algorithm>

#include "queue/client_protocol.h"
#include "queue/peer_options.h"
#include "queue/zmq_peer.h"

namespace kev {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kNoGrace{24 * 3600 * 1000};  // each call has its own limit
constexpr milliseconds kByeLimit{500};
constexpr milliseconds kAskWhether{200};

class Session final : public ClientSession {
 public:
  Session(ClientProtocolOptions protocol, ZmqPeerOptions peer, std::function<bool()> may_answer)
      : engine_(protocol.engine),
        may_answer_(std::move(may_answer)),
        protocol_(std::move(protocol)),
        peer_(std::move(peer), &protocol_) {}
  ~Session() override {
    protocol_.Leave();
    [[maybe_unused]] const Status s = Drive(kByeLimit, [] { return false; });
  }
  Status Start() { return peer_.Open(); }

  Result<Value> Call(const std::string& method, Value arguments, milliseconds timeout,
                     std::vector<std::pair<BlobRef, std::string>> blobs) override {
    const auto question = protocol_.Call(method, std::move(arguments), std::move(blobs));
    if (Status s = Drive(timeout, [&] { return question->done; }); !s.ok()) return s.error();
    if (question->done) {
      if (!question->status.ok()) return question->status.error();
      return question->value;
    }
    protocol_.Forget(question);
    if (protocol_.over() || gone_) {
      if (!protocol_.ending().ok()) return protocol_.ending().error();
      return Error{Code::kUnavailable, "the engine at " + engine_ + " has ended"};
    }
    return Error{Code::kUnavailable, "no answer to '" + method + "' from the engine at " + engine_ +
                                         " for " + std::to_string(timeout.count()) +
                                         " ms; is it running? It may still do it when it can"};
  }

 private:
  template <typename Done>
  Status Drive(milliseconds limit, Done done) {
    const Clock::time_point begin = Clock::now(), until = begin + limit;
    Clock::time_point asked = begin;
    gone_ = false;
    while (!done() && !protocol_.over()) {
      Result<bool> on = peer_.Turn();
      if (!on) return on.error();
      if (!*on || done()) break;
      const Clock::time_point now = Clock::now();
      auto left = std::chrono::ceil<milliseconds>(until - now);
      if (left.count() <= 0) break;
      if (may_answer_) {
        left = std::min(left, kAskWhether);
        if (now - asked >= kAskWhether) {
          asked = now;
          gone_ = !may_answer_();
        }
        if (gone_) break;
      }
      peer_.Wait(-1, static_cast<long>(left.count()));
    }
    return {};
  }

  std::string engine_;
  std::function<bool()> may_answer_;
  bool gone_ = false;
  ClientProtocol protocol_;
  ZmqPeer peer_;
};

}  // namespace

Result<std::unique_ptr<ClientSession>> ClientSession::Open(const ClientSessionOptions& options) {
  Result<PeerOptions> common = PeerOptionsFor(options.admin ? Role::kAdmin : Role::kClient,
                                              options.endpoint, options.access_file);
  if (!common) return common.error();
  ClientProtocolOptions protocol;
  protocol.hello = std::move(common->hello);
  protocol.hello.program = "kevolve";
  protocol.instance = std::move(common->instance);
  protocol.engine = common->zmq.endpoints.front();
  protocol.engine_lost_grace = kNoGrace;
  auto session =
      std::make_unique<Session>(std::move(protocol), std::move(common->zmq), options.may_answer);
  if (Status s = session->Start(); !s.ok()) return s.error();
  return std::unique_ptr<ClientSession>(std::move(session));
}

}  // namespace kev
