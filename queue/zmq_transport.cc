#include "queue/zmq_transport.h"

#include <netdb.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "queue/access.h"
#include "queue/connection_watch.h"
#include "queue/engine_protocol.h"
#include "queue/zmq_guard.h"
#include "queue/zmq_monitor.h"
#include "queue/zmq_socket.h"

namespace kev {
namespace {

int64_t NowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// The engine's keys: those of the file, or fresh ones.
Result<Access> TakeAccess(const std::string& path) {
  struct stat about = {};
  if (stat(path.c_str(), &about) != 0 && errno == ENOENT) return MakeAccess();
  Result<Access> access = ReadAccessFile(path);
  if (access && access->engine.secret_key.empty()) {
    return Error{Code::kInvalid, path +
                                     ": this is a copy for those who join, without the line "
                                     "engine-secret; name the engine's own file, or one that is "
                                     "not there yet"};
  }
  return access;
}

// Readable when one of several descriptors is.
class AnyOf {
 public:
  AnyOf() : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    Add(wake_);
  }
  ~AnyOf() {
    close(wake_);
    close(epoll_);
  }
  AnyOf(const AnyOf&) = delete;
  AnyOf& operator=(const AnyOf&) = delete;
  bool good() const { return epoll_ >= 0 && wake_ >= 0; }
  int get() const { return epoll_; }
  void Add(int descriptor) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = descriptor;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event);
  }
  void Wake() {
    if (std::exchange(woken_, true)) return;
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = write(wake_, &one, sizeof one);
  }
  void Calm() {
    if (!std::exchange(woken_, false)) return;
    uint64_t count;
    [[maybe_unused]] const ssize_t n = read(wake_, &count, sizeof count);
  }

 private:
  int epoll_;
  int wake_;
  bool woken_ = false;
};

class Router final : public ZmqTransport, private FrameSink {
 public:
  explicit Router(const ZmqTransportOptions& options)
      : options_(options), protocol_({options.heartbeat, options.liveness}, this) {}

  Status Bind();

  std::vector<Inbound> Receive(size_t most) override;
  void Send(SessionId session, Outbound message) override {
    protocol_.Send(session, std::move(message));
  }
  void Flush() override {
    protocol_.Flush();
    if (protocol_.pending() > 0) any_.Wake();
  }
  int Descriptor() const override { return any_.get(); }
  const std::vector<std::string>& Endpoints() const override { return endpoints_; }

 private:
  bool Send(std::string_view route, const Frames& frames) override;
  Status BindAll(bool tcp);
  void ReadEvents();
  PeerProof Prove();

  ZmqTransportOptions options_;
  std::vector<std::string> endpoints_;
  ZmqContext context_;  // before the sockets: it is ended after them
  std::unique_ptr<ZmqGuard> guard_;
  std::optional<ZmqMonitor> monitor_;
  std::optional<ZmqSocket> socket_;
  ConnectionWatch watch_;
  // Addresses, by connection, of those who came over tcp and have not said anything yet.
  std::unordered_map<uint64_t, std::string> silent_;
  size_t refused_keys_ = 0;            // whose connection has not ended yet
  const char* turned_away_ = nullptr;  // why the connection that ends next was refused
  bool told_ = false;                  // the connection that ends next has been told of
  std::vector<uint64_t> closed_;       // to be told when all is read
  EngineProtocol protocol_;
  AnyOf any_;
  Multipart message_;
  Frames frames_;
  Frames sending_;
};

// Of a connection that was just accepted; it may have gone again.
std::string AddressOf(int descriptor) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      getnameinfo(reinterpret_cast<sockaddr*>(&address), size, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return "unknown address";
  return "tcp " + std::string(host) + ":" + port;
}

Status Router::Bind() {
  if (!any_.good()) return Error{Code::kInternal, std::string("epoll: ") + std::strerror(errno)};
  Result<ZmqSocket> socket = ZmqSocket::Make(context_, SocketKind::kRouter);
  if (!socket) return socket.error();
  socket_.emplace(std::move(*socket));
  Result<ZmqMonitor> monitor = ZmqMonitor::Watch(context_, *socket_);
  if (!monitor) return monitor.error();
  monitor_.emplace(std::move(*monitor));
  any_.Add(socket_->Descriptor());
  any_.Add(monitor_->Descriptor());
  // An endpoint takes the options that are set when it is bound: ipc first, without keys.
  if (Status s = BindAll(/*tcp=*/false); !s.ok()) return s;
  if (options_.access_file.empty()) return BindAll(/*tcp=*/true);
  Result<Access> access = TakeAccess(options_.access_file);
  if (!access) return access.error();
  std::map<std::string, Role> roles;
  for (const auto& [role, keys] : access->peers) roles[keys.public_key] = role;
  Result<std::unique_ptr<ZmqGuard>> guard = ZmqGuard::Start(context_, std::move(roles));
  if (!guard) return guard.error();
  guard_ = std::move(*guard);
  if (Status s = socket_->AskForKeys(access->engine.secret_key); !s.ok()) return s;
  if (Status s = BindAll(/*tcp=*/true); !s.ok()) return s;
  access->endpoints = endpoints_;
  return WriteAccessFile(options_.access_file, *access);
}

Status Router::BindAll(bool tcp) {
  for (const std::string& endpoint : options_.endpoints) {
    if (endpoint.starts_with("ipc://") == tcp) continue;
    Result<std::string> bound = socket_->Bind(endpoint);
    if (!bound) return bound.error();
    endpoints_.push_back(std::move(*bound));
  }
  return {};
}

std::vector<Inbound> Router::Receive(size_t most) {
  any_.Calm();
  // Connections that are closed now are told to the protocol once all that came over them is read.
  ReadEvents();
  const int64_t now = NowUs();
  bool drained = false;
  while (protocol_.pending() < most) {
    if (!socket_->Receive(&message_)) {
      drained = true;
      break;
    }
    frames_.clear();
    for (size_t i = 1; i < message_.size(); ++i) frames_.push_back(message_[i]);
    protocol_.Read(message_[0], frames_, now, [this] { return Prove(); });
  }
  if (drained) {
    for (const uint64_t connection : watch_.TakeClosed()) closed_.push_back(connection);
    for (const uint64_t connection : closed_) {
      protocol_.Closed(connection);
      if (auto silent = silent_.extract(connection))
        protocol_.TurnedAway(silent.mapped(), "it left without a word of the protocol", now);
    }
    closed_.clear();
    protocol_.Expire(now);
  }
  std::vector<Inbound> out = protocol_.Take(most);
  if (protocol_.pending() > 0) any_.Wake();
  return out;
}

void Router::ReadEvents() {
  for (const std::string& address : guard_ ? guard_->TakeRefused() : std::vector<std::string>()) {
    ++refused_keys_;
    protocol_.TurnedAway("tcp " + address, "its key is not known here", NowUs());
  }
  while (const std::optional<ZmqEvent> event = monitor_->Next()) {
    const int descriptor = static_cast<int>(event->value);
    switch (event->kind) {
      case ZmqEvent::Kind::kAccepted:
        if (const uint64_t connection = watch_.Accepted(descriptor); event->tcp)
          silent_[connection] = AddressOf(descriptor);
        break;
      // The connection that was refused is the one whose end follows.
      case ZmqEvent::Kind::kOtherMechanism:
        turned_away_ =
            guard_ ? "it came without a key" : "it came with a key, and none is asked for here";
        break;
      case ZmqEvent::Kind::kKeyRefused:
        if (refused_keys_ > 0) --refused_keys_;
        told_ = true;
        break;
      // Who notices first that the other end has no keys hangs up. With an unknown key the guard
      // has said it already. Over ipc somebody only looks whether the engine listens.
      case ZmqEvent::Kind::kHandshakeBroken:
        if (event->tcp && refused_keys_ > 0) {
          --refused_keys_;
          told_ = true;
        } else if (event->tcp) {
          turned_away_ = guard_ ? "it came without a key, or does not speak the protocol"
                                : "it does not speak the protocol";
        }
        break;
      case ZmqEvent::Kind::kDisconnected:
        if (const auto it = silent_.find(watch_.Closed(descriptor)); it != silent_.end()) {
          if (turned_away_ != nullptr) protocol_.TurnedAway(it->second, turned_away_, NowUs());
          if (turned_away_ != nullptr || told_) silent_.erase(it);
        }
        turned_away_ = nullptr;
        told_ = false;
        break;
      default:
        break;
    }
  }
  for (const uint64_t connection : watch_.TakeClosed()) closed_.push_back(connection);
}

// Of the message that was received last. Fails closed: where keys are asked for, only ipc needs
// none.
PeerProof Router::Prove() {
  ReadEvents();
  PeerProof proof;
  proof.connection = watch_.NumberOf(message_.SourceDescriptor());
  const auto came = silent_.extract(proof.connection);
  const std::string address = message_.Property("Peer-Address");
  // ipc: "localhost:uid:gid:pid"; tcp: always in digits.
  const bool ipc = address.starts_with("localhost:");
  if (ipc)
    proof.address = "ipc, pid " + address.substr(address.rfind(':') + 1);
  else if (!address.empty())
    proof.address = "tcp " + address;
  else if (came)  // of a peer that has gone again, or speaks an old form of ZeroMQ's protocol
    proof.address = came.mapped();
  if (options_.access_file.empty() || ipc) {
    proof.keyless = true;
    return proof;
  }
  const std::string user = message_.Property("User-Id");
  for (const Role role : {Role::kWorker, Role::kClient, Role::kAdmin}) {
    if (user == Name(role)) proof.role = role;
  }
  if (proof.role) proof.address += std::string(", key of ") + WithArticle(*proof.role);
  return proof;
}

bool Router::Send(std::string_view route, const Frames& frames) {
  sending_.clear();
  sending_.push_back(route);
  sending_.insert(sending_.end(), frames.begin(), frames.end());
  return socket_->Send(sending_) == SendOutcome::kSent;
}

}  // namespace

Result<std::unique_ptr<ZmqTransport>> ZmqTransport::Bind(const ZmqTransportOptions& options) {
  if (options.endpoints.empty()) return Error{Code::kInvalid, "no endpoint to listen on was given"};
  auto router = std::make_unique<Router>(options);
  if (Status s = router->Bind(); !s.ok()) return s.error();
  return std::unique_ptr<ZmqTransport>(std::move(router));
}

}  // namespace kev
