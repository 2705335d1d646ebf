#include "stages/compile/toolchain_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
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

namespace kev {
namespace {

using Clock = std::chrono::steady_clock;
constexpr char kDefaultPath[] = "/usr/local/bin:/usr/bin:/bin";
constexpr int kNiceness = 5;  // measurements on the same host go first

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

struct ChildPlan {  // everything the child needs, made before fork: it may only call what is
                    // async-signal-safe
  std::vector<char*> argv;
  std::vector<char*> environment;
  const char* folder;
  rlimit cpu, address_space, file, core;
  int output;
  int failure;  // errno of a step that failed goes here; closed by exec
  pid_t parent;
};

[[noreturn]] void RunChild(const ChildPlan& plan) {
  auto fail = [&] {
    int error = errno;
    [[maybe_unused]] ssize_t ignored = write(plan.failure, &error, sizeof error);
    _exit(127);
  };
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != plan.parent) _exit(127);
  for (int signal_number : {SIGINT, SIGTERM, SIGPIPE, SIGHUP, SIGCHLD, SIGQUIT, SIGXFSZ})
    signal(signal_number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  [[maybe_unused]] int niceness = nice(kNiceness);
  if (setrlimit(RLIMIT_CPU, &plan.cpu) != 0 || setrlimit(RLIMIT_AS, &plan.address_space) != 0 ||
      setrlimit(RLIMIT_FSIZE, &plan.file) != 0 || setrlimit(RLIMIT_CORE, &plan.core) != 0)
    fail();
  int input = open("/dev/null", O_RDONLY);
  if (input < 0 || dup2(input, STDIN_FILENO) < 0 || dup2(plan.output, STDOUT_FILENO) < 0 ||
      dup2(plan.output, STDERR_FILENO) < 0 || chdir(plan.folder) != 0)
    fail();
  // What other parts of the process opened without O_CLOEXEC is not the compiler's.
  syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
  execve(plan.argv[0], plan.argv.data(), plan.environment.data());
  fail();
  _exit(127);
}

// A limit that can always be set: never above the hard limit that we run under.
rlimit LimitOf(int resource, rlim_t wanted) {
  rlimit now{};
  getrlimit(static_cast<__rlimit_resource>(resource), &now);
  rlim_t value = now.rlim_max == RLIM_INFINITY ? wanted : std::min(wanted, now.rlim_max);
  return {value, value};
}

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::string SearchPath() {
  const char* path = std::getenv("PATH");
  return path != nullptr && *path != '\0' ? path : kDefaultPath;
}

// Reads what there is. False at the end of the stream.
bool ReadSome(int fd, HeadAndTail* output) {
  char buffer[16384];
  ssize_t n = read(fd, buffer, sizeof buffer);
  if (n > 0) output->Add(buffer, static_cast<size_t>(n));
  return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

}  // namespace

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

Result<ProcessOutcome> RunToolchain(const std::vector<std::string>& argv, const std::string& folder,
                                    const ProcessLimits& limits,
                                    const std::atomic<bool>* cancelled) {
  std::vector<std::string> words = argv;
  // SOURCE_DATE_EPOCH: __DATE__ and __TIME__ must not make equal sources differ.
  std::vector<std::string> environment = {"PATH=" + SearchPath(), "LC_ALL=C", "TMPDIR=" + folder,
                                          "SOURCE_DATE_EPOCH=0"};
  int output_pipe[2], failure_pipe[2];
  if (pipe2(output_pipe, O_CLOEXEC) != 0)
    return Error{Code::kUnavailable, std::string("cannot make a pipe: ") + std::strerror(errno)};
  FileDescriptor output_read(output_pipe[0]), output_write(output_pipe[1]);
  if (pipe2(failure_pipe, O_CLOEXEC) != 0)
    return Error{Code::kUnavailable, std::string("cannot make a pipe: ") + std::strerror(errno)};
  FileDescriptor failure_read(failure_pipe[0]), failure_write(failure_pipe[1]);

  // Processor time bounds what the group's kill cannot reach (processes left behind when we die),
  // so it comes after the deadline.
  auto cpu_seconds = static_cast<rlim_t>(limits.deadline.count() / 1000 + 5);
  ChildPlan plan{Pointers(words),
                 Pointers(environment),
                 folder.c_str(),
                 LimitOf(RLIMIT_CPU, cpu_seconds),
                 LimitOf(RLIMIT_AS, limits.address_space_bytes),
                 LimitOf(RLIMIT_FSIZE, limits.file_bytes),
                 LimitOf(RLIMIT_CORE, 0),
                 output_write.get(),
                 failure_write.get(),
                 getpid()};
  auto begin = Clock::now();
  pid_t child = fork();
  if (child < 0)
    return Error{Code::kUnavailable, "cannot start " + argv[0] + ": fork: " + std::strerror(errno)};
  if (child == 0) RunChild(plan);
  output_write.Close();
  failure_write.Close();

  int start_error = 0;
  ssize_t told;
  do told = read(failure_read.get(), &start_error, sizeof start_error);
  while (told < 0 && errno == EINTR);
  if (told > 0) {
    waitpid(child, nullptr, 0);
    Code code = start_error == ENOENT || start_error == EACCES || start_error == ENOEXEC
                    ? Code::kNotFound
                    : Code::kUnavailable;
    return Error{code, "cannot start " + argv[0] + ": " + std::strerror(start_error)};
  }

  ProcessOutcome outcome;
  HeadAndTail output(limits.output_bytes);
  fcntl(output_read.get(), F_SETFL, O_NONBLOCK);
  FileDescriptor ended(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  const int tick_ms = ended.get() >= 0 ? 50 : 5;  // 50: how soon a cancelled job is noticed
  bool open = true;
  int status = 0;
  for (bool running = true; running;) {
    auto left = limits.deadline -
                std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
    if (left.count() <= 0) outcome.end = ProcessOutcome::End::kDeadline;
    if (cancelled != nullptr && cancelled->load()) outcome.end = ProcessOutcome::End::kCancelled;
    if (outcome.end != ProcessOutcome::End::kExited) {
      kill(-child, SIGKILL);
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      break;
    }
    pollfd waits[2] = {{open ? output_read.get() : -1, POLLIN, 0}, {ended.get(), POLLIN, 0}};
    poll(waits, 2, static_cast<int>(std::min<int64_t>(left.count() + 1, tick_ms)));
    if (waits[0].revents != 0) open = ReadSome(output_read.get(), &output);
    running = waitpid(child, &status, WNOHANG) == 0;
  }
  kill(-child, SIGKILL);  // what it left behind
  // Only what is in the pipe: a process that escaped the group must not hold us.
  for (size_t i = 0; open && i < 64; ++i) {
    pollfd wait = {output_read.get(), POLLIN, 0};
    if (poll(&wait, 1, 0) <= 0) break;
    open = ReadSome(output_read.get(), &output);
  }
  outcome.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  outcome.output = output.Take();
  if (outcome.end != ProcessOutcome::End::kExited) return outcome;
  if (WIFSIGNALED(status)) outcome.end = ProcessOutcome::End::kSignalled;
  outcome.status = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
  return outcome;
}

}  // namespace kev
