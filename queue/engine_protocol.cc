#include "queue/engine_protocol.h"

#include <algorithm>
#include <utility>

#include "queue/codec.h"

namespace kev {
namespace {

// Somebody who sends garbage as fast as he can must not fill the log.
constexpr int kMostStrangers = 10;
// A process that breaks the protocol so often within that time stays out for the rest of it: it
// would get the same jobs again and again. It is known by its instance, which nobody else can say:
// a name that counted would let any peer have another one thrown out.
constexpr uint32_t kMostBlames = 3;
constexpr int64_t kBlameUs = 60'000'000;
constexpr size_t kMostBlamed = 10'000;  // instances remembered
constexpr int64_t kStrangersPerUs = 10'000'000;

}  // namespace

void EngineProtocol::Read(std::string_view route, const Frames& frames, int64_t now_us,
                          const std::function<PeerProof()>& prove) {
  const auto known = by_route_.find(std::string(route));
  EngineSession* session = known == by_route_.end() ? nullptr : sessions_.at(known->second).get();
  const auto refuse = [&](RejectReason reason, const std::string& text) {
    if (session == nullptr) return RefuseStranger(route, reason, text, now_us, prove);
    Refuse(route, reason, session->identity().name + ": " + text);
    if (reason != RejectReason::kResync) Blame(session->identity().instance, now_us);
    Lose(session->identity().id, text, /*orderly=*/false, /*refused=*/true);
  };
  if (frames.size() < 2) {
    return refuse(RejectReason::kMalformed, "malformed message: frames are missing");
  }
  const Result<WireHeader> header = DecodeHeader(frames[0]);
  if (!header) {
    return refuse(
        header.error().code == Code::kConflict ? RejectReason::kVersion : RejectReason::kMalformed,
        header.error().message);
  }
  if (session == nullptr && header->type != MessageType::kHello) {
    return Refuse(route, RejectReason::kResync, "this engine does not know the session; say HELLO");
  }
  if (frames.size() > 2 && !IsBatch(header->type) && header->type != MessageType::kCall) {
    return refuse(RejectReason::kMalformed, std::string("malformed message: ") +
                                                Name(header->type) + " with frames left over");
  }
  const Result<Value> body = Decode(frames[1]);
  if (!body) return refuse(RejectReason::kMalformed, body.error().message);
  if (header->type == MessageType::kHello) return Greet(route, *header, *body, now_us, prove);

  session->heard_us = now_us;
  const Status status = session->Read(*header, *body, frames, &inbox_);
  if (!status.ok()) {
    const Code code = status.error().code;
    return refuse(code == Code::kConflict     ? RejectReason::kResync
                  : code == Code::kPermission ? RejectReason::kRefused
                                              : RejectReason::kMalformed,
                  status.error().message);
  }
  const SessionId id = session->identity().id;
  if (session->left()) {
    session->SendNow(MessageType::kByeAck, kEmptyBody, sink_);
    return Lose(id, session->parting().empty() ? "it left" : "it left: " + session->parting(),
                true);
  }
  if (session->wants_pong() && !session->SendNow(MessageType::kPong, kEmptyBody, sink_)) {
    return Lose(id, "its connection takes no more messages");
  }
  if (session->HasWaitingJobs()) MarkDirty(session);  // there may be credit for them now
}

// A peer that comes back on a new connection is announced before its old session is given up, so
// that the host can move to the new session what the worker still holds.
void EngineProtocol::Greet(std::string_view route, const WireHeader& header, const Value& body,
                           int64_t now_us, const std::function<PeerProof()>& prove) {
  std::string instance;
  Result<Hello> hello = HelloFrom(body, &instance);
  if (hello && (header.seq != 1 || header.count != 0)) {
    hello =
        Error{Code::kCorrupt, "malformed message: HELLO is message 1 of a session and no batch"};
  }
  std::vector<SessionId> old;
  for (const auto& [id, session] : sessions_) {
    const EngineSession::Identity& other = session->identity();
    if (other.route == route || (hello && other.instance == instance && other.role == hello->role))
      old.push_back(id);
  }
  std::sort(old.begin(), old.end());
  const auto lose_old = [&](const std::string& why) {
    for (const SessionId id : old) Lose(id, why);
  };
  if (!hello) {
    RefuseStranger(route, RejectReason::kMalformed, hello.error().message, now_us, prove);
    return lose_old(hello.error().message);
  }
  const PeerProof proof = prove();
  hello->peer = proof.address;
  if (const Status s = MayJoin(*hello, proof); !s.ok()) {
    const std::string text = hello->worker + " " + s.error().message;
    RefuseStranger(route, RejectReason::kRefused, text, now_us, prove);
    if (const auto same = by_route_.find(std::string(route)); same != by_route_.end())
      Lose(same->second, text);
    return;
  }
  if (const int64_t until = BannedUntil(instance, now_us); until > 0) {
    return RefuseStranger(route, RejectReason::kRefused,
                          hello->worker + " has broken the protocol " +
                              std::to_string(kMostBlames) + " times; it may come back in " +
                              std::to_string((until - now_us) / 1'000'000 + 1) + " s",
                          now_us, prove);
  }
  EngineSession::Identity identity;
  identity.id = ++last_id_;
  identity.route = route;
  identity.instance = instance;
  identity.name = hello->worker + (proof.address.empty() ? "" : " (" + proof.address + ")");
  identity.connection = proof.connection;
  identity.role = hello->role;
  identity.slots = hello->slots;
  identity.minor = header.minor;
  auto session = std::make_unique<EngineSession>(std::move(identity), header.seq);
  session->heard_us = now_us;
  hello->replaces = old;
  inbox_.push_back({last_id_, std::move(*hello)});
  const SessionId id = last_id_;
  sessions_[id] = std::move(session);
  lose_old("it began a new session");
  by_route_[std::string(route)] = id;
}

Status EngineProtocol::MayJoin(const Hello& hello, const PeerProof& proof) const {
  if (proof.keyless) return {};
  if (!proof.role) {
    return Error{Code::kPermission,
                 "has shown no key that this engine knows; start it with --access FILE, the "
                 "engine's access file"};
  }
  if (*proof.role == hello.role || (*proof.role == Role::kAdmin && hello.role == Role::kClient))
    return {};
  return Error{Code::kPermission, std::string("wants to be ") + WithArticle(hello.role) +
                                      ", and its key is that of " + WithArticle(*proof.role) +
                                      "; use an access file that has the key for " +
                                      WithArticle(hello.role)};
}

void EngineProtocol::Closed(uint64_t connection) {
  if (connection == 0) return;
  std::vector<SessionId> gone;
  for (const auto& [id, session] : sessions_) {
    if (session->identity().connection == connection) gone.push_back(id);
  }
  std::sort(gone.begin(), gone.end());
  for (const SessionId id : gone) Lose(id, "its connection was closed");
}

void EngineProtocol::Expire(int64_t now_us) {
  const int64_t heartbeat_us = std::chrono::microseconds(options_.heartbeat).count();
  if (now_us - checked_us_ < heartbeat_us / 4) return;
  checked_us_ = now_us;
  const int64_t limit_us = heartbeat_us * options_.liveness;
  std::vector<SessionId> silent;
  for (const auto& [id, session] : sessions_) {
    if (now_us - session->heard_us > limit_us) silent.push_back(id);
  }
  std::sort(silent.begin(), silent.end());
  for (const SessionId id : silent) {
    Lose(id, "nothing heard from it for " + std::to_string(limit_us / 1000) + " ms");
  }
}

void EngineProtocol::Refuse(std::string_view route, RejectReason reason, const std::string& text) {
  WireHeader head;
  head.type = MessageType::kReject;
  const std::string header = EncodeHeader(head);
  const std::string body = EncodeReject(reason, text);
  sink_->Send(route, {header, body});
}

void EngineProtocol::RefuseStranger(std::string_view route, RejectReason reason,
                                    const std::string& text, int64_t now_us,
                                    const std::function<PeerProof()>& prove) {
  Refuse(route, reason, text);
  if (MayReportStranger(now_us)) ReportStranger(prove().address, text);
}

void EngineProtocol::TurnedAway(const std::string& address, const std::string& why,
                                int64_t now_us) {
  if (MayReportStranger(now_us)) ReportStranger(address, why);
}

bool EngineProtocol::MayReportStranger(int64_t now_us) {
  if (now_us - strangers_since_us_ > kStrangersPerUs) {
    strangers_since_us_ = now_us;
    strangers_ = 0;
  }
  return ++strangers_ <= kMostStrangers;
}

void EngineProtocol::ReportStranger(const std::string& address, const std::string& why) {
  inbox_.push_back(
      {0, SessionLost{
              "refused a peer (" + (address.empty() ? "unknown address" : address) + "): " + why,
              /*orderly=*/false, /*refused=*/true}});
}

void EngineProtocol::Blame(const std::string& instance, int64_t now_us) {
  if (blamed_.size() >= kMostBlamed) blamed_.clear();
  Blamed& blamed = blamed_[instance];
  if (now_us - blamed.since_us > kBlameUs) blamed = {now_us, 0};
  ++blamed.times;
}

int64_t EngineProtocol::BannedUntil(const std::string& instance, int64_t now_us) {
  const auto it = blamed_.find(instance);
  if (it == blamed_.end() || it->second.times < kMostBlames) return 0;
  const int64_t until = it->second.since_us + kBlameUs;
  return until > now_us ? until : 0;
}

void EngineProtocol::Lose(SessionId id, const std::string& reason, bool orderly, bool refused) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return;
  by_route_.erase(it->second->identity().route);
  inbox_.push_back(
      {id, SessionLost{it->second->identity().name + ": " + reason, orderly, refused}});
  sessions_.erase(it);
}

std::vector<Inbound> EngineProtocol::Take(size_t most) {
  std::vector<Inbound> out;
  const size_t n = std::min(most, inbox_.size());
  out.reserve(n);
  for (size_t i = 0; i < n; ++i) {
    out.push_back(std::move(inbox_.front()));
    inbox_.pop_front();
  }
  return out;
}

void EngineProtocol::MarkDirty(EngineSession* session) {
  if (session->dirty) return;
  session->dirty = true;
  dirty_.push_back(session->identity().id);
}

void EngineProtocol::Send(SessionId id, Outbound message) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return;  // lost: the host has been told, or will be
  it->second->Queue(std::move(message));
  MarkDirty(it->second.get());
}

void EngineProtocol::Flush() {
  for (const SessionId id : std::exchange(dirty_, {})) {
    const auto it = sessions_.find(id);
    if (it == sessions_.end()) continue;
    it->second->dirty = false;
    const WelcomeBody terms{{}, options_.heartbeat, options_.liveness};
    if (!it->second->Flush(terms, sink_, &inbox_)) {
      Lose(id, "its connection takes no more messages");
    }
  }
}

}  // namespace kev
