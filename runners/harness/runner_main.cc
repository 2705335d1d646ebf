// kevolve-runner: the process in which a candidate, baseline or reference runs. Started by
// RunnerProcess only.
//
// Confines itself (limits, no new privileges, death with the judge), then does what the judge's
// commands say: load, define a call, call it, time it. Decides nothing and knows no expected value.
#include <dlfcn.h>
#include <fcntl.h>
#include <ffi.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "runners/harness/clock.h"
#include "runners/harness/protocol.h"

namespace kev::harness {
namespace {

using Function = void (*)();

struct Definition {
  ffi_cif cif;
  ffi_type* types[kMaxArguments];
  int64_t words[kMaxArguments];  // pointers and scalars are both 64 bits wide
  void* values[kMaxArguments];
  ArgumentSlot slots[kMaxArguments];
  uint32_t count = 0;
};

Definition g_calls[kMaxCalls];
char* g_region = nullptr;
Function g_function = nullptr;
uint64_t g_disturbance = 0;

void Say(Reply* reply, ReplyStatus status, const char* what, const char* why) {
  reply->status = status;
  snprintf(reply->message, sizeof(reply->message), "%.100s: %.380s", what, why);
}

void Limit(__rlimit_resource_t resource, uint64_t value) {
  if (value == 0) return;
  rlimit limit = {};
  getrlimit(resource, &limit);
  limit.rlim_cur = value;
  if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > value) limit.rlim_max = value;
  if (limit.rlim_cur > limit.rlim_max) limit.rlim_cur = limit.rlim_max;
  setrlimit(resource, &limit);
}

void Configure(const Command& command, Reply* reply) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != command.parent) _exit(0);  // the judge died before the line above
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (chdir(command.path) != 0) {
    Say(reply, ReplyStatus::kBroken, command.path, strerror(errno));
    return;
  }
  g_region = static_cast<char*>(mmap(nullptr, command.region_bytes, PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_POPULATE, kRegionFd, 0));
  if (g_region == MAP_FAILED) {
    Say(reply, ReplyStatus::kBroken, "mapping the arrays", strerror(errno));
    return;
  }
  close(kRegionFd);
  signal(SIGXFSZ, SIG_IGN);  // printing too much is cut off, not deadly
  Limit(RLIMIT_CPU, command.cpu_seconds);
  Limit(RLIMIT_FSIZE, command.file_bytes);
  Limit(RLIMIT_NOFILE, command.open_files);
  Limit(RLIMIT_NPROC, command.processes);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // their shadows need terabytes
  Limit(RLIMIT_AS, command.address_bytes);
#endif
  rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  if (command.core >= 0) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(static_cast<size_t>(command.core), &cores);
    if (sched_setaffinity(0, sizeof(cores), &cores) != 0) {
      Say(reply, ReplyStatus::kNotPinned, "sched_setaffinity", strerror(errno));
    }
  }
}

void Define(const Command& command, Reply* reply) {
  if (command.call >= kMaxCalls || command.arguments > kMaxArguments || g_region == nullptr) {
    Say(reply, ReplyStatus::kBroken, "define", "too many calls or arguments");
    return;
  }
  Definition& call = g_calls[command.call];
  call.count = command.arguments;
  for (uint32_t i = 0; i < command.arguments; ++i) {
    call.slots[i] = command.slots[i];
    const bool array = command.slots[i].is_array != 0;
    call.types[i] = array ? &ffi_type_pointer : &ffi_type_sint64;
    call.words[i] = array ? reinterpret_cast<int64_t>(g_region + command.slots[i].value)
                          : command.slots[i].value;
    call.values[i] = &call.words[i];
  }
  if (ffi_prep_cif(&call.cif, FFI_DEFAULT_ABI, command.arguments, &ffi_type_void, call.types) !=
      FFI_OK) {
    Say(reply, ReplyStatus::kBroken, "define", "libffi refuses the signature");
  }
}

void Load(const Command& command, Reply* reply) {
  void* library = dlopen(command.path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    Say(reply, ReplyStatus::kCannotLoad, "cannot load the library", dlerror());
    return;
  }
  g_function = reinterpret_cast<Function>(dlsym(library, command.symbol));
  if (g_function == nullptr) Say(reply, ReplyStatus::kNoSymbol, "no such function", command.symbol);
}

// Overwrites a few elements of each output with plausible values, so that a call which leaves its
// result from the last time is seen when the judge compares.
void Disturb(Definition* call) {
  for (uint32_t i = 0; i < call->count; ++i) {
    const ArgumentSlot& slot = call->slots[i];
    if (slot.is_array == 0 || slot.disturb == 0 || slot.count == 0) continue;
    char* base = reinterpret_cast<char*>(call->words[i]);
    for (int n = 0; n < 32; ++n) {
      g_disturbance = g_disturbance * 6364136223846793005u + 1442695040888963407u;
      const uint64_t at = (g_disturbance >> 20) % slot.count;
      const auto bits = static_cast<uint32_t>(g_disturbance >> 40);
      const float f = static_cast<float>(bits) * 0x1p-24f + 0.25f;
      const double d = f;
      const auto i32 = static_cast<int32_t>(bits & 1023);
      const int64_t i64 = i32;
      switch (slot.element) {
        case Element::kF32:
          memcpy(base + at * 4, &f, 4);
          break;
        case Element::kF64:
          memcpy(base + at * 8, &d, 8);
          break;
        case Element::kI32:
          memcpy(base + at * 4, &i32, 4);
          break;
        case Element::kI64:
          memcpy(base + at * 8, &i64, 8);
          break;
        case Element::kU8:
          base[at] = static_cast<char>(bits);
          break;
      }
    }
  }
}

void Measure(const Command& command, Reply* reply) {
  Definition* call = &g_calls[command.call];
  const Function function = g_function;
  const uint64_t begin = NowNs();
  for (uint64_t i = 0; i < command.warmup; ++i)
    ffi_call(&call->cif, function, nullptr, call->values);
  uint64_t end = begin;
  g_disturbance = command.nonce;
  for (uint32_t s = 0; s < command.samples && s < kMaxSamples; ++s) {
    Disturb(call);
    const uint64_t before = NowNs();
    for (uint64_t i = 0; i < command.batch; ++i)
      ffi_call(&call->cif, function, nullptr, call->values);
    end = NowNs();
    reply->ns[s] = end - before;
  }
  reply->samples = command.samples;
  reply->total_ns = end - begin;
}

void Serve() {
  static Command command;
  static Reply reply;
  for (;;) {
    const ssize_t got = recv(kControlFd, &command, sizeof(command), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got != static_cast<ssize_t>(sizeof(command))) _exit(0);  // the judge is done
    reply = Reply();
    reply.nonce = command.nonce;
    const bool runs = command.kind == CommandKind::kCall || command.kind == CommandKind::kMeasure;
    if (runs &&
        (command.call >= kMaxCalls || g_function == nullptr || g_calls[command.call].count == 0)) {
      Say(&reply, ReplyStatus::kBroken, "call", "nothing is loaded or defined");
    } else if (command.kind == CommandKind::kConfigure) {
      Configure(command, &reply);
    } else if (command.kind == CommandKind::kDefine) {
      Define(command, &reply);
    } else if (command.kind == CommandKind::kLoad) {
      Load(command, &reply);
    } else if (command.kind == CommandKind::kCall) {
      Definition* call = &g_calls[command.call];
      const uint64_t before = NowNs();
      ffi_call(&call->cif, g_function, nullptr, call->values);
      reply.total_ns = NowNs() - before;
    } else {
      Measure(command, &reply);
    }
    fflush(
        nullptr);  // what the candidate printed must reach the judge even when it is killed later
    if (send(kControlFd, &reply, sizeof(reply), MSG_NOSIGNAL) < 0) _exit(0);
  }
}

}  // namespace
}  // namespace kev::harness

int main() {
  if (fcntl(kev::harness::kControlFd, F_GETFD) < 0 || fcntl(kev::harness::kRegionFd, F_GETFD) < 0) {
    fputs(
        "kevolve-runner runs kernels for kevolve's judge and is started by it; see "
        "runners/README.md\n",
        stderr);
    return 64;
  }
  close_range(kev::harness::kRegionFd + 1, ~0u, 0);
  kev::harness::Serve();
}
