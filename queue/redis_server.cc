#include "queue/redis_server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>
#include <vector>

#include "queue/redis_connection.h"

namespace kev {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

const char* FsyncPolicy(Durability durability) {
  switch (durability) {
    case Durability::kStrict:
      return "always";
    case Durability::kNormal:
      return "everysec";
    case Durability::kFast:
      return "no";
  }
  return "always";
}

void Pause() { std::this_thread::sleep_for(milliseconds(2)); }

std::string Tail(const std::string& path, size_t lines) {
  std::ifstream in(path);
  std::vector<std::string> all;
  for (std::string line; std::getline(in, line);) all.push_back(line);
  std::string out;
  for (size_t i = all.size() > lines ? all.size() - lines : 0; i < all.size(); ++i)
    out += "\n  " + all[i];
  return out;
}

Error WhyItEnded(const std::string& folder) {
  const std::string log = folder + "/redis.log";
  const std::string tail = Tail(log, 6);
  if (tail.find("No space left") != std::string::npos) {
    return {Code::kDiskFull,
            "redis-server ended because the disk of " + folder +
                " is full; make space there and resume the run. Its last words:" + tail};
  }
  if (tail.find("Permission denied") != std::string::npos) {
    return {Code::kPermission,
            "redis-server may not write in " + folder + ". Its last words:" + tail};
  }
  return {Code::kUnavailable, "redis-server in " + folder + " ended. Its last words (" + log +
                                  "):" + (tail.empty() ? " none" : tail)};
}

// Whether a redis-server with this pid works in `folder`. A pid that was given to another process
// in between does not match: it is not called redis-server, or its working folder is another one.
bool WorksIn(const std::string& folder, int pid) {
  std::string name;
  std::ifstream comm("/proc/" + std::to_string(pid) + "/comm");
  if (!std::getline(comm, name) || !name.starts_with("redis-server")) return false;
  std::error_code ec;
  const fs::path cwd = fs::read_symlink("/proc/" + std::to_string(pid) + "/cwd", ec);
  return !ec && cwd == fs::canonical(folder, ec);
}

// It removes its pid file some time before it is gone: the file is read only once.
Status EndLeftOver(const std::string& folder) {
  std::ifstream in(folder + "/redis.pid");
  int pid = 0;
  if (!(in >> pid) || pid <= 1) return {};
  for (const int signal : {SIGTERM, SIGKILL}) {
    if (!WorksIn(folder, pid)) return {};
    if (kill(pid, signal) != 0 && errno == EPERM) {
      return Error{Code::kPermission, "a redis-server (pid " + std::to_string(pid) +
                                          ") of another user works in " + folder};
    }
    const auto until = Clock::now() + milliseconds(10000);
    while (WorksIn(folder, pid) && Clock::now() < until) Pause();
  }
  if (!WorksIn(folder, pid)) return {};
  return Error{Code::kExists, "a redis-server (pid " + std::to_string(pid) + ") still works in " +
                                  folder + " and does not end; end it, then try again"};
}

struct Spawned {
  int pid = 0;
  int error = 0;  // of execvp
};

Spawned Spawn(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  int failed[2];
  if (pipe2(failed, O_CLOEXEC) != 0) return {0, errno};
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {   // only async-signal-safe calls from here on
    setpgid(0, 0);  // Ctrl-C in the terminal is for the engine
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(1);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    execvp(argv[0], argv.data());
    const int e = errno;
    [[maybe_unused]] const ssize_t n = write(failed[1], &e, sizeof e);
    _exit(127);
  }
  const int fork_error = pid < 0 ? errno : 0;
  close(null);
  close(failed[1]);
  Spawned out{pid, fork_error};
  if (pid > 0 && read(failed[0], &out.error, sizeof out.error) == sizeof out.error) {
    waitpid(pid, nullptr, 0);
    out.pid = 0;
  }
  close(failed[0]);
  return out;
}

}  // namespace

EmbeddedRedis::EmbeddedRedis(std::string folder, std::string address, int pid)
    : folder_(std::move(folder)), address_(std::move(address)), pid_(pid) {}

EmbeddedRedis::~EmbeddedRedis() { [[maybe_unused]] const Status s = Stop(); }

Result<std::unique_ptr<EmbeddedRedis>> EmbeddedRedis::Start(const EmbeddedRedisOptions& options) {
  Result<std::unique_ptr<EmbeddedRedis>> server = Launch(options);
  if (!server) return server;
  auto until = Clock::now() + options.start_limit;
  for (; Clock::now() < until; Pause()) {
    const Result<bool> ready = (*server)->Ready();
    if (!ready) return ready.error();
    if (*ready) return server;
    if ((*server)->loading()) until = Clock::now() + options.start_limit;
  }
  const std::string& folder = (*server)->folder_;
  return Error{Code::kUnavailable, "redis-server in " + folder + " did not answer within " +
                                       std::to_string(options.start_limit.count()) +
                                       " ms. Its last words:" + Tail(folder + "/redis.log", 6)};
}

Result<bool> EmbeddedRedis::Ready() {
  if (!Alive()) return WhyItEnded(folder_);
  Result<RedisConnection> connection = RedisConnection::Open(address_, milliseconds(1000));
  if (!connection) return false;
  const Result<RedisReply> pong = connection->Call({"PING"});
  loading_ = !pong && pong.error().message.find("LOADING") != std::string::npos;
  return pong.ok();
}

Result<std::unique_ptr<EmbeddedRedis>> EmbeddedRedis::Launch(const EmbeddedRedisOptions& options) {
  std::error_code ec;
  const std::string folder = fs::absolute(options.folder, ec).lexically_normal().string();
  const std::string socket = folder + "/redis.sock";
  if (socket.size() >= sizeof(sockaddr_un::sun_path)) {
    return Error{Code::kInvalid, "the socket path " + socket + " has " +
                                     std::to_string(socket.size()) +
                                     " bytes, 107 are allowed; set KEVOLVE_HOME to a shorter path"};
  }
  fs::create_directories(folder, ec);
  if (ec || access(folder.c_str(), W_OK | X_OK) != 0) {
    const std::string why = ec ? ec.message() : std::strerror(errno);
    return Error{
        ec == std::errc::no_space_on_device ? Code::kDiskFull : Code::kPermission,
        "cannot write in " + folder + ": " + why + "; choose another place with KEVOLVE_HOME"};
  }
  if (Status s = EndLeftOver(folder); !s.ok()) return s.error();
  fs::remove(socket, ec);
  fs::remove(folder + "/redis.pid", ec);

  const Spawned child =
      Spawn({options.program,
             "--port",
             "0",
             "--unixsocket",
             socket,
             "--unixsocketperm",
             "700",
             "--dir",
             folder,
             "--pidfile",
             folder + "/redis.pid",
             "--logfile",
             folder + "/redis.log",
             "--daemonize",
             "no",
             "--appendonly",
             "yes",
             "--appendfsync",
             FsyncPolicy(options.durability),
             "--aof-load-truncated",
             "yes",
             "--save",
             "",
             "--auto-aof-rewrite-min-size",
             "256mb",
             "--rdbcompression",
             "no",  // half the time of a rewrite went into it
             "--hash-max-ziplist-value",
             "4096",  // records as one piece of memory each (the name that Redis 6 knows, too)
             "--maxmemory-policy",
             "noeviction"});
  if (child.pid <= 0) {
    if (child.error == ENOENT) {
      return Error{
          Code::kUnavailable,
          options.program + " is not installed; on Debian or Ubuntu: apt-get install redis-server"};
    }
    return Error{Code::kInternal,
                 "cannot start " + options.program + ": " + std::strerror(child.error)};
  }
  return std::unique_ptr<EmbeddedRedis>(new EmbeddedRedis(folder, "unix:" + socket, child.pid));
}

bool EmbeddedRedis::Alive() {
  if (pid_ == 0) return false;
  const pid_t ended = waitpid(pid_, nullptr, WNOHANG);
  if (ended == 0) return true;
  pid_ = 0;
  return false;
}

Error EmbeddedRedis::LastWords() const { return WhyItEnded(folder_); }

Status EmbeddedRedis::Stop(milliseconds limit) {
  if (!Alive()) return {};
  kill(pid_, SIGTERM);
  const auto until = Clock::now() + limit;
  while (Clock::now() < until) {
    if (!Alive()) return {};
    Pause();
  }
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
  return Error{Code::kUnavailable, "redis-server in " + folder_ + " did not end within " +
                                       std::to_string(limit.count()) + " ms and was killed"};
}

}  // namespace kev
