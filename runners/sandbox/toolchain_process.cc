#include "runners/sandbox/toolchain_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "runners/sandbox/toolchain_folder.h"
#include "runners/sandbox/toolchain_sandbox.h"

namespace kev {
namespace {

using Clock = std::chrono::steady_clock;
constexpr char kDefaultPath[] = "/usr/local/bin:/usr/bin:/bin";

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  ~FileDescriptor() { Close(); }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

// Keeps the first and the last half of what is added.
class HeadAndTail {
 public:
  explicit HeadAndTail(size_t capacity) : half_(capacity / 2) {}
  void Add(const char* data, size_t size) {
    size_t to_head = std::min(size, half_ - head_.size());
    head_.append(data, to_head);
    tail_.append(data + to_head, size - to_head);
    if (tail_.size() > 2 * half_) Trim();
  }
  std::string Take() {
    Trim();
    if (dropped_ > 0) head_ += "\n[… " + std::to_string(dropped_) + " bytes left out …]\n";
    return head_ + tail_;
  }

 private:
  void Trim() {
    if (tail_.size() <= half_) return;
    dropped_ += tail_.size() - half_;
    tail_.erase(0, tail_.size() - half_);
  }
  size_t half_;
  std::string head_, tail_;
  size_t dropped_ = 0;
};

// Reads what there is. False at the end of the stream.
bool ReadSome(int fd, HeadAndTail* output) {
  char buffer[16384];
  ssize_t n = read(fd, buffer, sizeof buffer);
  if (n > 0) output->Add(buffer, static_cast<size_t>(n));
  return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

// Collects the program's output until it ends (kExited), time is up, nobody wants it any more or
// its folder is too full (kSignalled: it will be).
ProcessOutcome::End Follow(const Launched& launched, Clock::time_point deadline,
                           const std::atomic<bool>* cancelled, int from, ToolchainFolder* folder,
                           HeadAndTail* output) {
  constexpr int64_t kTickMs = 50;  // how soon a cancelled job is noticed
  auto next_look = Clock::now();   // however much it says meanwhile
  for (bool open = true;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (cancelled != nullptr && cancelled->load()) return ProcessOutcome::End::kCancelled;
    if (left <= 0) return ProcessOutcome::End::kDeadline;
    if (Clock::now() >= next_look) {
      if (folder->Overfull(launched)) return ProcessOutcome::End::kSignalled;
      next_look = Clock::now() + std::chrono::milliseconds(kTickMs);
    }
    pollfd waits[2] = {{open ? from : -1, POLLIN, 0}, {launched.pidfd, POLLIN, 0}};
    poll(waits, 2, static_cast<int>(std::min(left + 1, kTickMs)));
    if (waits[0].revents != 0) open = ReadSome(from, output);
    if (waits[1].revents != 0) return ProcessOutcome::End::kExited;
  }
}

}  // namespace

std::string SearchPath() {
  const char* path = std::getenv("PATH");
  return path != nullptr && *path != '\0' ? path : kDefaultPath;
}

Result<std::string> FindProgram(const std::string& program) {
  auto resolved = [](const std::string& path) { return access(path.c_str(), X_OK) == 0; };
  if (program.find('/') != std::string::npos) {
    if (resolved(program)) return std::filesystem::absolute(program).string();
    return Error{Code::kNotFound, program + ": " + std::strerror(errno)};
  }
  std::string path = SearchPath();
  for (size_t from = 0; from <= path.size();) {
    size_t to = std::min(path.find(':', from), path.size());
    std::string file = path.substr(from, to - from) + "/" + program;
    if (file[0] == '/' && resolved(file)) return file;
    from = to + 1;
  }
  return Error{Code::kNotFound, "no program " + program + " in PATH (" + path + ")"};
}

std::string ReadWritten(const std::string& path, uint64_t most) {
  const int file = open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  struct stat info{};
  std::string bytes;
  if (file >= 0 && fstat(file, &info) == 0 && S_ISREG(info.st_mode)) {
    bytes.resize(std::min(static_cast<uint64_t>(info.st_size), most));
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t got = read(file, bytes.data() + done, bytes.size() - done);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      done += static_cast<size_t>(got);
    }
    bytes.resize(done);
  }
  if (file >= 0) close(file);
  return bytes;
}

Result<ProcessOutcome> RunToolchain(const std::vector<std::string>& argv, const std::string& folder,
                                    const ProcessLimits& limits,
                                    const std::atomic<bool>* cancelled) {
  Result<Isolation> isolation = BestIsolation();
  if (!isolation) return isolation.error();
  Result<SandboxPlan> plan = ToolchainPlan(argv, folder, limits);
  if (!plan) return plan.error();
  ToolchainFolder written(folder, limits.folder_bytes);
  if (Status added = written.AddTo(&*plan, *isolation); !added) return added.error();
  int output_pipe[2];
  if (pipe2(output_pipe, O_CLOEXEC) != 0)
    return Error{Code::kUnavailable, std::string("cannot make a pipe: ") + std::strerror(errno)};
  FileDescriptor output_read(output_pipe[0]), output_write(output_pipe[1]);
  plan->files = {{output_write.get(), STDOUT_FILENO}, {output_write.get(), STDERR_FILENO}};
  const auto begin = Clock::now();
  Result<Launched> launched = LaunchSandboxed(*plan, *isolation);
  output_write.Close();
  if (!launched) return launched.error();

  ProcessOutcome outcome;
  outcome.isolation = *isolation;
  HeadAndTail output(limits.output_bytes);
  fcntl(output_read.get(), F_SETFL, O_NONBLOCK);
  outcome.end =
      Follow(*launched, begin + limits.deadline, cancelled, output_read.get(), &written, &output);
  KillSandboxed(*launched);  // also what it left behind
  int status = 0;
  while (waitpid(launched->pid, &status, 0) < 0 && errno == EINTR) {
  }
  // Only what is in the pipe: a process that escaped must not hold us.
  pollfd wait = {output_read.get(), POLLIN, 0};
  for (size_t i = 0; i < 64 && poll(&wait, 1, 0) > 0; ++i)
    if (!ReadSome(output_read.get(), &output)) break;
  outcome.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  outcome.output = output.Take();
  const Status taken = written.TakeBack(*launched);
  if (!taken) return taken.error();
  outcome.limit = written.was_full() ? "folder" : LimitReached(*launched);
  if (outcome.end == ProcessOutcome::End::kSignalled) outcome.status = SIGKILL;
  if (outcome.end != ProcessOutcome::End::kExited) return outcome;
  const SandboxEnd ended = EndOf(*launched, status);
  if (ended.signalled) outcome.end = ProcessOutcome::End::kSignalled;
  outcome.status = ended.number;
  return outcome;
}

}  // namespace kev
