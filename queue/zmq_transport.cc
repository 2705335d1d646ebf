#include "queue/zmq_transport.h"

#include <algorithm>
#include <deque>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "queue/codec.h"
#include "queue/wire.h"
#include "queue/zmq_socket.h"

namespace kev {
namespace {

using Clock = std::chrono::steady_clock;

// What is queued for one session until Flush. Kinds do not overtake each other in a way that
// matters: jobs go before cancels (which may name them), acks are about attempts that were sent
// before, the rest keeps its order and goes last.
struct Outbox {
  std::vector<Welcome> welcomes;
  std::vector<Assign> jobs;
  std::vector<Acknowledge> acks;
  std::vector<Cancel> cancels;
  std::vector<Outbound> rest;
  void Clear() {
    welcomes.clear();
    jobs.clear();
    acks.clear();
    cancels.clear();
    rest.clear();
  }
};

struct Session {
  SessionId id = 0;
  std::string route;     // ZeroMQ's routing id
  std::string instance;  // the worker process
  std::string worker;
  uint64_t seq_in = 0;
  uint64_t seq_out = 0;
  Clock::time_point heard;
  Outbox outbox;
  bool dirty = false;
};

class Router final : public ZmqTransport {
 public:
  Router(std::unique_ptr<ZmqContext> context, ZmqSocket socket, const ZmqTransportOptions& options,
         std::vector<std::string> endpoints)
      : context_(std::move(context)),
        socket_(std::move(socket)),
        options_(options),
        endpoints_(std::move(endpoints)),
        checked_(Clock::now()) {}

  std::vector<Inbound> Receive(size_t most) override;
  void Send(SessionId session, Outbound message) override;
  void Flush() override;
  int Descriptor() const override { return socket_.Descriptor(); }
  const std::vector<std::string>& Endpoints() const override { return endpoints_; }

 private:
  void Read(const Multipart& message, Clock::time_point now);
  Status ReadKnown(Session& session, const WireHeader& header, const Multipart& message);
  Status ReadResults(Session& session, const Value& body, const Multipart& message);
  void Greet(const std::string& route, const WireHeader& header, const Value& body,
             Clock::time_point now);
  void Refuse(std::string_view route, RejectReason reason, const std::string& text);
  void Lose(SessionId id, std::string reason, bool orderly = false);
  void DropSilent(Clock::time_point now);
  void FlushSession(Session& session);
  bool SendBatch(Session& session, MessageType type, const std::vector<std::string_view>& payloads);
  bool SendTo(Session& session, MessageType type, std::string_view body,
              const std::vector<std::string_view>& payloads, size_t count);

  std::unique_ptr<ZmqContext> context_;  // before the socket: it is ended after it
  ZmqSocket socket_;
  ZmqTransportOptions options_;
  std::vector<std::string> endpoints_;
  Clock::time_point checked_;
  SessionId last_id_ = 0;
  std::unordered_map<std::string, SessionId> by_route_;
  std::unordered_map<SessionId, Session> sessions_;
  std::vector<SessionId> dirty_;
  std::deque<Inbound> inbox_;
  Multipart message_;
  BatchBody batch_;
};

std::vector<Inbound> Router::Receive(size_t most) {
  const Clock::time_point now = Clock::now();
  bool drained = false;
  while (inbox_.size() < most) {
    if (!socket_.Receive(&message_)) {
      drained = true;
      break;
    }
    Read(message_, now);
  }
  // Silence is judged only when nothing is left to read, so that a pause of this process is not
  // taken for theirs.
  if (drained) DropSilent(now);
  std::vector<Inbound> out;
  const size_t n = std::min(most, inbox_.size());
  out.reserve(n);
  for (size_t i = 0; i < n; ++i) {
    out.push_back(std::move(inbox_.front()));
    inbox_.pop_front();
  }
  return out;
}

void Router::Read(const Multipart& message, Clock::time_point now) {
  const std::string route(message[0]);
  const auto known = by_route_.find(route);
  const SessionId id = known == by_route_.end() ? 0 : known->second;
  const auto refuse = [&](RejectReason reason, const std::string& text) {
    Refuse(route, reason, text);
    if (id != 0) Lose(id, text);
  };
  if (message.size() < 3)
    return refuse(RejectReason::kMalformed, "malformed message: frames are missing");
  const Result<WireHeader> header = DecodeHeader(message[1]);
  if (!header) {
    return refuse(
        header.error().code == Code::kConflict ? RejectReason::kVersion : RejectReason::kMalformed,
        header.error().message);
  }
  if (id == 0 && header->type != MessageType::kHello) {
    return Refuse(route, RejectReason::kResync, "this engine does not know the session; say HELLO");
  }
  const Result<Value> body = Decode(message[2]);
  if (!body) return refuse(RejectReason::kMalformed, body.error().message);
  if (header->type == MessageType::kHello) return Greet(route, *header, *body, now);

  Session& session = sessions_.at(id);
  session.heard = now;
  if (header->seq != session.seq_in + 1) {
    return refuse(RejectReason::kResync, "messages are missing between " +
                                             std::to_string(session.seq_in) + " and " +
                                             std::to_string(header->seq));
  }
  session.seq_in = header->seq;
  Status status;
  if (header->type == MessageType::kResult) {
    status = ReadResults(session, *body, message);
  } else if (header->type == MessageType::kTaken) {
    Result<std::vector<BatchItem>> batch = BatchFrom(*body);
    if (!batch) {
      status = batch.error();
    } else {
      for (BatchItem& item : *batch) {
        inbox_.push_back({id, Taken{std::move(item.id.run), item.id.key, item.id.attempt}});
      }
    }
  } else if (header->type == MessageType::kBlobGet) {
    const std::string& sha256 = (*body)["sha256"].AsString();
    if (!IsSha256(sha256)) {
      status = Error{Code::kCorrupt, "malformed message: BLOB_GET names no SHA-256"};
    } else {
      inbox_.push_back({id, BlobWanted{sha256}});
    }
  } else if (header->type == MessageType::kHistoryGet) {
    inbox_.push_back({id, HistoryWanted{(*body)["run"].AsString(),
                                        static_cast<uint64_t>((*body)["from"].AsInt()),
                                        static_cast<uint64_t>((*body)["to"].AsInt())}});
  } else if (header->type == MessageType::kPing) {
    if (!SendTo(session, MessageType::kPong, "\x80", {}, 0)) Lose(id, "the worker is gone");
  } else if (header->type == MessageType::kBye) {
    SendTo(session, MessageType::kByeAck, "\x80", {}, 0);
    Lose(id, "the worker left", true);
  } else {
    status = Error{Code::kCorrupt, "malformed message: a worker does not send type " +
                                       std::to_string(static_cast<int>(header->type))};
  }
  if (!status.ok()) refuse(RejectReason::kMalformed, status.error().message);
}

Status Router::ReadResults(Session& session, const Value& body, const Multipart& message) {
  Result<std::vector<BatchItem>> batch = BatchFrom(body);
  if (!batch) return batch.error();
  size_t frame = 3;
  for (BatchItem& item : *batch) {
    if (message.size() - frame < 1 + item.blobs.size()) {
      return Error{Code::kCorrupt, "malformed message: RESULT has fewer frames than it names"};
    }
    const std::string_view packed = message[frame++];
    const Result<PackedView> view = CheckPacked(packed);
    if (!view) return view.error();
    Result<JobResult> result = JobResultFrom(*view);
    if (!result) return result.error();
    ResultMessage out;
    out.run = std::move(item.id.run);
    out.key = item.id.key;
    out.attempt = item.id.attempt;
    out.result = std::move(*result);
    out.packed = packed;
    out.blobs.reserve(item.blobs.size());
    for (BlobRef& ref : item.blobs) {
      const std::string_view bytes = message[frame++];
      if (bytes.size() != ref.size) {
        return Error{Code::kCorrupt,
                     "malformed message: blob " + ref.sha256 + " has another size than it says"};
      }
      out.blobs.emplace_back(std::move(ref), std::string(bytes));
    }
    inbox_.push_back({session.id, std::move(out)});
  }
  return {};
}

// A worker that comes back on a new connection is announced before its old session is given up, so
// that the host can move to the new session what the worker still holds.
void Router::Greet(const std::string& route, const WireHeader& header, const Value& body,
                   Clock::time_point now) {
  std::string instance;
  Result<Hello> hello = HelloFrom(body, &instance);
  const auto same_route = by_route_.find(route);
  if (!hello) {
    Refuse(route, RejectReason::kMalformed, hello.error().message);
    if (same_route != by_route_.end()) Lose(same_route->second, hello.error().message);
    return;
  }
  std::vector<SessionId> old;
  for (const auto& [id, session] : sessions_) {
    if (session.instance == instance || session.route == route) old.push_back(id);
  }
  std::sort(old.begin(), old.end());
  const SessionId id = ++last_id_;
  Session& session = sessions_[id];
  session.id = id;
  session.route = route;
  session.instance = instance;
  session.worker = hello->worker;
  session.seq_in = header.seq;
  session.heard = now;
  inbox_.push_back({id, std::move(*hello)});
  for (const SessionId gone : old) Lose(gone, "the worker began a new session");
  by_route_[route] = id;
}

void Router::Refuse(std::string_view route, RejectReason reason, const std::string& text) {
  const std::string header = EncodeHeader({MessageType::kReject, 0, 0, 0});
  const std::string body = EncodeReject(reason, text);
  socket_.Send({route, header, body});
}

void Router::Lose(SessionId id, std::string reason, bool orderly) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return;
  by_route_.erase(it->second.route);
  inbox_.push_back({id, SessionLost{it->second.worker + ": " + std::move(reason), orderly}});
  sessions_.erase(it);
}

void Router::DropSilent(Clock::time_point now) {
  if (now - checked_ < options_.heartbeat / 4) return;
  checked_ = now;
  const auto limit = options_.heartbeat * options_.liveness;
  std::vector<SessionId> silent;
  for (const auto& [id, session] : sessions_) {
    if (now - session.heard > limit) silent.push_back(id);
  }
  std::sort(silent.begin(), silent.end());
  for (const SessionId id : silent) {
    Lose(id, "nothing heard from the worker for " + std::to_string(limit.count()) + " ms");
  }
}

void Router::Send(SessionId id, Outbound message) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return;  // lost: the host has been told, or will be
  Session& session = it->second;
  if (!session.dirty) {
    session.dirty = true;
    dirty_.push_back(id);
  }
  Outbox& out = session.outbox;
  if (auto* job = std::get_if<Assign>(&message)) {
    out.jobs.push_back(std::move(*job));
  } else if (auto* ack = std::get_if<Acknowledge>(&message)) {
    out.acks.push_back(std::move(*ack));
  } else if (auto* cancel = std::get_if<Cancel>(&message)) {
    out.cancels.push_back(std::move(*cancel));
  } else if (auto* welcome = std::get_if<Welcome>(&message)) {
    out.welcomes.push_back(std::move(*welcome));
  } else {
    out.rest.push_back(std::move(message));
  }
}

void Router::Flush() {
  std::vector<SessionId> dirty;
  dirty.swap(dirty_);
  for (const SessionId id : dirty) {
    const auto it = sessions_.find(id);
    if (it == sessions_.end()) continue;
    it->second.dirty = false;
    FlushSession(it->second);
  }
}

void Router::FlushSession(Session& session) {
  Outbox out = std::exchange(session.outbox, {});
  const SessionId id = session.id;
  bool sent = true;
  for (const Welcome& welcome : out.welcomes) {
    sent = sent && SendTo(session, MessageType::kWelcome,
                          EncodeWelcome({welcome, options_.heartbeat, options_.liveness}), {}, 0);
  }
  std::vector<std::string_view> payloads;
  size_t bytes = 0;
  const auto batch = [&](MessageType type) {
    if (batch_.size() > 0) sent = sent && SendBatch(session, type, payloads);
    batch_.Clear();
    payloads.clear();
    bytes = 0;
  };
  for (const Acknowledge& ack : out.acks) {
    batch_.AddStale(ack.run, ack.key, ack.attempt, ack.stale);
    if (batch_.size() == kWireBatchItems) batch(MessageType::kAck);
  }
  batch(MessageType::kAck);
  for (const Assign& job : out.jobs) {
    batch_.Add(job.run, job.key, job.attempt);
    payloads.push_back(job.payload);
    bytes += job.payload.size();
    if (batch_.size() == kWireBatchItems || bytes > kWireBatchBytes) batch(MessageType::kJobs);
  }
  batch(MessageType::kJobs);
  for (const Cancel& cancel : out.cancels) {
    batch_.Add(cancel.run, cancel.key, cancel.attempt);
    if (batch_.size() == kWireBatchItems) batch(MessageType::kCancel);
  }
  batch(MessageType::kCancel);
  for (const Outbound& message : out.rest) {
    if (const auto* blob = std::get_if<BlobAnswer>(&message)) {
      payloads.clear();
      if (blob->found) payloads.push_back(blob->bytes);
      sent = sent && SendTo(session, MessageType::kBlob, EncodeBlob(blob->sha256, blob->found),
                            payloads, 1);
    } else if (const auto* history = std::get_if<HistoryAnswer>(&message)) {
      payloads.assign(history->groups.begin(), history->groups.end());
      sent =
          sent && SendTo(session, MessageType::kHistory, EncodeHistory(history->run, history->from),
                         payloads, std::min<size_t>(payloads.size(), UINT16_MAX));
    } else {
      sent = sent && SendTo(session, MessageType::kDrain, "\x80", {}, 0);
    }
  }
  if (!sent) Lose(id, "the worker's connection takes no more messages");
}

bool Router::SendBatch(Session& session, MessageType type,
                       const std::vector<std::string_view>& payloads) {
  return SendTo(session, type, batch_.Finish(), payloads, batch_.size());
}

bool Router::SendTo(Session& session, MessageType type, std::string_view body,
                    const std::vector<std::string_view>& payloads, size_t count) {
  const std::string header =
      EncodeHeader({type, 0, static_cast<uint16_t>(count), session.seq_out + 1});
  std::vector<std::string_view> frames;
  frames.reserve(3 + payloads.size());
  frames.push_back(session.route);
  frames.push_back(header);
  frames.push_back(body);
  frames.insert(frames.end(), payloads.begin(), payloads.end());
  if (socket_.Send(frames) != SendOutcome::kSent) return false;
  ++session.seq_out;
  return true;
}

}  // namespace

Result<std::unique_ptr<ZmqTransport>> ZmqTransport::Bind(const ZmqTransportOptions& options) {
  if (options.endpoints.empty()) return Error{Code::kInvalid, "no endpoint to listen on was given"};
  auto context = std::make_unique<ZmqContext>();
  Result<ZmqSocket> socket = ZmqSocket::Make(*context, SocketKind::kRouter);
  if (!socket) return socket.error();
  std::vector<std::string> endpoints;
  for (const std::string& endpoint : options.endpoints) {
    Result<std::string> bound = socket->Bind(endpoint);
    if (!bound) return bound.error();
    endpoints.push_back(std::move(*bound));
  }
  return std::unique_ptr<ZmqTransport>(std::make_unique<Router>(
      std::move(context), std::move(*socket), options, std::move(endpoints)));
}

}  // namespace kev
