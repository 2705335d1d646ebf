#include "runners/sandbox/sandbox.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "runners/sandbox/control_group.h"
#include "runners/sandbox/sandbox_arguments.h"

namespace kev {

// What a running sandbox holds on to.
struct Launched::Handles {
  Handles() = default;
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;
  ~Handles() {
    if (outermost >= 0) close(outermost);
    if (first >= 0) close(first);
    if (in_memory >= 0) close(in_memory);
  }
  int outermost = -1;   // pidfd
  int first = -1;       // pidfd of the first process inside
  int in_memory = -1;   // the plan's folder
  pid_t first_pid = 0;  // as we see it
  std::shared_ptr<ControlGroup> group;
};

namespace {

constexpr int kReadyWaitMs = 5000;  // for a guardian to mount everything
constexpr int kGoneWaitMs = 5000;   // for the kernel to take down what was killed
// The processes that stand round the plan's own: outermost and first.
constexpr uint64_t kGuardians = 2;

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.Release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { Close(); }
  int get() const { return fd_; }
  int Release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

struct Pipe {
  Descriptor read_end, write_end;
  bool Open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    read_end = Descriptor(ends[0]);
    write_end = Descriptor(ends[1]);
    return true;
  }
};

Error SystemError(const std::string& what) {
  return Error{Code::kUnavailable, what + ": " + std::strerror(errno)};
}

// What the child tells before it executes.
struct ChildNote {
  enum Kind { kNotPinned, kFailed } kind;
  int error;
};

// Everything that the child needs, made before it exists: it may only call what is
// async-signal-safe.
struct ChildPlan {
  std::vector<char*> argv;
  std::vector<std::pair<int, int>> files;
  int last_file = 2;  // the highest number that stays open
  std::vector<std::pair<__rlimit_resource, rlimit>> limits;
  std::vector<int> joins;  // of control groups
  int notes = -1;
  int core = -1;
  int niceness = 0;
  pid_t parent = 0;
};

// Moves the sources above all targets first, so that no target overwrites a source.
bool PlaceFiles(const ChildPlan& plan) {
  int sources[64];
  size_t count = 0;
  for (const auto& file : plan.files) {
    sources[count] = fcntl(file.first, F_DUPFD_CLOEXEC, plan.last_file + 1);
    if (sources[count++] < 0) return false;
  }
  for (size_t i = 0; i < count; ++i)
    if (dup2(sources[i], plan.files[i].second) < 0) return false;
  for (int fd = 0; fd <= plan.last_file; ++fd) {
    bool wanted = false;
    for (const auto& file : plan.files) wanted |= file.second == fd;
    if (!wanted && fd != plan.notes) close(fd);
  }
  syscall(SYS_close_range, static_cast<unsigned>(plan.last_file + 1), ~0u,
          4u /* CLOSE_RANGE_CLOEXEC */);
  return true;
}

[[noreturn]] void RunChild(const ChildPlan& plan) {
  const auto tell = [&](ChildNote::Kind kind) {
    const ChildNote note{kind, errno};
    [[maybe_unused]] ssize_t ignored = write(plan.notes, &note, sizeof note);
  };
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != plan.parent) _exit(127);
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  [[maybe_unused]] int niceness = nice(plan.niceness);
  if (plan.core >= 0) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(static_cast<size_t>(plan.core), &cores);
    if (sched_setaffinity(0, sizeof cores, &cores) != 0) tell(ChildNote::kNotPinned);
  }
  bool ready = true;
  for (const int group : plan.joins) ready &= write(group, "0", 1) == 1;
  ready = ready && PlaceFiles(plan);
  for (size_t i = 0; ready && i < plan.limits.size(); ++i)
    ready = setrlimit(plan.limits[i].first, &plan.limits[i].second) == 0;
  char* environment[] = {nullptr};
  if (ready) execve(plan.argv[0], plan.argv.data(), environment);
  tell(ChildNote::kFailed);
  _exit(127);
}

// A limit that can always be set: never above the hard limit that we run under.
rlimit LimitOf(__rlimit_resource resource, rlim_t wanted) {
  rlimit now{};
  getrlimit(resource, &now);
  const rlim_t value = now.rlim_max == RLIM_INFINITY ? wanted : std::min(wanted, now.rlim_max);
  return {value, value};
}

std::vector<std::pair<__rlimit_resource, rlimit>> LimitsOf(const SandboxPlan& plan,
                                                           Isolation isolation) {
  std::vector<std::pair<__rlimit_resource, rlimit>> limits = {
      {RLIMIT_CORE, LimitOf(RLIMIT_CORE, 0)}};
  const auto add = [&](__rlimit_resource resource, uint64_t wanted) {
    if (wanted > 0) limits.emplace_back(resource, LimitOf(resource, wanted));
  };
  add(RLIMIT_CPU, plan.limits.cpu_seconds);
  add(RLIMIT_AS, plan.limits.address_bytes);
  add(RLIMIT_DATA, plan.limits.private_bytes);
  add(RLIMIT_FSIZE, plan.limits.file_bytes);
  add(RLIMIT_NOFILE, plan.limits.open_files);
  // Outside a user namespace of its own, all tasks of our user count. We do not know how many those
  // are, but not more than there are on the machine.
  struct sysinfo info{};
  if (plan.limits.processes > 0 && !HasNamespaces(isolation) && sysinfo(&info) == 0)
    add(RLIMIT_NPROC, plan.limits.processes + info.procs);
  return limits;
}

// A process that is our child, with its pidfd, in the group whose folder is open at `group`.
pid_t Fork(int group, int* pidfd) {
  clone_args arguments{};
  arguments.flags = CLONE_PIDFD | (group >= 0 ? CLONE_INTO_CGROUP : 0);
  arguments.cgroup = group >= 0 ? static_cast<uint64_t>(group) : 0;
  arguments.pidfd = reinterpret_cast<uint64_t>(pidfd);
  arguments.exit_signal = SIGCHLD;
  pid_t child = static_cast<pid_t>(syscall(SYS_clone3, &arguments, sizeof arguments));
  if (child >= 0 || (errno != ENOSYS && errno != EPERM)) return child;
  if (group >= 0) return child;
  child = fork();  // under a filter that refuses clone3
  if (child > 0) *pidfd = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  return child;
}

std::string ReadAll(int fd) {
  std::string text;
  char buffer[512];
  for (;;) {
    const ssize_t got = read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(buffer, static_cast<size_t>(got));
  }
}

// A sandbox on its way.
struct Launch {
  Pipe notes, info, block;
  Descriptor syscalls, null;
  ChildPlan child;
  std::vector<std::string> words;
};

Status Prepare(const SandboxPlan& plan, Isolation isolation, Launch* launch) {
  if (!launch->notes.Open() || !launch->info.Open() || !launch->block.Open())
    return SystemError("cannot make a pipe for a sandbox");
  launch->null = Descriptor(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (launch->null.get() < 0) return SystemError("cannot open /dev/null");
  ChildPlan& child = launch->child;
  child.files = plan.files;
  for (const int standard : {0, 1, 2})
    if (std::none_of(plan.files.begin(), plan.files.end(),
                     [&](const auto& file) { return file.second == standard; }))
      child.files.emplace_back(launch->null.get(), standard);
  for (const auto& file : child.files) child.last_file = std::max(child.last_file, file.second);
  const auto place = [&](int fd) {
    child.files.emplace_back(fd, ++child.last_file);
    return child.last_file;
  };
  GuardDescriptors numbers;
  numbers.info = place(launch->info.write_end.get());
  numbers.block = place(launch->block.read_end.get());
  if (!plan.syscalls.empty()) {
    launch->syscalls = Descriptor(memfd_create("filter", MFD_CLOEXEC));
    if (launch->syscalls.get() < 0 ||
        write(launch->syscalls.get(), plan.syscalls.data(), plan.syscalls.size()) !=
            static_cast<ssize_t>(plan.syscalls.size()) ||
        lseek(launch->syscalls.get(), 0, SEEK_SET) != 0)
      return SystemError("cannot hand a system call filter to a sandbox");
    numbers.syscalls = place(launch->syscalls.get());
  }
  if (child.files.size() > 64)
    return Error{Code::kInvalid, "a sandbox can be given no more than 58 descriptors"};
  // The notes go through a number that is no target.
  const int notes = fcntl(launch->notes.write_end.get(), F_DUPFD_CLOEXEC, child.last_file + 1);
  if (notes < 0) return SystemError("cannot number a pipe for a sandbox");
  launch->notes.write_end = Descriptor(notes);
  Result<std::vector<std::string>> words = SandboxArguments(plan, isolation, numbers);
  if (!words) return words.error();
  launch->words = std::move(*words);
  for (std::string& word : launch->words) child.argv.push_back(word.data());
  child.argv.push_back(nullptr);
  child.limits = LimitsOf(plan, isolation);
  child.notes = notes;
  child.core = plan.core;
  child.niceness = plan.niceness;
  child.parent = getpid();
  return {};
}

std::shared_ptr<ControlGroup> MakeGroup(const SandboxLimits& limits) {
  if (limits.memory_bytes == 0 && limits.processes == 0) return nullptr;
  return ControlGroup::Make(limits.memory_bytes,
                            limits.processes == 0 ? 0 : limits.processes + kGuardians);
}

// Reads what the child says until it has become the guardian. An errno, 0 when all is well.
int StartError(int notes, bool* pinned) {
  ChildNote note;
  const std::string said = ReadAll(notes);
  for (size_t at = 0; at + sizeof note <= said.size(); at += sizeof note) {
    std::memcpy(&note, said.data() + at, sizeof note);
    if (note.kind == ChildNote::kFailed) return note.error != 0 ? note.error : EINVAL;
    *pinned = false;
  }
  return 0;
}

Error NotStarted(const std::string& program, int error) {
  Error failure{error == ENOENT || error == EACCES ? Code::kNotFound : Code::kUnavailable,
                "cannot start " + program + ": " + std::strerror(error)};
  if (error == ENOENT) failure.message += "; it must lie beside the other programs";
  return failure;
}

// The number after "child-pid": in what a guardian says of itself.
pid_t ChildPid(const std::string& info) {
  const size_t at = info.find("\"child-pid\":");
  return at == std::string::npos ? 0 : static_cast<pid_t>(std::atol(info.c_str() + at + 12));
}

void Reap(pid_t pid) {
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void WaitUntilGone(int pidfd) {
  pollfd wait = {pidfd, POLLIN, 0};
  while (pidfd >= 0 && poll(&wait, 1, kGoneWaitMs) < 0 && errno == EINTR) {
  }
}

// The folder `path` of the sandbox whose first process is `first`, once everything is mounted
// there; -1 when it ended before. A guardian does not say when it is ready, but it waits until we
// let the program go; until then its folder is ours or none.
int OpenInside(const std::string& path, pid_t first, int first_pidfd) {
  const std::string inside = "/proc/" + std::to_string(first) + "/root" + path;
  const auto begin = std::chrono::steady_clock::now();
  for (bool lives = true; lives;) {
    pollfd ended = {first_pidfd, POLLIN, 0};
    lives = poll(&ended, 1, 0) == 0 &&
            std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(kReadyWaitMs);
    struct stat outside{}, there{};
    const int folder = open(inside.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool other = folder >= 0 && fstat(folder, &there) == 0 &&
                       (stat(path.c_str(), &outside) != 0 || there.st_dev != outside.st_dev ||
                        there.st_ino != outside.st_ino);
    if (other) return folder;
    if (folder >= 0) close(folder);
    usleep(200);
  }
  return -1;
}

Status FillFolder(const MemoryFolder& folder, Launched::Handles* handles) {
  handles->in_memory = OpenInside(folder.path, handles->first_pid, handles->first);
  if (handles->in_memory < 0)
    return Error{Code::kUnavailable, "the sandbox's folder " + folder.path + " cannot be reached"};
  return folder.fill ? folder.fill(handles->in_memory) : Status();
}

}  // namespace

const char* Name(Isolation isolation) {
  switch (isolation) {
    case Isolation::kBubblewrap:
      return "bubblewrap";
    case Isolation::kNamespaces:
      return "namespaces";
    case Isolation::kLandlock:
      return "landlock";
    case Isolation::kNone:
      return "none";
  }
  return "none";
}

Result<Launched> LaunchSandboxed(const SandboxPlan& plan, Isolation isolation) {
  Launch launch;
  if (Status prepared = Prepare(plan, isolation, &launch); !prepared) return prepared.error();
  Launched launched;
  launched.isolation = isolation;
  launched.limits_in_force = "rlimits";
  launched.handles = std::make_shared<Launched::Handles>();
  Launched::Handles& handles = *launched.handles;
  handles.group = MakeGroup(plan.limits);
  if (handles.group) launch.child.joins = handles.group->joins();
  launched.pid = Fork(handles.group ? handles.group->folder() : -1, &handles.outermost);
  if (launched.pid < 0 && handles.group && handles.group->folder() >= 0) {
    handles.group.reset();  // groups can be made here, but not entered
    launched.pid = Fork(-1, &handles.outermost);
  }
  if (launched.pid == 0) RunChild(launch.child);
  if (handles.group)
    launched.limits_in_force += ", control groups (" + handles.group->limited() + ")";
  if (launched.pid < 0) return SystemError("cannot start " + launch.words[0]);
  launched.pidfd = handles.outermost;
  launch.notes.write_end.Close();
  launch.info.write_end.Close();
  launch.block.read_end.Close();
  if (const int error = StartError(launch.notes.read_end.get(), &launched.pinned); error != 0) {
    Reap(launched.pid);
    return NotStarted(launch.words[0], error);
  }
  handles.first_pid = ChildPid(ReadAll(launch.info.read_end.get()));
  if (handles.first_pid > 0)
    handles.first = static_cast<int>(syscall(SYS_pidfd_open, handles.first_pid, 0));
  if (handles.first < 0) {
    kill(launched.pid, SIGKILL);
    Reap(launched.pid);
    return Error{Code::kUnavailable, std::string("the sandbox (") + Name(isolation) +
                                         ") was not set up; the program's standard error says why"};
  }
  // Inside a user namespace only its own tasks count, so this can be set only now.
  if (plan.limits.processes > 0 && HasNamespaces(isolation)) {
    const rlimit limit = LimitOf(RLIMIT_NPROC, plan.limits.processes);
    prlimit(handles.first_pid, RLIMIT_NPROC, &limit, nullptr);
  }
  if (!plan.in_memory.path.empty() && HasNamespaces(isolation)) {
    if (Status filled = FillFolder(plan.in_memory, &handles); !filled) {
      KillSandboxed(launched);
      Reap(launched.pid);
      return filled.error();
    }
    launched.in_memory = handles.in_memory;
  }
  [[maybe_unused]] ssize_t go = write(launch.block.write_end.get(), "g", 1);
  return launched;
}

Result<pid_t> ProgramPid(const Launched& launched) {
  const pid_t first = launched.handles->first_pid;
  if (!HasNamespaces(launched.isolation)) return first;
  // The program is the first child of the first process inside, so its number most often follows.
  for (int pass = 0; pass < 2; ++pass) {
    const pid_t from = pass == 0 ? first + 1 : 2, to = pass == 0 ? first + 32 : first - 1;
    for (pid_t pid = from; pid <= to; ++pid) {
      std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
      std::string stat;
      std::getline(file, stat);
      const size_t name_end = stat.rfind(')');  // "pid (name) state parent …"
      if (name_end != std::string::npos && std::atol(stat.c_str() + name_end + 4) == first)
        return pid;
    }
  }
  return Error{Code::kNotFound, "the sandbox's program does not run (any more)"};
}

void KillSandboxed(const Launched& launched) {
  const Launched::Handles& handles = *launched.handles;
  // With namespaces the first process takes all others with it, and ends only after them.
  if (handles.first >= 0) syscall(SYS_pidfd_send_signal, handles.first, SIGKILL, nullptr, 0);
  if (!HasNamespaces(launched.isolation)) kill(-handles.first_pid, SIGKILL);
  kill(-launched.pid, SIGKILL);
  if (handles.outermost >= 0)
    syscall(SYS_pidfd_send_signal, handles.outermost, SIGKILL, nullptr, 0);
  if (handles.group && !HasNamespaces(launched.isolation)) handles.group->Kill();
  WaitUntilGone(handles.first);
  WaitUntilGone(handles.outermost);
}

SandboxEnd EndOf(const Launched&, int wait_status) {
  if (WIFSIGNALED(wait_status)) return {true, WTERMSIG(wait_status)};
  const int code = WEXITSTATUS(wait_status);
  if (code > 128 && code < 128 + NSIG) return {true, code - 128};
  return {false, code};
}

std::string LimitReached(const Launched& launched) {
  return launched.handles->group ? launched.handles->group->Reached() : "";
}

std::string SiblingProgram(const std::string& name) {
  if (const char* folder = std::getenv("KEVOLVE_BUILD_BIN"); folder != nullptr && *folder != '\0')
    return std::string(folder) + "/" + name;
  char path[4096];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  const std::string self = n > 0 ? std::string(path, static_cast<size_t>(n)) : std::string();
  return self.substr(0, self.rfind('/') + 1) + name;
}

}  // namespace kev
