#include "runners/analysis/tool_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace kev {
namespace {

using Clock = std::chrono::steady_clock;
constexpr char kDefaultPath[] = "/usr/local/bin:/usr/bin:/bin";

std::string SearchPath() {
  const char* path = std::getenv("PATH");
  return path != nullptr && *path != '\0' ? path : kDefaultPath;
}

// An anonymous file; standard streams are files, so that no tool can block on a full pipe.
class MemoryFile {
 public:
  MemoryFile() : fd_(memfd_create("tool", MFD_CLOEXEC)) {}
  ~MemoryFile() {
    if (fd_ >= 0) close(fd_);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  int fd() const { return fd_; }
  bool Fill(const std::string& text) const {
    size_t done = 0;
    while (done < text.size()) {
      const ssize_t n = write(fd_, text.data() + done, text.size() - done);
      if (n <= 0) return false;
      done += static_cast<size_t>(n);
    }
    return lseek(fd_, 0, SEEK_SET) == 0;
  }
  std::string Text() const {
    const off_t size = lseek(fd_, 0, SEEK_END);
    std::string text(size > 0 ? static_cast<size_t>(size) : 0, '\0');
    const ssize_t n = pread(fd_, text.data(), text.size(), 0);
    text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return text;
  }

 private:
  int fd_;
};

struct Child {  // made before fork: afterwards only async-signal-safe calls
  std::vector<char*> argv, environment;
  const char* folder;
  int streams[3];
  rlimit limits[3];
  pid_t parent;
};

[[noreturn]] void RunChild(const Child& child) {
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != child.parent) _exit(127);
  for (const int number : {SIGINT, SIGTERM, SIGPIPE, SIGHUP, SIGCHLD, SIGQUIT, SIGXFSZ})
    signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const bool ready = setrlimit(RLIMIT_AS, &child.limits[0]) == 0 &&
                     setrlimit(RLIMIT_FSIZE, &child.limits[1]) == 0 &&
                     setrlimit(RLIMIT_CORE, &child.limits[2]) == 0 && chdir(child.folder) == 0;
  for (int i = 0; ready && i < 3; ++i) {
    if (dup2(child.streams[i], i) < 0) _exit(127);
  }
  syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
  if (ready) execve(child.argv[0], child.argv.data(), child.environment.data());
  _exit(127);
}

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Never above the hard limit that this process has.
rlimit LimitOf(int resource, uint64_t wanted) {
  rlimit now{};
  getrlimit(static_cast<__rlimit_resource>(resource), &now);
  if (resource == RLIMIT_AS && wanted == 0) return now;
  const rlim_t value = std::min<rlim_t>(wanted, now.rlim_max);
  return {value, value};
}

// Waits for the child; false when the deadline passed before.
bool WaitUntil(pid_t child, Clock::time_point deadline, int* status) {
  const int ended = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  bool in_time = false;
  for (;;) {
    if (waitpid(child, status, WNOHANG) == child) {
      in_time = true;
      break;
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) break;
    pollfd wait{ended, POLLIN, 0};
    // Without pidfd (kernels before 5.3) it is asked every 5 ms.
    poll(&wait, ended >= 0 ? 1 : 0, static_cast<int>(ended >= 0 ? left : std::min<long>(left, 5)));
  }
  kill(-child, SIGKILL);
  if (!in_time) {
    kill(child, SIGKILL);
    waitpid(child, status, 0);
  }
  if (ended >= 0) close(ended);
  return in_time;
}

}  // namespace

std::string FindTool(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (name.find('/') != std::string::npos) {
      if (access(name.c_str(), X_OK) == 0) return name;
      continue;
    }
    std::istringstream folders(SearchPath());
    for (std::string folder; std::getline(folders, folder, ':');) {
      const std::string path = folder + "/" + name;
      if (path[0] == '/' && access(path.c_str(), X_OK) == 0) return path;
    }
  }
  return "";
}

Result<ToolOutput> RunTool(const std::vector<std::string>& argv, const std::string& input,
                           const ToolLimits& limits) {
  std::vector<std::string> words = argv;
  words[0] = FindTool({argv[0]});
  if (words[0].empty())
    return Error{Code::kNotFound, "no program " + argv[0] + " in PATH (" + SearchPath() + ")"};
  std::vector<std::string> environment = {"PATH=" + SearchPath(), "LC_ALL=C"};
  environment.insert(environment.end(), limits.environment.begin(), limits.environment.end());
  const MemoryFile in, out, err;
  if (in.fd() < 0 || out.fd() < 0 || err.fd() < 0 || !in.Fill(input))
    return Error{Code::kUnavailable,
                 "cannot make the streams of " + argv[0] + ": " + std::strerror(errno)};
  const Child plan{Pointers(words),
                   Pointers(environment),
                   limits.folder.c_str(),
                   {in.fd(), out.fd(), err.fd()},
                   {LimitOf(RLIMIT_AS, limits.address_space_bytes),
                    LimitOf(RLIMIT_FSIZE, limits.output_bytes), LimitOf(RLIMIT_CORE, 0)},
                   getpid()};
  const auto deadline = Clock::now() + limits.deadline;
  const pid_t child = fork();
  if (child < 0)
    return Error{Code::kUnavailable, "cannot start " + argv[0] + ": " + std::strerror(errno)};
  if (child == 0) RunChild(plan);
  ToolOutput result;
  int status = 0;
  result.timed_out = !WaitUntil(child, deadline, &status);
  result.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  result.out = out.Text();
  result.err = err.Text();
  return result;
}

ToolFolder::ToolFolder() {
  std::error_code error;
  std::string name = std::filesystem::temp_directory_path(error).string() + "/kevolve-tool-XXXXXX";
  if (!error && mkdtemp(name.data()) != nullptr) path_ = name;
}

ToolFolder::~ToolFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

Result<std::string> ToolFolder::Write(const std::string& name, std::string_view bytes) const {
  const std::string path = path_ + "/" + name;
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (path_.empty() || !file)
    return Error{Code::kUnavailable, "cannot write " + path + "; is the temporary folder full?"};
  return path;
}

std::string FileText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return file ? text.str() : "";
}

}  // namespace kev
