#include "tests/stages/propose/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace kev {
namespace {

// Whole once the header has ended and as many bytes follow as Content-Length says.
bool Whole(const std::string& request) {
  size_t end = request.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  size_t at = request.find("Content-Length: ");
  size_t length = at < end ? std::strtoul(request.c_str() + at + 16, nullptr, 10) : 0;
  return request.size() >= end + 4 + length;
}

}  // namespace

ScriptedServer::ScriptedServer(std::vector<ScriptedReply> replies) : replies_(std::move(replies)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  if (listener_ < 0 || bind(listener_, any, size) != 0 || listen(listener_, 8) != 0 ||
      getsockname(listener_, any, &size) != 0)
    std::abort();
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Serve(); });
}

ScriptedServer::~ScriptedServer() {
  shutdown(listener_, SHUT_RDWR);
  thread_.join();
  close(listener_);
}

std::string ScriptedServer::url() const {
  return "http://127.0.0.1:" + std::to_string(port_) + "/v1";
}

std::vector<std::string> ScriptedServer::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

void ScriptedServer::Serve() {
  for (int connection; (connection = accept(listener_, nullptr, nullptr)) >= 0;) {
    Talk(connection);
    close(connection);
  }
}

void ScriptedServer::Talk(int connection) {
  std::string request;
  char buffer[4096];
  while (!Whole(request)) {
    ssize_t n = read(connection, buffer, sizeof buffer);
    if (n <= 0) return;
    request.append(buffer, static_cast<size_t>(n));
  }
  size_t index;
  {
    std::lock_guard lock(mutex_);
    index = std::min(requests_.size(), replies_.size() - 1);
    requests_.push_back(request);
  }
  const ScriptedReply& reply = replies_[index];
  if (reply.hang) {
    reply.hang();
    while (read(connection, buffer, sizeof buffer) > 0) {
    }
    return;
  }
  std::string text = "HTTP/1.1 " + std::to_string(reply.status) +
                     " Scripted\r\nContent-Type: application/json\r\nConnection: close\r\n"
                     "Content-Length: " +
                     std::to_string(reply.body.size()) + "\r\n\r\n" + reply.body;
  for (size_t at = 0; at < text.size();) {
    ssize_t n = write(connection, text.data() + at, text.size() - at);
    if (n <= 0) return;
    at += static_cast<size_t>(n);
  }
}

}  // namespace kev
