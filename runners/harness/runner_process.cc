#include "runners/harness/runner_process.h"

#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
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
#include <mutex>

#include "engine/core/random.h"
#include "runners/harness/second_clock.h"
#include "runners/sandbox/library_closure.h"
#include "runners/sandbox/syscall_filter.h"

namespace kev {
namespace {

using harness::Command;
using harness::CommandKind;
using harness::OrderKind;
using harness::Reply;
using harness::ReplyStatus;
using Clock = RunnerProcess::Clock;

constexpr auto kSetUpDeadline = std::chrono::seconds(60);
constexpr auto kOrderDeadline = std::chrono::seconds(60);  // of orders that call no foreign code
constexpr auto kLook = std::chrono::milliseconds(1);  // how often death and limits are looked at
constexpr double kSpinNs = 25e6;         // after this the judge sleeps a little between looks
constexpr long kMostWaitNs = 1'000'000;  // of a patient judge, between looks
constexpr double kSleepShare = 512;  // of the time waited so far: what sleeping can add to a time
constexpr char kLibraryInside[] = "/kernel/kernel.so";
constexpr char kGpuDriver[] = "libcuda.so.1";
// A GPU's driver maps and opens much for itself.
constexpr uint64_t kGpuMemoryBytes = uint64_t{32} << 30;
constexpr uint64_t kGpuOpenFiles = 1024;

Error SystemError(const std::string& what) {
  const int code = errno;
  const bool passing = code == EAGAIN || code == EMFILE || code == ENFILE || code == ENOMEM;
  return Error{passing ? Code::kUnavailable : Code::kInternal, what + ": " + std::strerror(code)};
}

// File descriptors of the judge's end lie above those that the child gets, so that dup2 never meets
// one of them.
int Lift(int fd) {
  if (fd < 0) return fd;
  const int high = fcntl(fd, F_DUPFD_CLOEXEC, 32);
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

double Nanoseconds(Clock::duration d) {
  return static_cast<double>(std::chrono::duration_cast<std::chrono::nanoseconds>(d).count());
}

harness::ArgumentForm FormOf(const CallArgument& argument) {
  harness::ArgumentForm form;
  form.bytes = argument.bytes();
  form.read = argument.input() ? 1 : 0;
  form.written = argument.output() ? 1 : 0;
  switch (argument.kind) {
    case CallArgument::Kind::kScalar:
      form.kind = harness::ArgumentKind::kScalar;
      form.as = argument.as;
      form.value = argument.bits;
      break;
    case CallArgument::Kind::kConstant:
      form.kind = harness::ArgumentKind::kShared;
      break;
    case CallArgument::Kind::kWorkspace:
      form.kind = harness::ArgumentKind::kWorkspace;
      break;
    default:
      break;
  }
  return form;
}

// The order page, and behind it one table of offsets per call, the list of guard pages and the
// filter of system calls.
struct PageLayout {
  std::vector<uint64_t> tables;
  uint64_t guards = 0;
  uint64_t filter = 0;
  uint64_t bytes = 0;
};

PageLayout LayoutFor(const Arena& arena, size_t filter_bytes) {
  PageLayout layout;
  uint64_t at = sizeof(harness::OrderPage);
  for (size_t c = 0; c < arena.calls().size(); ++c) {
    layout.tables.push_back(at);
    at += uint64_t{arena.slots(c)} * arena.calls()[c].arguments.size() * sizeof(uint64_t);
  }
  layout.guards = at;
  layout.filter = at + arena.guards().size() * sizeof(uint64_t);
  layout.bytes = layout.filter + filter_bytes;
  return layout;
}

void WriteTables(const Arena& arena, const PageLayout& layout, char* page) {
  for (size_t c = 0; c < arena.calls().size(); ++c) {
    auto* table = reinterpret_cast<uint64_t*>(page + layout.tables[c]);
    for (uint32_t s = 0; s < arena.slots(c); ++s) {
      for (size_t a = 0; a < arena.calls()[c].arguments.size(); ++a)
        *table++ = arena.Offset(c, s, a);
    }
  }
  if (!arena.guards().empty())
    std::memcpy(page + layout.guards, arena.guards().data(),
                arena.guards().size() * sizeof(uint64_t));
}

// What the driver of an NVIDIA GPU needs to be used: its library, its devices, and a /proc. The
// variable KEVOLVE_CUDA_DRIVER names another library.
void AddGpu(SandboxPlan* plan, std::vector<std::string>* libraries) {
  const char* named = std::getenv("KEVOLVE_CUDA_DRIVER");
  libraries->emplace_back(named != nullptr ? named : kGpuDriver);
  if (named != nullptr) {
    const std::string path = named;
    plan->environment["KEVOLVE_CUDA_DRIVER"] = path.substr(path.rfind('/') + 1);
  }
  plan->environment["CUDA_CACHE_DISABLE"] = "1";
  plan->proc = true;
  glob_t found = {};
  for (const char* pattern : {"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia[0-9]*"}) {
    if (glob(pattern, 0, nullptr, &found) == 0) {
      for (size_t i = 0; i < found.gl_pathc; ++i) plan->devices.emplace_back(found.gl_pathv[i]);
    }
    globfree(&found);
  }
}

// A sandbox with the runner, the C and C++ runtime and the declared libraries in it, and nothing
// else. What files these are does not change while this process lives.
Result<SandboxPlan> PlanFor(std::vector<std::string> libraries, const DeviceCode& device) {
  static std::mutex mutex;
  static std::map<std::vector<std::string>, PathPairs> known;
  SandboxPlan plan;
  plan.argv = {SiblingProgram(device.on_host() ? "kevolve-runner" : "kevolve-runner-cuda")};
  if (!device.on_host()) AddGpu(&plan, &libraries);
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = known.find(libraries);
  if (found != known.end()) {
    plan.read_only = found->second;
    return plan;
  }
  Result<PathPairs> files = RuntimeFiles(plan.argv[0], libraries);
  if (!files.ok()) return files.error();
  plan.read_only = known[libraries] = std::move(*files);
  return plan;
}

const char* During(OrderKind kind) {
  switch (kind) {
    case OrderKind::kSetUp:
      return "in its set-up function";
    case OrderKind::kTearDown:
      return "in its tear-down function";
    default:
      return "when it was called";
  }
}

}  // namespace

Result<std::unique_ptr<RunnerProcess>> RunnerProcess::Start(const RunnerOptions& options,
                                                            const Arena& arena) {
  std::unique_ptr<RunnerProcess> process(new RunnerProcess);
  RunnerProcess& p = *process;
  p.options_ = options;
  p.arena_ = &arena;
  if (getrandom(&p.nonce_, sizeof(p.nonce_), 0) != static_cast<ssize_t>(sizeof(p.nonce_))) {
    return SystemError("getrandom for a runner process");
  }
  Result<std::string> filter = KernelFilter({harness::kControlFd});
  if (!filter.ok()) return filter.error();
  const PageLayout layout = LayoutFor(arena, filter->size());
  p.page_bytes_ = layout.bytes;
  p.output_ = MemoryFile("stdout", 0);
  p.error_ = MemoryFile("stderr", 0);
  p.page_file_ = MemoryFile("orders", MFD_ALLOW_SEALING);
  if (p.output_ < 0 || p.error_ < 0 || p.page_file_ < 0 ||
      ftruncate(p.page_file_, static_cast<off_t>(layout.bytes)) != 0 ||
      fcntl(p.page_file_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return SystemError("memfd_create for a runner process");
  void* page = mmap(nullptr, layout.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, p.page_file_, 0);
  if (page == MAP_FAILED) return SystemError("mapping a runner process's orders");
  p.page_ = static_cast<harness::OrderPage*>(page);
  WriteTables(arena, layout, static_cast<char*>(page));
  std::memcpy(static_cast<char*>(page) + layout.filter, filter->data(), filter->size());
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return SystemError("socketpair");
  p.control_ = Lift(pair[0]);
  const int far_end = Lift(pair[1]);
  const int yes = 1;  // replies say which process they come from, in this process's numbering
  setsockopt(p.control_, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes));

  const bool on_host = options.device.on_host();
  Result<SandboxPlan> plan = PlanFor(options.libraries, options.device);
  if (!plan.ok()) {
    close(far_end);
    return plan.error();
  }
  for (const auto& [name, value] : options.environment) plan->environment[name] = value;
  plan->read_only.emplace_back(options.library, kLibraryInside);
  plan->files = {{p.output_, 1},
                 {p.error_, 2},
                 {far_end, harness::kControlFd},
                 {arena.file(), harness::kArenaFd},
                 {p.page_file_, harness::kPageFd}};
  plan->core = options.core;
  plan->limits.cpu_seconds = options.limits.cpu_seconds;
  if (!on_host) p.options_.limits.memory_bytes += kGpuMemoryBytes;
  plan->limits.private_bytes = p.options_.limits.memory_bytes;
  plan->limits.file_bytes = options.limits.output_bytes;
  plan->limits.open_files = on_host ? options.limits.open_files : kGpuOpenFiles;
  plan->limits.processes = options.limits.tasks;
  const Result<Isolation> isolation = BestIsolation();
  if (!isolation.ok()) {
    close(far_end);
    return isolation.error();
  }
  Result<Launched> launched = LaunchSandboxed(*plan, *isolation);
  close(far_end);
  if (!launched.ok()) {
    Error error = launched.error();
    if (error.code == Code::kNotFound)
      error.message += "; kevolve-runner must lie beside the stage programs";
    return error;
  }
  p.launched_ = std::move(*launched);
  p.library_inside_ = PathInside(*plan, *isolation, kLibraryInside);
  p.isolation_ = Name(p.launched_.isolation);
  p.isolation_ += on_host ? ", seccomp" : ", device code";
  return process;
}

RunnerProcess::~RunnerProcess() {
  Kill();
  if (page_ != nullptr) munmap(page_, page_bytes_);
  for (int* fd : {&control_, &listener_, &page_file_, &output_, &error_}) CloseIfOpen(fd);
}

// Both ends: the runner itself, whose name space may outlive what was launched by a moment, and
// what was launched, with its whole group.
void RunnerProcess::Kill() {
  watched_.Kill();
  if (launched_.pid > 0) {
    KillSandboxed(launched_);
    if (!reaped_) waitpid(launched_.pid, nullptr, 0);
    launched_ = Launched();
  }
  dead_ = true;
}

Outcome RunnerProcess::Prepare() {
  Outcome outcome = Configure();
  return outcome.ok() ? Define() : outcome;
}

Outcome RunnerProcess::Configure() {
  const PageLayout layout = LayoutFor(*arena_, 0);
  Command command;
  command.kind = CommandKind::kConfigure;
  command.arena_bytes = arena_->bytes();
  command.page_bytes = page_bytes_;
  command.guards = layout.guards;
  command.guard_count = arena_->guards().size();
  command.patient = options_.patient ? 1 : 0;
  Reply reply;
  Outcome outcome = Exchange(&command, kSetUpDeadline, &reply);
  if (!outcome.ok()) {  // no foreign code is in it yet
    outcome.kind = Outcome::Kind::kBroken;
    outcome.message = "a runner process could not be set up: " + outcome.message + " " +
                      StandardError().substr(0, 300);
    return outcome;
  }
  return FailedReply(reply);
}

Outcome RunnerProcess::Define() {
  const PageLayout layout = LayoutFor(*arena_, 0);
  for (size_t c = 0; c < arena_->calls().size(); ++c) {
    const std::vector<CallArgument>& arguments = arena_->calls()[c].arguments;
    Command command;
    command.kind = CommandKind::kDefine;
    command.call = static_cast<uint32_t>(c);
    command.arguments = static_cast<uint32_t>(arguments.size());
    command.slots = arena_->slots(c);
    command.table = layout.tables[c];
    if (c < options_.device.launches.size()) {
      const DeviceLaunch& launch = options_.device.launches[c];
      std::copy(launch.grid.begin(), launch.grid.end(), command.grid);
      std::copy(launch.block.begin(), launch.block.end(), command.block);
      command.shared_bytes = launch.shared_bytes;
    }
    for (size_t a = 0; a < arguments.size(); ++a) {
      command.forms[a] = FormOf(arguments[a]);
      if (arguments[a].kind == CallArgument::Kind::kConstant)
        command.forms[a].value = arena_->Offset(c, 0, a);
      if (arguments[a].kind == CallArgument::Kind::kReturn) command.returns = arguments[a].as;
      if (arguments[a].in_setup) command.setup_arguments |= uint64_t{1} << a;
    }
    Reply reply;
    Outcome outcome = Exchange(&command, kSetUpDeadline, &reply);
    if (outcome.ok()) outcome = FailedReply(reply);
    if (!outcome.ok()) return outcome;
  }
  return {};
}

Outcome RunnerProcess::Load(Clock::duration deadline) {
  if (serving_) {
    OrderTimes times;
    const Outcome left = Order(OrderKind::kLeave, 0, {}, 0, kOrderDeadline, &times, nullptr);
    if (!left.ok()) return left;
    serving_ = false;
  }
  Reply reply;
  Outcome outcome;
  if (options_.device.on_host()) {
    Command confine;
    confine.kind = CommandKind::kConfine;
    confine.filter = LayoutFor(*arena_, 0).filter;
    confine.filter_bytes = page_bytes_ - confine.filter;
    outcome = Exchange(&confine, kSetUpDeadline, &reply);
    if (outcome.ok()) outcome = FailedReply(reply);
    if (!outcome.ok()) return outcome;
  }
  Command command;
  command.kind = CommandKind::kLoad;
  CopyText(command.path, sizeof(command.path), library_inside_);
  CopyText(command.symbol, sizeof(command.symbol), options_.symbol);
  CopyText(command.setup, sizeof(command.setup), options_.setup);
  CopyText(command.teardown, sizeof(command.teardown), options_.teardown);
  outcome = Exchange(&command, deadline, &reply);
  if (!outcome.ok()) return outcome;
  // Constructors have run: of the harness nothing can be broken any more, and the words may be
  // theirs.
  if (reply.status == ReplyStatus::kBroken) {
    Kill();
    return {Outcome::Kind::kCheated,
            "replied to the judge in the harness's name while it was loaded"};
  }
  return FailedReply(reply);
}

Outcome RunnerProcess::FailedReply(const Reply& reply) const {
  std::string message(reply.message, strnlen(reply.message, sizeof(reply.message)));
  switch (reply.status) {
    case ReplyStatus::kDone:
      return {};
    case ReplyStatus::kCannotLoad:
    case ReplyStatus::kNoSymbol:
      return {Outcome::Kind::kUnusable, message};
    case ReplyStatus::kBroken:
      break;
  }
  return {Outcome::Kind::kBroken, message};
}

// Whether a message waits; an end that was closed is none.
bool RunnerProcess::HasSpoken() const {
  char byte = 0;
  return recv(control_, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) > 0;
}

// Takes a reply with what came along: who sent it, and the listener for forbidden calls.
bool RunnerProcess::Receive(Reply* reply) {
  iovec part = {reply, sizeof(*reply)};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof(space);
  const ssize_t got = recvmsg(control_, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  pid_t sender = -1;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); got > 0 && header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET) continue;
    if (header->cmsg_type == SCM_CREDENTIALS) {
      ucred from = {};
      std::memcpy(&from, CMSG_DATA(header), sizeof(from));
      sender = from.pid;
    } else if (header->cmsg_type == SCM_RIGHTS) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header), sizeof(fd));
      fd = Lift(fd);
      if (listener_ < 0)
        listener_ = fd;
      else
        close(fd);
    }
  }
  if (!watched_.known() && sender > 0) watched_.Know(sender);
  return got == static_cast<ssize_t>(sizeof(*reply));
}

Outcome RunnerProcess::Exchange(Command* command, Clock::duration deadline, Reply* reply) {
  if (dead_) return {Outcome::Kind::kBroken, "the runner process has ended"};
  const char* during =
      command->kind == CommandKind::kLoad ? "while it was loaded" : "when it was started";
  const Clock::time_point end = Clock::now() + deadline;
  command->nonce = nonce_ = Mix64(nonce_);
  if (frozen_) Thaw();
  if (send(control_, command, sizeof(*command), MSG_NOSIGNAL) < 0) return Ended(during);
  for (;;) {
    if (Clock::now() >= end) return TimedOut(deadline);
    pollfd waits[3] = {{control_, POLLIN, 0}, {Lifeline(), POLLIN, 0}, {listener_, POLLIN, 0}};
    const int ready = poll(waits, 3, 5);
    if (ready < 0 && errno != EINTR)
      return {Outcome::Kind::kBroken, std::string("poll: ") + std::strerror(errno)};
    if (ready > 0 && HasSpoken()) {
      if (Receive(reply) && reply->nonce == command->nonce) return {};
      Kill();
      return {Outcome::Kind::kCheated, "wrote a reply of its own to the judge"};
    }
    if (ready >= 0) {
      if (Outcome bad = LookAround(during); !bad.ok()) return bad;
    }
  }
}

// What tells of the process's end: the runner itself once it is known, else what was launched.
int RunnerProcess::Lifeline() const {
  return watched_.known() ? watched_.pidfd() : launched_.pidfd;
}

// Whether it died, made a call that it must not make, or takes too much.
Outcome RunnerProcess::LookAround(const char* during) {
  pollfd waits[3] = {{control_, 0, 0}, {Lifeline(), POLLIN, 0}, {listener_, POLLIN, 0}};
  const int ready = poll(waits, 3, 0);
  if (ready > 0 && (waits[2].revents & POLLIN) != 0) return Forbidden(during);
  if (ready > 0 && (waits[1].revents != 0 || (waits[0].revents & (POLLHUP | POLLERR)) != 0))
    return Ended(during);
  if (watched_.known() &&
      watched_.ResidentBytes() > options_.limits.memory_bytes + arena_->bytes()) {
    Kill();
    return {
        Outcome::Kind::kResources,
        "took more than " + std::to_string(options_.limits.memory_bytes >> 20) + " MiB of memory"};
  }
  return {};
}

Outcome RunnerProcess::Forbidden(const char* during) {
  const std::optional<CaughtCall> call = NextCall(listener_);
  if (!call.has_value()) return {};
  Kill();
  return {Outcome::Kind::kCheated, "made the system call " + CallName(call->number) + " " + during +
                                       ", which no kernel needs and none may make"};
}

Outcome RunnerProcess::TimedOut(Clock::duration deadline) {
  Kill();
  char text[80];
  std::snprintf(text, sizeof(text), "did not come back within %.1f s", Nanoseconds(deadline) / 1e9);
  return {Outcome::Kind::kTimeout, text};
}

// The process is gone, or has closed its end and is as good as gone.
Outcome RunnerProcess::Ended(const char* during) {
  // A dying process closes its files a moment before it is dead; one that closed its end and lives
  // on is not waited for.
  pollfd end = {Lifeline(), POLLIN, 0};
  while (poll(&end, 1, 1000) < 0 && errno == EINTR) {
  }
  const bool ended = end.revents != 0;
  if (!ended) {
    Kill();
    return {Outcome::Kind::kCheated, std::string("closed its connection with the judge ") + during};
  }
  const std::string limit = LimitReached(launched_);
  pollfd outer = {launched_.pidfd, POLLIN, 0};
  while (poll(&outer, 1, 2000) < 0 && errno == EINTR) {
  }
  int status = 0;
  SandboxEnd how{true, SIGKILL};
  if (waitpid(launched_.pid, &status, WNOHANG) == launched_.pid) {
    reaped_ = true;
    how = EndOf(launched_, status);
  }
  Kill();
  if (!limit.empty())
    return {Outcome::Kind::kResources, "used up its limit of " + limit + " " + during};
  return OutcomeOfEnd({how.signalled ? how.number : 0, how.signalled ? 0 : how.number}, during,
                      StandardError(), options_.limits.cpu_seconds);
}

Outcome RunnerProcess::Order(OrderKind kind, uint32_t call, std::span<const uint16_t> slots,
                             uint32_t count, Clock::duration deadline, OrderTimes* times,
                             const std::function<void()>& at_mark) {
  if (dead_) return {Outcome::Kind::kBroken, "the runner process has ended"};
  if (!serving_) {
    Command command;
    command.kind = CommandKind::kServe;
    Reply reply;
    if (Outcome outcome = Exchange(&command, kSetUpDeadline, &reply); !outcome.ok()) return outcome;
    serving_ = true;
  }
  // Between orders the process has nothing to say.
  if (HasSpoken()) {
    Kill();
    return {Outcome::Kind::kCheated, "wrote a reply of its own to the judge"};
  }
  page_->kind = kind;
  page_->call = call;
  page_->count = count;
  std::copy(slots.begin(), slots.end(), page_->slots);
  ++order_;
  const Clock::time_point begin = Clock::now();
  const uint64_t begin_ticks = SecondClock();
  page_->order.store(order_, std::memory_order_release);
  if (frozen_) Thaw();  // an order to a frozen process is timed from the thaw
  if (options_.patient) harness::WakeWaiting(&page_->order);
  // When the last look that saw no answer began: a judge that is held up anywhere after it is late.
  Clock::time_point last = begin;
  Clock::time_point now = begin, looked = begin;
  for (;; now = Clock::now()) {
    const uint32_t answer = page_->answer.load(std::memory_order_acquire);
    if (answer == order_) break;
    last = now;
    if (options_.patient) {
      harness::WaitForChange(&page_->answer, answer, kMostWaitNs);
    } else {
      harness::Pause();  // the core's other hardware thread may be the one that is timed
    }
    if (now - looked < kLook) continue;
    if (now - begin > deadline) return TimedOut(deadline);
    if (Outcome bad = LookAround(During(kind)); !bad.ok()) return bad;
    const double waited = Nanoseconds(now - begin);
    // A nap makes the judge late, which excuses what a process does before the clock.
    if (!options_.patient && waited > kSpinNs && kind != OrderKind::kTouch) {
      const auto nap = static_cast<long>(waited / kSleepShare);
      const timespec sleep = {nap / 1000000000, nap % 1000000000};
      pollfd life = {Lifeline(), POLLIN, 0};
      ppoll(&life, 1, &sleep, nullptr);
    }
    looked = now;
  }
  const Clock::time_point end = Clock::now();
  times->ticks = SecondClock() - begin_ticks;
  if (at_mark) at_mark();
  times->ns = Nanoseconds(end - begin);
  times->late_ns = Nanoseconds(end - last);
  return {};
}

Outcome RunnerProcess::Touch(uint32_t call, std::span<const uint16_t> slots, OrderTimes* times) {
  return Order(OrderKind::kTouch, call, slots, static_cast<uint32_t>(slots.size()), kOrderDeadline,
               times, nullptr);
}

Outcome RunnerProcess::Call(uint32_t call, std::span<const uint16_t> slots,
                            Clock::duration deadline, OrderTimes* times,
                            const std::function<void()>& at_mark) {
  if (!options_.device.on_host()) return CallOnDevice(call, slots, deadline, times);
  return Order(OrderKind::kCall, call, slots, static_cast<uint32_t>(slots.size()), deadline, times,
               at_mark);
}

Outcome RunnerProcess::CallOnDevice(uint32_t call, std::span<const uint16_t> slots,
                                    Clock::duration deadline, OrderTimes* times) {
  OrderTimes there, back;
  Outcome outcome = Order(OrderKind::kUpload, call, slots, static_cast<uint32_t>(slots.size()),
                          kOrderDeadline, &there, nullptr);
  if (outcome.ok() && !options_.patient) {
    OrderTimes touched;
    outcome = Touch(call, slots, &touched);
    there.ns += touched.ns;
  }
  if (outcome.ok())
    outcome = Order(OrderKind::kCall, call, slots, static_cast<uint32_t>(slots.size()), deadline,
                    times, nullptr);
  if (outcome.ok())
    outcome = Order(OrderKind::kFetch, call, slots, static_cast<uint32_t>(slots.size()),
                    kOrderDeadline, &back, nullptr);
  times->around_ns = there.ns + back.ns;
  return outcome;
}

Outcome RunnerProcess::CallNothing(uint32_t call, std::span<const uint16_t> slots,
                                   OrderTimes* times) {
  return Order(OrderKind::kNothing, call, slots, static_cast<uint32_t>(slots.size()),
               kOrderDeadline, times, nullptr);
}

Outcome RunnerProcess::Copy(uint32_t call, std::span<const uint16_t> slots, OrderTimes* times) {
  return Order(OrderKind::kCopy, call, slots, static_cast<uint32_t>(slots.size()), kOrderDeadline,
               times, nullptr);
}

Outcome RunnerProcess::SetUp(uint32_t call, Clock::duration deadline, OrderTimes* times) {
  return Order(OrderKind::kSetUp, call, {}, 0, deadline, times, nullptr);
}

Outcome RunnerProcess::TearDown(uint32_t call, Clock::duration deadline, OrderTimes* times) {
  return Order(OrderKind::kTearDown, call, {}, 0, deadline, times, nullptr);
}

Outcome RunnerProcess::MeasureClock(double* ghz) {
  constexpr uint32_t kThousands = 50;  // chains of 2000 additions each: see CountCycles
  // The fastest is the one that nothing held up. Among few all may have been, on a busy machine:
  // then no two agree, or the judge was late for all of them.
  constexpr int kRepeats = 5, kMostRepeats = 60;
  constexpr double kAgree = 1.05;
  double next = 0;
  bool seen_in_time = false;
  *ghz = 0;
  for (int i = 0; i < kRepeats || (i < kMostRepeats && (!seen_in_time || *ghz > kAgree * next));
       ++i) {
    OrderTimes times;
    Outcome outcome = Order(OrderKind::kClock, 0, {}, kThousands, kOrderDeadline, &times, nullptr);
    if (!outcome.ok()) return outcome;
    const double now = kThousands * 2000.0 / times.ns;
    seen_in_time = seen_in_time || times.late_ns < (kAgree - 1) * times.ns;
    next = std::max(next, std::min(*ghz, now));
    *ghz = std::max(*ghz, now);
  }
  return {};
}

Outcome RunnerProcess::Freeze() {
  if (dead_ || frozen_) return {};
  frozen_ = watched_.Freeze();
  if (frozen_) return {};
  Kill();
  return {Outcome::Kind::kCheated, "could not be stopped between the judge's orders"};
}

void RunnerProcess::Thaw() {
  if (dead_ || !frozen_) return;
  watched_.Thaw();
  frozen_ = false;
}

std::string RunnerProcess::StandardOutput() const {
  return ReadUpTo(output_, options_.limits.output_bytes);
}
std::string RunnerProcess::StandardError() const {
  return ReadUpTo(error_, options_.limits.output_bytes);
}

}  // namespace kev
