#include "runners/harness/runner_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "engine/core/random.h"

namespace kev {
namespace {

using harness::Command;
using harness::CommandKind;
using harness::Reply;
using harness::ReplyStatus;

constexpr auto kSetUpDeadline = std::chrono::seconds(10);
constexpr auto kMemoryCheck = std::chrono::milliseconds(5);

Error SystemError(const std::string& what) {
  const int code = errno;
  const bool passing = code == EAGAIN || code == EMFILE || code == ENFILE || code == ENOMEM;
  return Error{passing ? Code::kUnavailable : Code::kInternal, what + ": " + std::strerror(code)};
}

// File descriptors of the judge's end lie above those that the child gets, so that dup2 never meets
// one of them.
int Lift(int fd) {
  if (fd < 0) return fd;
  const int high = fcntl(fd, F_DUPFD_CLOEXEC, 16);
  close(fd);
  return high;
}

int MemoryFile(const char* name, unsigned flags) {
  return Lift(memfd_create(name, MFD_CLOEXEC | flags));
}

void CloseIfOpen(int* fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

bool WriteAll(int fd, const std::string& bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n =
        pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

std::string ReadUpTo(int fd, size_t limit) {
  std::string bytes(limit, '\0');
  size_t done = 0;
  while (done < limit) {
    const ssize_t n = pread(fd, bytes.data() + done, limit - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

void CopyText(char* to, size_t room, const std::string& text) {
  std::memcpy(to, text.data(), std::min(text.size(), room - 1));
}

std::string SignalName(int number) {
  switch (number) {
    case SIGSEGV:
      return "SIGSEGV, it touched memory that is not its own";
    case SIGBUS:
      return "SIGBUS, a bad memory access";
    case SIGFPE:
      return "SIGFPE, an integer division by zero";
    case SIGILL:
      return "SIGILL, an instruction that this CPU does not have";
    case SIGABRT:
      return "SIGABRT, it aborted";
    case SIGTRAP:
      return "SIGTRAP, a trap";
    default:
      return std::string("SIG") + (sigabbrev_np(number) != nullptr ? sigabbrev_np(number) : "?");
  }
}

double Nanoseconds(RunnerProcess::Clock::duration d) {
  return static_cast<double>(std::chrono::duration_cast<std::chrono::nanoseconds>(d).count());
}

}  // namespace

std::string ImplausibleClaim(const TimedSamples& timed) {
  char text[200];
  // CPU time cannot be longer than the time on one core. Slack: start and end of the command, and
  // how finely the kernel charges time.
  if (timed.claimed_ns < 0.7 * timed.cpu_ns - 1e6) {
    std::snprintf(text, sizeof(text),
                  "claims %.3f ms for work that took %.3f ms of CPU time on its one core",
                  timed.claimed_ns / 1e6, timed.cpu_ns / 1e6);
    return text;
  }
  // The judge may be held up by other work, so only gross lies show here.
  if (timed.claimed_ns < 0.1 * timed.outer_ns - 2e8) {
    std::snprintf(text, sizeof(text), "claims %.3f ms for work that the judge saw take %.3f ms",
                  timed.claimed_ns / 1e6, timed.outer_ns / 1e6);
    return text;
  }
  double sum = 0;
  for (const double ns : timed.ns) sum += ns * static_cast<double>(timed.batch);
  if (sum > timed.claimed_ns * 1.0001 + 1e3)
    return "its samples take longer than the whole that they are part of";
  return "";
}

std::string RunnerProgram() {
  if (const char* folder = std::getenv("KEVOLVE_BUILD_BIN"); folder != nullptr && *folder != '\0') {
    return std::string(folder) + "/kevolve-runner";
  }
  char path[4096];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof(path));
  std::string self = n > 0 ? std::string(path, static_cast<size_t>(n)) : std::string();
  return self.substr(0, self.rfind('/') + 1) + "kevolve-runner";
}

Result<std::unique_ptr<RunnerProcess>> RunnerProcess::Start(const RunnerOptions& options,
                                                            const RegionImage& image) {
  std::unique_ptr<RunnerProcess> process(new RunnerProcess);
  RunnerProcess& p = *process;
  p.options_ = options;
  p.image_ = &image;
  p.region_bytes_ = image.bytes().size();
  if (getrandom(&p.nonce_, sizeof(p.nonce_), 0) != static_cast<ssize_t>(sizeof(p.nonce_))) {
    return SystemError("getrandom for a runner process");
  }
  p.output_ = MemoryFile("stdout", 0);
  p.error_ = MemoryFile("stderr", 0);
  p.region_ = MemoryFile("arrays", MFD_ALLOW_SEALING);
  if (p.output_ < 0 || p.error_ < 0 || p.region_ < 0)
    return SystemError("memfd_create for a runner process");
  if (!WriteAll(p.region_, image.bytes()))
    return SystemError("writing the arrays of a runner process");
  // The child must not shrink what the judge reads.
  if (fcntl(p.region_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return SystemError("sealing the arrays of a runner process");
  }
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return SystemError("socketpair");
  p.control_ = Lift(pair[0]);
  int far_end = Lift(pair[1]);

  std::vector<std::string> variables;
  for (const auto& [name, value] : options.environment) variables.push_back(name + "=" + value);
  std::vector<char*> environment;
  for (std::string& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  std::string program = RunnerProgram();
  char name[] = "kevolve-runner";
  char* argv[] = {name, nullptr};

  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, p.output_, 1);
  posix_spawn_file_actions_adddup2(&files, p.error_, 2);
  posix_spawn_file_actions_adddup2(&files, far_end, harness::kControlFd);
  posix_spawn_file_actions_adddup2(&files, p.region_, harness::kRegionFd);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const int failed =
      posix_spawn(&p.pid_, program.c_str(), &files, &attributes, argv, environment.data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  close(far_end);
  if (failed != 0) {
    p.pid_ = -1;
    errno = failed;
    Error error = SystemError("cannot start " + program);
    if (failed == ENOENT) error.message += "; kevolve-runner must lie beside the stage programs";
    return error;
  }
  p.process_ = Lift(static_cast<int>(syscall(SYS_pidfd_open, p.pid_, 0)));
  clockid_t clock = 0;
  clock_getcpuclockid(p.pid_, &clock);
  p.cpu_clock_ = clock;
  if (p.process_ < 0) return SystemError("pidfd_open");
  const Outcome configured = p.Configure();
  if (!configured.ok())
    return Error{Code::kUnavailable, "a runner process could not be set up: " + configured.message};
  return process;
}

RunnerProcess::~RunnerProcess() {
  Kill();
  CloseIfOpen(&control_);
  CloseIfOpen(&process_);
  CloseIfOpen(&region_);
  CloseIfOpen(&output_);
  CloseIfOpen(&error_);
}

// The group is killed before its leader is reaped: until then the group's number cannot be given to
// others.
void RunnerProcess::Kill() {
  if (pid_ <= 0) return;
  kill(-pid_, SIGKILL);
  kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  dead_ = true;
}

Outcome RunnerProcess::Configure() {
  Command command;
  command.kind = CommandKind::kConfigure;
  command.cpu_seconds = options_.limits.cpu_seconds;
  command.address_bytes = options_.limits.address_bytes;
  command.file_bytes = options_.limits.output_bytes;
  command.open_files = options_.limits.open_files;
  command.processes = options_.limits.processes;
  command.region_bytes = region_bytes_;
  command.core = options_.core;
  command.parent = getpid();
  CopyText(command.path, sizeof(command.path), options_.folder.empty() ? "/" : options_.folder);
  Reply reply;
  Outcome outcome = Exchange(&command, kSetUpDeadline, &reply);
  if (!outcome.ok()) return outcome;
  if (reply.status == ReplyStatus::kNotPinned) {
    pinned_ = false;
    return {};
  }
  return FailedReply(reply);
}

Outcome RunnerProcess::Load(Clock::duration deadline) {
  // Calls are defined before foreign code is in the process.
  if (Outcome outcome = Define(); !outcome.ok()) return outcome;
  if (options_.library.size() >= harness::kMaxPath) {
    return {Outcome::Kind::kBroken, "the path " + options_.library + " is too long"};
  }
  Command command;
  command.kind = CommandKind::kLoad;
  CopyText(command.path, sizeof(command.path), options_.library);
  CopyText(command.symbol, sizeof(command.symbol), options_.symbol);
  Reply reply;
  Outcome outcome = Exchange(&command, deadline, &reply);
  return outcome.ok() ? FailedReply(reply) : outcome;
}

Outcome RunnerProcess::Define() {
  for (size_t c = 0; c < image_->calls().size(); ++c) {
    Command command;
    command.kind = CommandKind::kDefine;
    command.call = static_cast<uint32_t>(c);
    command.arguments = static_cast<uint32_t>(image_->calls()[c].arguments.size());
    for (size_t a = 0; a < command.arguments; ++a) command.slots[a] = image_->Slot(c, a);
    Reply reply;
    Outcome outcome = Exchange(&command, kSetUpDeadline, &reply);
    if (outcome.ok()) outcome = FailedReply(reply);
    if (!outcome.ok()) return outcome;
  }
  return {};
}

Outcome RunnerProcess::Call(uint32_t call, Clock::duration deadline, double* ns) {
  Command command;
  command.kind = CommandKind::kCall;
  command.call = call;
  Reply reply;
  Outcome outcome = Exchange(&command, deadline, &reply);
  if (!outcome.ok()) return outcome;
  if (ns != nullptr) *ns = static_cast<double>(reply.total_ns);
  return FailedReply(reply);
}

// A virtual machine can lose its core for milliseconds between the child's clock readings and the
// ends of the command; that time is charged to the child. So one implausible claim is measured
// again, and only a claim that stays implausible is a lie.
Outcome RunnerProcess::Measure(uint32_t call, uint64_t warmup, uint64_t batch, uint32_t samples,
                               Clock::duration deadline, TimedSamples* timed) {
  constexpr int kTries = 4;
  Outcome outcome;
  for (int i = 0; i < kTries; ++i) {
    outcome = MeasureOnce(call, warmup, batch, samples, deadline, timed);
    if (!outcome.ok()) return outcome;
    const std::string lie = ImplausibleClaim(*timed);
    if (lie.empty()) return {};
    outcome = {Outcome::Kind::kCheated, lie};
  }
  return outcome;
}

Outcome RunnerProcess::MeasureOnce(uint32_t call, uint64_t warmup, uint64_t batch, uint32_t samples,
                                   Clock::duration deadline, TimedSamples* timed) {
  Command command;
  command.kind = CommandKind::kMeasure;
  command.call = call;
  command.warmup = warmup;
  command.batch = std::max<uint64_t>(batch, 1);
  command.samples = std::min(samples, harness::kMaxSamples);
  Reply reply;
  const double cpu_before = CpuNs();
  const Clock::time_point begin = Clock::now();
  Outcome outcome = Exchange(&command, deadline, &reply);
  if (outcome.ok()) outcome = FailedReply(reply);
  if (!outcome.ok()) return outcome;
  timed->outer_ns = Nanoseconds(Clock::now() - begin);
  timed->cpu_ns = CpuNs() - cpu_before;
  timed->claimed_ns = static_cast<double>(reply.total_ns);
  timed->batch = command.batch;
  timed->ns.clear();
  if (reply.samples != command.samples)
    return {Outcome::Kind::kCheated, "gave another number of samples than asked"};
  for (uint32_t s = 0; s < command.samples; ++s) {
    timed->ns.push_back(static_cast<double>(reply.ns[s]) / static_cast<double>(command.batch));
  }
  return {};
}

Outcome RunnerProcess::FailedReply(const Reply& reply) const {
  std::string message(reply.message, strnlen(reply.message, sizeof(reply.message)));
  switch (reply.status) {
    case ReplyStatus::kDone:
      return {};
    case ReplyStatus::kCannotLoad:
    case ReplyStatus::kNoSymbol:
      return {Outcome::Kind::kUnusable, message};
    case ReplyStatus::kNotPinned:
    case ReplyStatus::kBroken:
      break;
  }
  return {Outcome::Kind::kBroken, message};
}

Outcome RunnerProcess::Exchange(Command* command, Clock::duration deadline, Reply* reply) {
  if (dead_) return {Outcome::Kind::kBroken, "the runner process has ended"};
  const char* during =
      command->kind == CommandKind::kLoad ? "while it was loaded" : "when it was called";
  const Clock::time_point end = Clock::now() + deadline;
  command->nonce = nonce_ = Mix64(nonce_);
  if (frozen_) Thaw();
  if (send(control_, command, sizeof(*command), MSG_NOSIGNAL) < 0) return Ended(during);
  for (;;) {
    pollfd waits[2] = {{control_, POLLIN, 0}, {process_, POLLIN, 0}};
    const Clock::duration left = end - Clock::now();
    if (left <= Clock::duration::zero()) {
      Kill();
      char text[80];
      std::snprintf(text, sizeof(text), "did not come back within %.1f s",
                    Nanoseconds(deadline) / 1e9);
      return {Outcome::Kind::kTimeout, text};
    }
    const auto slice =
        std::chrono::ceil<std::chrono::milliseconds>(std::min<Clock::duration>(left, kMemoryCheck));
    const int ready = poll(waits, 2, static_cast<int>(slice.count()));
    if (ready < 0 && errno != EINTR)
      return {Outcome::Kind::kBroken, std::string("poll: ") + std::strerror(errno)};
    if (ready > 0 && (waits[0].revents & POLLIN) != 0) {
      const ssize_t got = recv(control_, reply, sizeof(*reply), MSG_DONTWAIT);
      if (got == static_cast<ssize_t>(sizeof(*reply)) && reply->nonce == command->nonce) return {};
      if (got > 0) {
        Kill();
        return {Outcome::Kind::kCheated, "wrote a reply of its own to the judge"};
      }
    }
    if (ready > 0 && (waits[1].revents != 0 || (waits[0].revents & (POLLHUP | POLLERR)) != 0))
      return Ended(during);
    if (ready == 0 && ResidentBytes() > options_.limits.memory_bytes) {
      Kill();
      return {Outcome::Kind::kResources, "took more than " +
                                             std::to_string(options_.limits.memory_bytes >> 20) +
                                             " MiB of memory"};
    }
  }
}

// The process is gone, or has closed its end and is as good as gone.
Outcome RunnerProcess::Ended(const char* during) {
  siginfo_t info = {};
  // A dying process closes its files a moment before it is dead; one that closed its end and lives
  // on is not waited for.
  pollfd end = {process_, POLLIN, 0};
  while (poll(&end, 1, 1000) < 0 && errno == EINTR) {
  }
  const int waited = waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
  const bool ended = waited == 0 && info.si_pid == pid_;
  Kill();
  if (!ended)
    return {Outcome::Kind::kCheated, std::string("closed its connection with the judge ") + during};
  if (info.si_code == CLD_EXITED) {
    return {Outcome::Kind::kCrashed,
            "ended its own process with status " + std::to_string(info.si_status) + " " + during};
  }
  if (info.si_status == SIGKILL) {
    return {Outcome::Kind::kResources,
            std::string("was killed from outside ") + during + ", most likely for want of memory"};
  }
  if (info.si_status == SIGXCPU) {
    return {Outcome::Kind::kResources,
            "used more than " + std::to_string(options_.limits.cpu_seconds) + " s of CPU time"};
  }
  if (info.si_status == SIGABRT && StandardError().find("std::bad_alloc") != std::string::npos) {
    return {Outcome::Kind::kResources,
            std::string("found no memory ") + during + " (std::bad_alloc)"};
  }
  return {Outcome::Kind::kCrashed, SignalName(info.si_status) + ", " + during};
}

void RunnerProcess::Freeze() {
  if (dead_ || frozen_) return;
  kill(-pid_, SIGSTOP);
  siginfo_t info = {};
  while (waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WEXITED | WNOWAIT) < 0 &&
         errno == EINTR) {
  }
  if (info.si_code == CLD_STOPPED) {
    waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED);  // takes the stop, not an end
  }
  frozen_ = true;
}

void RunnerProcess::Thaw() {
  if (dead_ || !frozen_) return;
  kill(-pid_, SIGCONT);
  frozen_ = false;
}

Result<std::string> RunnerProcess::ReadRegion() const {
  std::string bytes = ReadUpTo(region_, region_bytes_);
  if (bytes.size() != region_bytes_) return SystemError("reading the arrays of a runner process");
  return bytes;
}

Status RunnerProcess::WriteRegion(const std::string& bytes) {
  if (bytes.size() != region_bytes_) return Error{Code::kInternal, "the region's size changed"};
  if (!WriteAll(region_, bytes)) return SystemError("writing the arrays of a runner process");
  return {};
}

std::string RunnerProcess::StandardOutput() const {
  return ReadUpTo(output_, options_.limits.output_bytes);
}
std::string RunnerProcess::StandardError() const {
  return ReadUpTo(error_, options_.limits.output_bytes);
}

double RunnerProcess::CpuNs() const {
  timespec now = {};
  if (dead_ || clock_gettime(cpu_clock_, &now) != 0) return 0;
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

uint64_t RunnerProcess::ResidentBytes() const {
  char path[64];
  std::snprintf(path, sizeof(path), "/proc/%d/statm", static_cast<int>(pid_));
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[128] = {};
  const ssize_t n = read(fd, text, sizeof(text) - 1);
  close(fd);
  unsigned long long size = 0, resident = 0;
  if (n <= 0 || std::sscanf(text, "%llu %llu", &size, &resident) != 2) return 0;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace kev
