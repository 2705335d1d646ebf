#include "runners/fleet/fleet.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>
#include <utility>

extern char** environ;  // NOLINT: POSIX's name

namespace kev {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::vector<std::string> EnvironmentWith(const std::map<std::string, std::string>& added) {
  std::vector<std::string> out;
  for (char** e = environ; *e != nullptr; ++e) {
    const std::string entry = *e;
    if (!added.contains(entry.substr(0, entry.find('=')))) out.push_back(entry);
  }
  for (const auto& [name, value] : added) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

std::string ChildExit::Text() const {
  std::string text = program + " (pid " + std::to_string(pid) + ") ";
  text += signal != 0
              ? "was ended by signal " + std::to_string(signal) + " (" + strsignal(signal) + ")"
              : "ended with status " + std::to_string(status);
  text += " after " + std::to_string(lived.count()) + " ms";
  if (!log.empty()) text += "; see " + log;
  return text;
}

milliseconds RestartDelay(unsigned exits_in_a_row, milliseconds base, milliseconds cap) {
  if (exits_in_a_row == 0) return milliseconds(0);
  return std::min(cap, base * (int64_t{1} << std::min(exits_in_a_row - 1, 20u)));
}

Fleet::~Fleet() {
  SignalAll(SIGKILL);
  for (const auto& [pid, child] : children_) waitpid(pid, nullptr, 0);
}

Result<std::string> Fleet::Locate(const std::string& program) {
  namespace fs = std::filesystem;
  std::error_code ec;
  fs::path path;
  if (program.find('/') != std::string::npos) {
    path = program;
  } else if (const char* folder = std::getenv("KEVOLVE_BUILD_BIN");
             folder != nullptr && *folder != '\0') {
    path = fs::path(folder) / program;
  } else {
    path = fs::read_symlink("/proc/self/exe", ec).parent_path() / program;
  }
  if (access(path.c_str(), X_OK) == 0) return path.string();
  return Error{Code::kNotFound,
               "there is no program " + path.string() +
                   "; build it, or say where the programs are with KEVOLVE_BUILD_BIN"};
}

Result<int> Fleet::Start(const ChildOptions& options) {
  Result<std::string> path = Locate(options.program);
  if (!path) return path.error();
  std::vector<std::string> words{*path};
  words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  std::vector<std::string> environment = EnvironmentWith(options.environment);
  const std::vector<char*> argv = Pointers(words), envp = Pointers(environment);
  cpu_set_t cores;
  CPU_ZERO(&cores);
  for (const int core : options.cores) {
    if (core < 0 || core >= CPU_SETSIZE)
      return Error{Code::kInvalid, "there is no core " + std::to_string(core)};
    CPU_SET(static_cast<size_t>(core), &cores);
  }
  const std::string log = options.log.empty() ? "/dev/null" : options.log;
  const int output = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (output < 0)
    return Error{Code::kPermission, "cannot write the log " + log + ": " + std::strerror(errno)};
  const int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
  int failed[2];
  if (pipe2(failed, O_CLOEXEC) != 0) {
    close(output);
    close(input);
    return Error{Code::kInternal, std::string("pipe: ") + std::strerror(errno)};
  }
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {  // only async-signal-safe calls from here on
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(1);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (const int s : {SIGINT, SIGTERM, SIGPIPE, SIGHUP}) signal(s, SIG_DFL);
    int error = 0;
    if (!options.cores.empty() && sched_setaffinity(0, sizeof cores, &cores) != 0) error = errno;
    dup2(input, 0);
    dup2(output, 1);
    dup2(output, 2);
    if (error == 0) {
      execve(argv[0], argv.data(), envp.data());
      error = errno;
    }
    [[maybe_unused]] const ssize_t n = write(failed[1], &error, sizeof error);
    _exit(127);
  }
  int error = pid < 0 ? errno : 0;
  close(output);
  close(input);
  close(failed[1]);
  if (pid > 0 && read(failed[0], &error, sizeof error) == sizeof error) waitpid(pid, nullptr, 0);
  close(failed[0]);
  if (error != 0)
    return Error{Code::kInternal, "cannot start " + *path + ": " + std::strerror(error)};
  children_[pid] = {options.program, options.log, Clock::now()};
  return static_cast<int>(pid);
}

std::vector<ChildExit> Fleet::Reap() {
  std::vector<ChildExit> exits;
  for (auto it = children_.begin(); it != children_.end();) {
    int status = 0;
    const pid_t ended = waitpid(it->first, &status, WNOHANG);
    if (ended == 0 || (ended < 0 && errno == EINTR)) {
      ++it;
      continue;
    }
    ChildExit e;
    e.pid = it->first;
    e.program = it->second.program;
    e.log = it->second.log;
    e.lived = std::chrono::duration_cast<milliseconds>(Clock::now() - it->second.started);
    if (WIFSIGNALED(status))
      e.signal = WTERMSIG(status);
    else
      e.status = WEXITSTATUS(status);
    kill(-it->first, SIGKILL);  // what it left behind in its group
    exits.push_back(std::move(e));
    it = children_.erase(it);
  }
  return exits;
}

Status Fleet::Signal(int pid, int signal) {
  if (!children_.contains(pid))
    return Error{Code::kNotFound, "no child has pid " + std::to_string(pid)};
  if (kill(-pid, signal) == 0 || kill(pid, signal) == 0) return {};
  return Error{Code::kInternal, "kill: " + std::string(std::strerror(errno))};
}

void Fleet::SignalAll(int signal) {
  for (const auto& [pid, child] : children_) {
    if (kill(-pid, signal) != 0) kill(pid, signal);
  }
}

std::vector<ChildExit> Fleet::Stop(milliseconds grace) {
  std::vector<ChildExit> exits = Reap();
  SignalAll(SIGTERM);
  const auto until = Clock::now() + grace;
  bool killed = false;
  while (!children_.empty()) {
    for (ChildExit& e : Reap()) exits.push_back(std::move(e));
    if (children_.empty()) break;
    if (!killed && Clock::now() >= until) {
      SignalAll(SIGKILL);
      killed = true;
    }
    std::this_thread::sleep_for(milliseconds(2));
  }
  return exits;
}

std::vector<int> Fleet::Pids() const {
  std::vector<int> pids;
  for (const auto& [pid, child] : children_) pids.push_back(pid);
  return pids;
}

}  // namespace kev
