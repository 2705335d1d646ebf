// What the native clients of the peers share: the dialogue with the driver, and worker processes
// that start together.
//
// The driver (peer.py) reads lines: "ready", then after it wrote "go": "done {…}", then
// after "latency SECONDS": "latency [µs, …]"; the end of its input ends the client. Threads: none;
// each worker is a process. Errors: a message on standard error and status 1, in a worker as well;
// the parent then ends too.

#ifndef KEV_TESTS_PERFORMANCE_PEERS_CLIENT_SESSION_H_
#define KEV_TESTS_PERFORMANCE_PEERS_CLIENT_SESSION_H_

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

namespace peers {

constexpr size_t kPayloadBytes = 100;

[[noreturn]] inline void Fail(const std::string& message) {
  std::cerr << "error: " << message << std::endl;
  std::_Exit(1);
}

/// Seconds of the clock that all processes of a machine share.
inline double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// A TCP connection to loopback: bytes to send are gathered, bytes that came are consumed from the
/// front.
class Connection {
 public:
  explicit Connection(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      Fail("cannot connect to 127.0.0.1:" + std::to_string(port) + ": " + strerror(errno));
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return fd_; }
  std::string& out() { return out_; }
  std::string_view in() const { return std::string_view(in_).substr(start_); }
  void Consume(size_t bytes) { start_ += bytes; }

  /// Sends all that was gathered. Blocks; what comes back meanwhile is read, so that two full
  /// buffers cannot hold each other.
  void Flush() {
    size_t sent = 0;
    while (sent < out_.size()) {
      const ssize_t n =
          send(fd_, out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0) {
        sent += static_cast<size_t>(n);
      } else if (errno == EAGAIN) {
        pollfd waiting{fd_, POLLIN | POLLOUT, 0};
        poll(&waiting, 1, -1);
        if (waiting.revents & POLLIN) Read();
      } else if (errno != EINTR) {
        Fail(std::string("the server took no more: ") + strerror(errno));
      }
    }
    out_.clear();
  }

  /// Waits for bytes and takes those that are there.
  void Read() {
    if (start_ > 0) {
      in_.erase(0, start_);
      start_ = 0;
    }
    const size_t had = in_.size();
    in_.resize(had + 65536);
    ssize_t n;
    do n = recv(fd_, in_.data() + had, 65536, 0);
    while (n < 0 && errno == EINTR);
    if (n <= 0) Fail(n == 0 ? "the server closed the connection" : strerror(errno));
    in_.resize(had + static_cast<size_t>(n));
  }

 private:
  int fd_;
  std::string in_, out_;
  size_t start_ = 0;
};

/// Worker processes that connect, wait for each other, and tell how many jobs they finished and
/// when.
class WorkerGroup {
 public:
  /// Called in the child; it connects, calls `wait` once, works, and returns the number of jobs it
  /// finished.
  using Work = std::function<int64_t(const std::function<void()>& wait)>;

  WorkerGroup(int workers, const Work& work) {
    for (int i = 0; i < workers; ++i) {
      int up[2], down[2];
      if (pipe2(up, O_CLOEXEC) != 0 || pipe2(down, O_CLOEXEC) != 0) Fail("no pipe");
      const pid_t pid = fork();
      if (pid < 0) Fail(std::string("cannot fork: ") + strerror(errno));
      if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(up[0]);
        close(down[1]);
        const int64_t jobs = work([&] {
          char byte = 'r';
          if (write(up[1], &byte, 1) != 1 || read(down[0], &byte, 1) != 1) std::_Exit(0);
        });
        const Report report{jobs, Now()};
        if (write(up[1], &report, sizeof report) != sizeof report) std::_Exit(1);
        std::_Exit(0);
      }
      close(up[1]);
      close(down[0]);
      members_.push_back({pid, up[0], down[1]});
    }
    for (const Member& m : members_) {
      char byte;
      if (read(m.up, &byte, 1) != 1) Fail("a worker ended before it was ready");
    }
  }

  void Start() {
    for (const Member& m : members_)
      if (write(m.down, "g", 1) != 1) Fail("a worker is gone");
  }

  struct Total {
    int64_t jobs = 0;
    double end_s = 0;  // when the last worker finished its last job
  };
  /// Waits for all; their processor time then counts as this process's children's.
  Total Join() {
    Total total;
    for (const Member& m : members_) {
      Report report{};
      if (read(m.up, &report, sizeof report) != sizeof report)
        Fail("a worker ended before it said how many jobs it did");
      total.jobs += report.jobs;
      if (report.end_s > total.end_s) total.end_s = report.end_s;
      waitpid(m.pid, nullptr, 0);
    }
    members_.clear();
    return total;
  }

  ~WorkerGroup() {
    for (const Member& m : members_) {
      kill(m.pid, SIGKILL);
      waitpid(m.pid, nullptr, 0);
    }
  }
  WorkerGroup(const WorkerGroup&) = delete;
  WorkerGroup& operator=(const WorkerGroup&) = delete;

 private:
  struct Report {
    int64_t jobs;
    double end_s;
  };
  struct Member {
    pid_t pid;
    int up, down;
  };
  std::vector<Member> members_;
};

inline void SayReady() { std::cout << "ready" << std::endl; }

inline void SayDone(int64_t jobs, double seconds) {
  std::cout << "done {\"jobs\":" << jobs << ",\"seconds\":" << seconds << "}" << std::endl;
}

/// The next line of the driver, or ends the program: the driver has nothing more to ask.
inline std::string NextCommand() {
  std::string line;
  if (!std::getline(std::cin, line)) std::exit(0);
  return line;
}

/// Runs one job after the other for `command`'s seconds and prints how long each took; `between`
/// them is not timed.
inline void AnswerLatency(const std::string& command, const std::function<void()>& one_job,
                          const std::function<void()>& between) {
  if (command.rfind("latency ", 0) != 0) Fail("the driver said '" + command + "', not latency");
  const double limit = std::atof(command.c_str() + 8);
  std::vector<double> micros;
  for (const double begin = Now(); Now() - begin < limit;) {
    const double before = Now();
    one_job();
    micros.push_back((Now() - before) * 1e6);
    between();
  }
  std::cout << "latency [";
  for (size_t i = 0; i < micros.size(); ++i)
    std::cout << (i ? "," : "") << static_cast<int64_t>(micros[i]);
  std::cout << "]" << std::endl;
}

/// The value of --NAME among the arguments; they come from the driver, so a missing one is a
/// mistake in it.
inline int Argument(int argc, char** argv, const std::string& name) {
  for (int i = 1; i + 1 < argc; ++i)
    if (argv[i] == "--" + name) return std::atoi(argv[i + 1]);
  Fail("--" + name + " NUMBER is missing");
}

}  // namespace peers

#endif  // KEV_TESTS_PERFORMANCE_PEERS_CLIENT_SESSION_H_
