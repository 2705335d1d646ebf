// kevolve-count: calls a library's function a few times on given inputs, to be run under valgrind.
// Started by the profile stage, in a sandbox.
//
// usage: kevolve-count LIBRARY FUNCTION SETUP FILE
// SETUP: a function that is called once before, "" for none. FILE: see counted_call.h. Exit codes:
// 0 called; 2 wrong use; 3 the library cannot be used.
#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "runners/analysis/counted_call.h"

namespace kev::harness {
namespace {

using Function = void (*)();

struct Given {
  ArgumentForm form;
  std::string bytes;     // of what is read, as it is before each call
  std::vector<char> at;  // the array
  uint64_t word = 0;     // what is passed
};

template <typename T>
bool Read(std::istream& file, T* to) {
  return static_cast<bool>(file.read(reinterpret_cast<char*>(to), sizeof(T)));
}

bool ReadArguments(std::istream& file, std::vector<Given>* arguments) {
  constexpr size_t kLine = 64;
  for (Given& one : *arguments) {
    if (!Read(file, &one.form)) return false;
    one.word = one.form.value;
    if (one.form.kind == ArgumentKind::kScalar) continue;
    const bool workspace = one.form.kind == ArgumentKind::kWorkspace;
    const uint64_t bytes = workspace ? one.form.value : one.form.bytes;
    one.at.resize(bytes + kLine);
    if (!workspace && (one.form.read != 0 || one.form.kind == ArgumentKind::kShared)) {
      one.bytes.resize(bytes);
      if (!file.read(one.bytes.data(), static_cast<std::streamsize>(bytes))) return false;
    }
    // On a cache line, as the harness has them.
    const auto address = reinterpret_cast<uint64_t>(one.at.data());
    one.word = (address + kLine - 1) / kLine * kLine;
    std::memcpy(reinterpret_cast<void*>(one.word), one.bytes.data(), one.bytes.size());
  }
  return true;
}

// What is passed as one word. Narrow integers are widened, as callers do.
uint64_t Widened(PassedAs as, uint64_t bits) {
  switch (as) {
    case PassedAs::kI32:
      return static_cast<uint64_t>(static_cast<int32_t>(bits));
    case PassedAs::kI16:
      return static_cast<uint64_t>(static_cast<int16_t>(bits));
    case PassedAs::kI8:
      return static_cast<uint64_t>(static_cast<int8_t>(bits));
    case PassedAs::kU32:
      return static_cast<uint32_t>(bits);
    case PassedAs::kU16:
      return static_cast<uint16_t>(bits);
    case PassedAs::kU8:
      return static_cast<uint8_t>(bits);
    default:
      return bits;
  }
}

// A call as x86-64's System V ABI has it: six integers and pointers and eight floats in registers,
// each kind in its order, all others on the stack in theirs; more than a function takes harms
// nothing. Not by libffi, within whose change of stacks callgrind loses the function.
struct Words {
  uint64_t integers[6] = {};
  double floats[8] = {};
  uint64_t stack[kMaxArguments] = {};

  explicit Words(const std::vector<Given*>& given) {
    size_t at[3] = {};
    for (const Given* one : given) {
      const PassedAs as = one->form.as;
      const bool real = as == PassedAs::kF64 || as == PassedAs::kF32;
      const uint64_t word = Widened(as, one->word);
      if (real && at[1] < std::size(floats))
        std::memcpy(&floats[at[1]++], &word, sizeof(word));
      else if (!real && at[0] < std::size(integers))
        integers[at[0]++] = word;
      else
        stack[at[2]++] = word;
    }
  }

  template <typename T, size_t>
  using One = T;
  template <size_t... I, size_t... F, size_t... S>
  void Call(Function function, std::index_sequence<I...>, std::index_sequence<F...>,
            std::index_sequence<S...>) const {
    const auto typed =
        reinterpret_cast<void (*)(One<uint64_t, I>..., One<double, F>..., One<uint64_t, S>...)>(
            function);
    typed(integers[I]..., floats[F]..., stack[S]...);
  }
  void Call(Function function) const {
    Call(function, std::make_index_sequence<std::size(decltype(integers){})>(),
         std::make_index_sequence<std::size(decltype(floats){})>(),
         std::make_index_sequence<std::size(decltype(stack){})>());
  }
};

// A function of `given`, called `calls` times; what it reads and writes is put back before each.
void Call(Function function, uint32_t calls, const std::vector<Given*>& given) {
  const Words words(given);
  for (uint32_t i = 0; i < calls; ++i) {
    for (const Given* one : given) {
      if (one->form.written != 0 && !one->bytes.empty())
        std::memcpy(reinterpret_cast<void*>(one->word), one->bytes.data(), one->bytes.size());
    }
    words.Call(function);
  }
}

int Fail(const char* what, const char* why) {
  std::fprintf(stderr, "kevolve-count: %s: %s\n", what, why);
  return 3;
}

// No other program takes this process's place: it would not be counted, and could write counts
// itself. Where that cannot be had there are no counts.
bool StayThisProgram() {
  sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execve, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execveat, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{static_cast<unsigned short>(std::size(steps)), steps};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

int Main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr,
                 "usage: kevolve-count LIBRARY FUNCTION SETUP FILE\n"
                 "counts for a kernel's profile; started by kevolve-profile under valgrind\n");
    return 2;
  }
  std::ifstream file(argv[4], std::ios::binary);
  CountedCall call;
  if (!Read(file, &call) || call.arguments > kMaxArguments) return Fail(argv[4], "is no call");
  std::vector<Given> arguments(call.arguments);
  if (!ReadArguments(file, &arguments)) return Fail(argv[4], "is cut off");
  if (!StayThisProgram()) return Fail("cannot confine itself", std::strerror(errno));
  void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return Fail("cannot load the library", dlerror());
  const auto find = [library](const char* name) {
    return *name == '\0' ? nullptr : reinterpret_cast<Function>(dlsym(library, name));
  };
  const Function function = find(argv[2]), setup = find(argv[3]);
  if (function == nullptr) return Fail("no such function", argv[2]);
  std::vector<Given*> passed, in_setup;
  const bool returns = call.returns != PassedAs::kNothing;
  for (size_t a = 0; a + (returns ? 1 : 0) < arguments.size(); ++a) {
    passed.push_back(&arguments[a]);
    if (((call.setup_arguments >> a) & 1) != 0) in_setup.push_back(&arguments[a]);
  }
  if (setup != nullptr) Call(setup, 1, in_setup);
  Call(function, call.calls, passed);
  return 0;
}

}  // namespace
}  // namespace kev::harness

int main(int argc, char** argv) { return kev::harness::Main(argc, argv); }
