// kevolve-runner: the process in which a candidate, baseline or reference runs. Started by
// RunnerProcess only, inside a sandbox.
//
// Does what the judge says: map the arrays, define a call, give up system calls, load a library,
// call it. Decides nothing, reads no clock and knows no expected value.
#include <dlfcn.h>
#include <ffi.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "runners/harness/runner_loop.h"
#include "runners/sandbox/syscall_filter.h"

namespace kev::harness {
namespace {

using Function = void (*)();

struct Definition {
  ffi_cif cif;
  ffi_cif setup_cif;
  ffi_type* types[kMaxArguments + 1];
  ffi_type* setup_types[kMaxArguments + 1];
  ArgumentForm forms[kMaxArguments];
  uint64_t words[kMaxArguments];  // of what is the same in all slots
  void** values;                  // slots * arguments: what ffi_call takes
  uint64_t* pointers;             // slots * arguments
  void* setup_values[kMaxArguments];
  PassedAs returns = PassedAs::kNothing;
  uint32_t arguments = 0;  // those that are passed
  uint32_t forms_count = 0;
  uint32_t slots = 0;
};

Definition g_calls[kMaxCalls];
char* g_arena = nullptr;
char* g_page_file = nullptr;
Function g_function = nullptr;
Function g_setup = nullptr;
Function g_teardown = nullptr;

void Configure(const Command& command, const Mapped& mapped, Reply* reply) {
  g_arena = mapped.arena;
  g_page_file = mapped.page_file;
  const auto* guards = reinterpret_cast<const uint64_t*>(g_page_file + command.guards);
  for (uint64_t i = 0; i < command.guard_count; ++i) {
    if (mprotect(g_arena + guards[i], 4096, PROT_NONE) != 0) {
      Say(reply, ReplyStatus::kBroken, "guarding the arrays", strerror(errno));
      return;
    }
  }
}

ffi_type* TypeOf(PassedAs as) {
  switch (as) {
    case PassedAs::kNothing:
      return &ffi_type_void;
    case PassedAs::kPointer:
      return &ffi_type_pointer;
    case PassedAs::kI64:
      return &ffi_type_sint64;
    case PassedAs::kI32:
      return &ffi_type_sint32;
    case PassedAs::kI16:
      return &ffi_type_sint16;
    case PassedAs::kI8:
      return &ffi_type_sint8;
    case PassedAs::kU32:
      return &ffi_type_uint32;
    case PassedAs::kU16:
      return &ffi_type_uint16;
    case PassedAs::kU8:
      return &ffi_type_uint8;
    case PassedAs::kF64:
      return &ffi_type_double;
    case PassedAs::kF32:
      return &ffi_type_float;
  }
  return &ffi_type_void;
}

void* Memory(uint64_t bytes) {
  void* at = mmap(nullptr, bytes == 0 ? 1 : bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  return at == MAP_FAILED ? nullptr : at;
}

// A workspace starts with what another program might have left in it.
void* Workspace(uint64_t bytes) {
  auto* at = static_cast<unsigned char*>(Memory(bytes));
  for (uint64_t i = 0; at != nullptr && i < bytes; ++i)
    at[i] = static_cast<unsigned char>((i * 2654435761u) >> 11);
  return at;
}

bool Prepare(Definition* call) {
  uint32_t in_setup = 0;
  for (uint32_t a = 0; a < call->arguments; ++a) {
    call->types[a] = TypeOf(call->forms[a].as);
    if (call->setup_values[a] != nullptr) {
      call->setup_types[in_setup] = call->types[a];
      call->setup_values[in_setup++] = &call->words[a];
    }
  }
  return ffi_prep_cif(&call->cif, FFI_DEFAULT_ABI, call->arguments, TypeOf(call->returns),
                      call->types) == FFI_OK &&
         ffi_prep_cif(&call->setup_cif, FFI_DEFAULT_ABI, in_setup, &ffi_type_void,
                      call->setup_types) == FFI_OK;
}

void Define(const Command& command, Reply* reply) {
  if (command.call >= kMaxCalls || command.arguments > kMaxArguments || command.slots > kMaxSlots ||
      g_arena == nullptr) {
    Say(reply, ReplyStatus::kBroken, "define", "too many calls, slots or arguments");
    return;
  }
  Definition& call = g_calls[command.call];
  call.forms_count = command.arguments;
  call.returns = command.returns;
  call.arguments = command.arguments - (command.returns != PassedAs::kNothing ? 1 : 0);
  call.slots = command.slots;
  memcpy(call.forms, command.forms, sizeof(call.forms));
  const uint64_t cells = uint64_t{command.slots} * command.arguments;
  call.values = static_cast<void**>(Memory(cells * sizeof(void*)));
  call.pointers = static_cast<uint64_t*>(Memory(cells * sizeof(uint64_t)));
  if (call.values == nullptr || call.pointers == nullptr) {
    Say(reply, ReplyStatus::kBroken, "define", "no memory");
    return;
  }
  for (uint32_t a = 0; a < command.arguments; ++a) {
    const ArgumentForm& form = call.forms[a];
    call.words[a] = form.value;
    if (form.kind == ArgumentKind::kShared)
      call.words[a] = reinterpret_cast<uint64_t>(g_arena + form.value);
    if (form.kind == ArgumentKind::kWorkspace)
      call.words[a] = reinterpret_cast<uint64_t>(Workspace(form.bytes));
    if (((command.setup_arguments >> a) & 1) != 0) call.setup_values[a] = &call.words[a];
  }
  const auto* table = reinterpret_cast<const uint64_t*>(g_page_file + command.table);
  for (uint64_t cell = 0; cell < cells; ++cell) {
    const uint64_t a = cell % command.arguments;
    if (call.forms[a].kind == ArgumentKind::kArray) {
      call.pointers[cell] = reinterpret_cast<uint64_t>(g_arena + table[cell]);
      call.values[cell] = &call.pointers[cell];
    } else {
      call.values[cell] = &call.words[a];
    }
  }
  if (!Prepare(&call)) Say(reply, ReplyStatus::kBroken, "define", "libffi refuses the signature");
}

void Load(const Command& command, Reply* reply) {
  void* library = dlopen(command.path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    Say(reply, ReplyStatus::kCannotLoad, "cannot load the library", dlerror());
    return;
  }
  const auto find = [library](const char* name) {
    return *name == '\0' ? nullptr : reinterpret_cast<Function>(dlsym(library, name));
  };
  g_function = find(command.symbol);
  g_setup = find(command.setup);
  g_teardown = find(command.teardown);
  if (g_function == nullptr) Say(reply, ReplyStatus::kNoSymbol, "no such function", command.symbol);
}

void Nothing() {}

// One byte of every cache line: read, and where the function will write, written back, so that the
// line belongs to this core alone.
void Touch(const Definition& call, uint32_t slot) {
  for (uint32_t a = 0; a < call.forms_count; ++a) {
    if (call.forms[a].kind != ArgumentKind::kArray) continue;
    auto* at =
        reinterpret_cast<volatile char*>(call.pointers[uint64_t{slot} * call.forms_count + a]);
    const bool written = call.forms[a].written != 0;
    for (uint64_t i = 0; i < call.forms[a].bytes; i += 64) {
      const char byte = at[i];
      if (written) at[i] = byte;
    }
  }
}

// All inputs are read, 64 bytes at a time, and all outputs written, from inputs while they last.
void Copy(const Definition& call, uint32_t slot) {
  using Line = uint64_t __attribute__((vector_size(64), aligned(1), may_alias));
  const uint64_t* pointers = call.pointers + uint64_t{slot} * call.forms_count;
  Line sum = {};
  for (uint32_t a = 0; a < call.forms_count; ++a) {
    const ArgumentForm& form = call.forms[a];
    if (form.kind != ArgumentKind::kArray || form.read == 0) continue;
    const auto* from = reinterpret_cast<const Line*>(pointers[a]);
    for (uint64_t i = 0; i < form.bytes / sizeof(Line); ++i) sum += from[i];
  }
  for (uint32_t a = 0; a < call.forms_count; ++a) {
    const ArgumentForm& form = call.forms[a];
    if (form.kind != ArgumentKind::kArray || form.written == 0) continue;
    auto* to = reinterpret_cast<Line*>(pointers[a]);
    for (uint64_t i = 0; i < form.bytes / sizeof(Line); ++i) to[i] = sum;
  }
}

void CallSlots(const OrderPage& page, const Definition& call, Function function) {
  union {
    ffi_arg word;
    double real;
    float narrow;
  } returned;
  Definition& mutable_call = const_cast<Definition&>(call);
  for (uint32_t i = 0; i < page.count; ++i) {
    const uint64_t first = uint64_t{page.slots[i]} * call.forms_count;
    ffi_call(&mutable_call.cif, function, &returned, call.values + first);
    if (call.returns != PassedAs::kNothing) {
      memcpy(reinterpret_cast<void*>(call.pointers[first + call.arguments]), &returned,
             call.forms[call.arguments].bytes);
    }
  }
  // Streaming stores are done before the answer: on another core nothing else orders them.
#if defined(__x86_64__)
  __builtin_ia32_sfence();
#endif
}

void Obey(const OrderPage& page) {
  const Definition& call = g_calls[page.call % kMaxCalls];
  switch (page.kind) {
    case OrderKind::kTouch:
      for (uint32_t i = 0; i < page.count; ++i) Touch(call, page.slots[i]);
      break;
    case OrderKind::kCall:
      CallSlots(page, call, g_function);
      break;
    case OrderKind::kNothing:
      CallSlots(page, call, Nothing);
      break;
    case OrderKind::kCopy:
      for (uint32_t i = 0; i < page.count; ++i) Copy(call, page.slots[i]);
      break;
    case OrderKind::kSetUp:
    case OrderKind::kTearDown: {
      const Function function = page.kind == OrderKind::kSetUp ? g_setup : g_teardown;
      Definition& mutable_call = const_cast<Definition&>(call);
      if (function != nullptr)
        ffi_call(&mutable_call.setup_cif, function, nullptr, mutable_call.setup_values);
      break;
    }
    case OrderKind::kClock:
      CountCycles(page.count);
      break;
    case OrderKind::kUpload:
    case OrderKind::kFetch:
    case OrderKind::kLeave:
      break;
  }
}

class CpuBackend final : public Backend {
 public:
  void Configure(const Command& command, const Mapped& mapped, Reply* reply) override {
    harness::Configure(command, mapped, reply);
  }
  void Define(const Command& command, Reply* reply) override { harness::Define(command, reply); }
  int Confine(const Command& command, Reply* reply) override {
    Result<int> confined = ConfineCalls({g_page_file + command.filter, command.filter_bytes});
    if (confined.ok()) return *confined;
    Say(reply, ReplyStatus::kBroken, "system calls", confined.error().message.c_str());
    return -1;
  }
  void Load(const Command& command, Reply* reply) override { harness::Load(command, reply); }
  void Obey(const OrderPage& page) override { harness::Obey(page); }
};

}  // namespace
}  // namespace kev::harness

int main() {
  kev::harness::CpuBackend backend;
  return kev::harness::RunServing("kevolve-runner", &backend);
}
