// RunnerProcess: from launching it in a sandbox to having the kernel's library in it.
#include <fcntl.h>
#include <glob.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "engine/core/visible_text.h"
#include "runners/harness/argument_form.h"
#include "runners/harness/lift_fd.h"
#include "runners/harness/page_layout.h"
#include "runners/harness/runner_process.h"
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

int MemoryFile(const char* name, unsigned flags) {
  return LiftFd(memfd_create(name, MFD_CLOEXEC | flags));
}

void CopyText(char* to, size_t room, const std::string& text) {
  std::memcpy(to, text.data(), std::min(text.size(), room - 1));
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
  p.control_ = LiftFd(pair[0]);
  const int far_end = LiftFd(pair[1]);
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
                 {p.page_file_, harness::kPageFd},
                 {arena.input_file(), harness::kInputsFd}};
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

Outcome RunnerProcess::Prepare() {
  Outcome outcome = Configure();
  return outcome.ok() ? Define() : outcome;
}

Outcome RunnerProcess::Configure() {
  const PageLayout layout = LayoutFor(*arena_, 0);
  Command command;
  command.kind = CommandKind::kConfigure;
  command.arena_bytes = arena_->bytes();
  command.input_bytes = arena_->input_bytes();
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
    return Cheated("replied to the judge in the harness's name while it was loaded");
  }
  return FailedReply(reply);
}

Outcome RunnerProcess::FailedReply(const Reply& reply) const {
  // Names of symbols may have anything in them.
  const std::string message =
      VisibleLine({reply.message, strnlen(reply.message, sizeof(reply.message))});
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

}  // namespace kev
