#include "queue/zmq_guard.h"

#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

namespace kev {
namespace {

// version, request id, domain, address, identity, mechanism, credentials…
constexpr size_t kRequestId = 1, kAddress = 3, kMechanism = 5, kCredentials = 6;
constexpr size_t kMostRefused = 100;  // that wait to be taken

std::optional<std::vector<std::string>> ReceiveAll(void* socket) {
  std::vector<std::string> frames;
  for (int more = 1; more != 0;) {
    zmq_msg_t message;
    zmq_msg_init(&message);
    if (zmq_msg_recv(&message, socket, ZMQ_DONTWAIT) < 0) {
      zmq_msg_close(&message);
      return std::nullopt;
    }
    frames.emplace_back(static_cast<const char*>(zmq_msg_data(&message)), zmq_msg_size(&message));
    more = zmq_msg_more(&message);
    zmq_msg_close(&message);
  }
  return frames;
}

}  // namespace

Result<std::unique_ptr<ZmqGuard>> ZmqGuard::Start(const ZmqContext& context,
                                                  std::map<std::string, Role> roles) {
  const auto failed = [](const char* what) {
    return Error{Code::kInternal, std::string("the guard of the keys cannot start: ") + what +
                                      ": " + zmq_strerror(errno)};
  };
  void* socket = zmq_socket(context.get(), ZMQ_REP);
  if (socket == nullptr) return failed("socket");
  const int linger = 0;
  zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
  const int stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stop < 0 || zmq_bind(socket, "inproc://zeromq.zap.01") != 0) {
    Error error = failed("inproc://zeromq.zap.01");
    zmq_close(socket);
    if (stop >= 0) close(stop);
    return error;
  }
  std::unique_ptr<ZmqGuard> guard(new ZmqGuard(std::move(roles), stop));
  guard->thread_ = std::thread([g = guard.get(), socket] { g->Run(socket); });
  return guard;
}

ZmqGuard::~ZmqGuard() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(stop_, &one, sizeof one);
  if (thread_.joinable()) thread_.join();
  close(stop_);
}

void ZmqGuard::Run(void* socket) {
  for (;;) {
    zmq_pollitem_t items[2] = {{socket, 0, ZMQ_POLLIN, 0}, {nullptr, stop_, ZMQ_POLLIN, 0}};
    if (zmq_poll(items, 2, -1) < 0 && errno != EINTR) break;
    if (items[1].revents != 0) break;
    while (Answer(socket)) {
    }
  }
  zmq_close(socket);
}

std::vector<std::string> ZmqGuard::TakeRefused() {
  const std::lock_guard lock(mutex_);
  return std::exchange(refused_, {});
}

bool ZmqGuard::Answer(void* socket) {
  const std::optional<std::vector<std::string>> request = ReceiveAll(socket);
  if (!request) return false;
  std::string role;
  if (request->size() == kCredentials + 1 && (*request)[kMechanism] == "CURVE" &&
      (*request)[kCredentials].size() == 32) {
    std::array<char, 41> key{};
    zmq_z85_encode(key.data(), reinterpret_cast<const uint8_t*>((*request)[kCredentials].data()),
                   32);
    if (const auto it = roles_.find(key.data()); it != roles_.end()) role = Name(it->second);
  }
  if (role.empty()) {
    const std::lock_guard lock(mutex_);
    if (refused_.size() < kMostRefused && request->size() > kAddress)
      refused_.push_back((*request)[kAddress]);
  }
  const std::string id = request->size() > kRequestId ? (*request)[kRequestId] : "";
  const bool known = !role.empty();
  const std::array<std::string, 6> reply{
      "1.0", id, known ? "200" : "400", known ? "OK" : "this key is not known", role, ""};
  for (size_t i = 0; i < reply.size(); ++i) {
    zmq_send(socket, reply[i].data(), reply[i].size(), i + 1 < reply.size() ? ZMQ_SNDMORE : 0);
  }
  return true;
}

}  // namespace kev
