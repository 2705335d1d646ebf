#include "tests/chaos/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace kev::chaos {
namespace {

namespace fs = std::filesystem;

int OpenLog(const std::string& path) {
  return open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
}

}  // namespace

Result<Child> Child::Start(const std::vector<std::string>& argv,
                           const std::map<std::string, std::string>& environment,
                           const std::string& log) {
  Child child;
  child.log_ = log;
  const int out = OpenLog(child.OutPath()), err = OpenLog(child.ErrPath());
  const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (out < 0 || err < 0 || in < 0)
    return Error{Code::kInternal, "cannot write " + log + ".out: " + std::strerror(errno)};
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const pid_t parent = getpid();
  child.pid_ = fork();
  if (child.pid_ == 0) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    dup2(in, 0);
    dup2(out, 1);
    dup2(err, 2);
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    execvp(words[0], words.data());
    _exit(127);
  }
  close(out);
  close(err);
  close(in);
  if (child.pid_ < 0) return Error{Code::kInternal, std::string("fork: ") + std::strerror(errno)};
  return child;
}

Child::~Child() {
  if (pid_ <= 0 || status_) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), log_(std::move(other.log_)), status_(other.status_) {}

Child& Child::operator=(Child&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(log_, other.log_);
  std::swap(status_, other.status_);
  return *this;
}

bool Child::alive() {
  if (pid_ <= 0) return false;
  if (!status_) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
  }
  return !status_;
}

void Child::Signal(int number) {
  if (alive()) kill(pid_, number);
}

std::string Child::Ending() const {
  if (!status_) return "is alive";
  return WIFSIGNALED(*status_) ? "was killed by signal " + std::to_string(WTERMSIG(*status_))
                               : "ended with status " + std::to_string(WEXITSTATUS(*status_));
}

bool Exists(pid_t pid) {
  const std::string stat = WholeFile("/proc/" + std::to_string(pid) + "/stat");
  const size_t name_end = stat.rfind(')');
  return name_end != std::string::npos && name_end + 2 < stat.size() && stat[name_end + 2] != 'Z';
}

pid_t RedisIn(const std::string& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const pid_t pid = static_cast<pid_t>(std::strtol(entry.path().filename().c_str(), nullptr, 10));
    if (pid <= 1 || WholeFile(entry.path() / "comm") != "redis-server\n") continue;
    if (fs::read_symlink(entry.path() / "cwd", ignored) == folder && Exists(pid)) return pid;
  }
  return 0;
}

std::string WholeFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string Tail(const std::string& path, size_t bytes) {
  std::string text = WholeFile(path);
  if (text.size() <= bytes) return text;
  text.erase(0, text.size() - bytes);
  return text.substr(std::min(text.find('\n') + 1, text.size()));
}

}  // namespace kev::chaos
