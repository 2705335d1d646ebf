#include "runners/analysis/tool_process.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "runners/sandbox/sandbox.h"
#include "runners/sandbox/toolchain_folder.h"
#include "runners/sandbox/toolchain_process.h"
#include "runners/sandbox/toolchain_sandbox.h"

namespace kev {
namespace {

using Clock = std::chrono::steady_clock;

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

// Waits for what was launched, or until its folder is too full; false when the deadline passed or
// nobody wants it any more.
bool Ended(const Launched& launched, Clock::time_point deadline, const std::atomic<bool>* cancelled,
           ToolchainFolder* folder) {
  constexpr int64_t kTickMs = 50;  // how soon it is noticed that nobody does
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0 || (cancelled != nullptr && cancelled->load())) return false;
    pollfd wait{launched.pidfd, POLLIN, 0};
    if (poll(&wait, 1, static_cast<int>(std::min(left + 1, kTickMs))) > 0) return true;
    if (folder->Overfull(launched)) return true;
  }
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
  const MemoryFile in, out, err;
  if (in.fd() < 0 || out.fd() < 0 || err.fd() < 0 || !in.Fill(input))
    return Error{Code::kUnavailable,
                 "cannot make the streams of " + argv[0] + ": " + std::strerror(errno)};
  const ToolFolder scratch;
  ProcessLimits process;
  process.deadline = limits.deadline;
  process.address_space_bytes = limits.address_space_bytes;
  process.file_bytes = limits.output_bytes;
  process.proc = limits.proc;
  process.forks = limits.forks;
  const std::string& folder = limits.folder.empty() ? scratch.path() : limits.folder;
  Result<SandboxPlan> plan = ToolchainPlan(words, folder, process);
  if (!plan) return plan.error();
  plan->files = {{in.fd(), STDIN_FILENO}, {out.fd(), STDOUT_FILENO}, {err.fd(), STDERR_FILENO}};
  Result<Isolation> isolation = Isolation::kNone;
  if (limits.confined)
    isolation = BestIsolation();
  else
    plan->syscalls.clear();
  if (!isolation) return isolation.error();
  ToolchainFolder written(folder, limits.folder_bytes);
  if (Status added = written.AddTo(&*plan, *isolation); !added) return added.error();
  const auto deadline = Clock::now() + limits.deadline;
  Result<Launched> launched = LaunchSandboxed(*plan, *isolation);
  if (!launched) return launched.error();
  ToolOutput result;
  result.timed_out = !Ended(*launched, deadline, limits.cancelled, &written);
  KillSandboxed(*launched);  // also what it left behind
  int status = 0;
  while (waitpid(launched->pid, &status, 0) < 0 && errno == EINTR) {
  }
  const Status taken = written.TakeBack(*launched);
  if (!taken) return taken.error();
  result.folder_full = written.was_full();
  const SandboxEnd ended = EndOf(*launched, status);
  result.status = ended.signalled ? 128 + ended.number : ended.number;
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
