// kevolve-runner-cuda: the process that runs kernels of a cubin on an NVIDIA GPU. Started by
// RunnerProcess only, inside a sandbox that has the GPU's devices and driver in it.
//
// The arena has a copy in the GPU's memory, at the same offsets: kUpload and kFetch move what is
// called, with the canaries round it, so that what a kernel wrote past its arrays is seen. No
// foreign code runs on the host: a cubin has none. A kernel that faults leaves the context
// unusable: the process says why on standard error and ends as a host function would that did the
// same.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "runners/cuda/driver.h"
#include "runners/harness/runner_loop.h"

namespace kev::harness {
namespace {

constexpr int kIllegalAddress = 700, kMisalignedAddress = 716, kInvalidAddressSpace = 717;
constexpr unsigned char kLeftOver = 0xa5;  // in a workspace at first
constexpr uint64_t kScratchBytes = 64 << 20;
constexpr uint64_t kTouchBytes = uint64_t{3} << 30;  // a millisecond or two
constexpr uint64_t kCopyCost = 4 << 20;              // what starting a copy is worth in bytes

struct Definition {
  std::vector<ArgumentForm> forms;
  std::vector<uint64_t> words;  // slots * arguments: what each argument's value is
  std::vector<void*> values;    // slots * arguments: what a launch takes
  uint32_t grid[3] = {1, 1, 1}, block[3] = {1, 1, 1};
  uint32_t shared_bytes = 0;
};

class CudaBackend final : public Backend {
 public:
  void Configure(const Command&, const Mapped& mapped, Reply* reply) override {
    mapped_ = mapped;
    const char* library = std::getenv("KEVOLVE_CUDA_DRIVER");
    const std::string fault = cuda::LoadDriver(library ? library : "libcuda.so.1", &driver_);
    if (!fault.empty()) return Say(reply, ReplyStatus::kBroken, "GPU", fault.c_str());
    cuda::Device device = 0;
    cuda::Context context = nullptr;
    // A little is gained by registered memory, and nothing lost without.
    const auto registered = [&] {
      (void)driver_.HostRegister(mapped_.arena, mapped_.arena_bytes, 0);
      return cuda::kSuccess;
    };
    if (Bad(driver_.Init(0), "starting the driver", reply) ||
        Bad(driver_.DeviceGet(&device, 0), "the first device", reply) ||
        Bad(driver_.PrimarySetFlags(device, cuda::kSpinWhileWaiting), "how to wait", reply) ||
        Bad(driver_.PrimaryRetain(&context, device), "a context", reply) ||
        Bad(driver_.SetCurrent(context), "the context", reply) ||
        Bad(driver_.StreamCreate(&stream_, cuda::kOwnStream), "a stream", reply) ||
        Bad(driver_.MemAlloc(&arena_, mapped_.arena_bytes), "memory for the arrays", reply) ||
        Bad(registered(), "the arrays' memory", reply))
      return;
  }

  void Define(const Command& command, Reply* reply) override {
    if (command.call >= kMaxCalls || command.arguments > kMaxArguments ||
        command.slots > kMaxSlots || arena_ == 0)
      return Say(reply, ReplyStatus::kBroken, "define", "too many calls, slots or arguments");
    if (command.returns != PassedAs::kNothing || command.setup_arguments != 0)
      return Say(reply, ReplyStatus::kBroken, "define",
                 "a GPU kernel returns nothing and has no set-up function");
    if (calls_.size() <= command.call) calls_.resize(command.call + 1);
    Definition& call = calls_[command.call];
    call.forms.assign(command.forms, command.forms + command.arguments);
    std::copy(command.grid, command.grid + 3, call.grid);
    std::copy(command.block, command.block + 3, call.block);
    call.shared_bytes = command.shared_bytes;
    std::vector<uint64_t> same(command.arguments);
    for (uint32_t a = 0; a < command.arguments; ++a) {
      const ArgumentForm& form = call.forms[a];
      same[a] = form.value;
      if (form.kind == ArgumentKind::kShared) same[a] = arena_ + form.value;
      if (form.kind != ArgumentKind::kWorkspace) continue;
      cuda::DevicePointer at = 0;
      const size_t bytes = std::max<uint64_t>(form.bytes, 1);
      if (Bad(driver_.MemAlloc(&at, bytes), "memory for a workspace", reply) ||
          Bad(driver_.MemSet(at, kLeftOver, bytes), "filling a workspace", reply))
        return;
      same[a] = at;
    }
    const auto* table = reinterpret_cast<const uint64_t*>(mapped_.page_file + command.table);
    call.words.resize(uint64_t{command.slots} * command.arguments);
    call.values.resize(call.words.size());
    for (size_t cell = 0; cell < call.words.size(); ++cell) {
      const size_t a = cell % command.arguments;
      call.words[cell] =
          call.forms[a].kind == ArgumentKind::kArray ? arena_ + table[cell] : same[a];
      call.values[cell] = &call.words[cell];
    }
  }

  // No foreign code runs on the host.
  int Confine(const Command&, Reply*) override { return -1; }

  void Load(const Command& command, Reply* reply) override {
    const int file = open(command.path, O_RDONLY | O_CLOEXEC);
    struct stat info = {};
    if (file < 0 || fstat(file, &info) != 0)
      return Say(reply, ReplyStatus::kCannotLoad, "cannot read the cubin", command.path);
    image_.resize(static_cast<size_t>(info.st_size));
    const bool whole = read(file, image_.data(), image_.size()) == info.st_size;
    close(file);
    if (!whole) return Say(reply, ReplyStatus::kCannotLoad, "cannot read the cubin", command.path);
    cuda::Module module = nullptr;
    if (const cuda::Status status = driver_.ModuleLoadData(&module, image_.data());
        status != cuda::kSuccess)
      return Say(reply, ReplyStatus::kCannotLoad, "cannot load the cubin",
                 cuda::Describe(driver_, status).c_str());
    if (driver_.ModuleGetFunction(&function_, module, command.symbol) != cuda::kSuccess)
      return Say(reply, ReplyStatus::kNoSymbol, "no such kernel", command.symbol);
    uint32_t shared = 0;
    for (const Definition& call : calls_) shared = std::max(shared, call.shared_bytes);
    if (shared <= cuda::kPlainSharedBytes) return;
    if (const cuda::Status status = driver_.SetFunctionAttribute(
            function_, cuda::kMostDynamicSharedBytes, static_cast<int>(shared));
        status != cuda::kSuccess)
      Say(reply, ReplyStatus::kCannotLoad,
          ("no block can have " + std::to_string(shared) + " bytes of shared memory").c_str(),
          cuda::Describe(driver_, status).c_str());
  }

  void Obey(const OrderPage& page) override {
    if (page.kind == OrderKind::kClock) return CountCycles(page.count);
    if (page.call >= calls_.size()) return;
    if (page.kind == OrderKind::kUpload || page.kind == OrderKind::kFetch) return Move(page);
    if (page.kind == OrderKind::kTouch) return Touch(page);
    Definition& call = calls_[page.call];
    const size_t arguments = call.forms.size();
    for (uint32_t i = 0; i < page.count; ++i) {
      void** values = call.values.data() + page.slots[i] * arguments;
      if (page.kind == OrderKind::kCall)
        Must(driver_.Launch(function_, call.grid[0], call.grid[1], call.grid[2], call.block[0],
                            call.block[1], call.block[2], call.shared_bytes, stream_, values,
                            nullptr),
             "launch");
      if (page.kind == OrderKind::kCopy) Copy(call, call.words.data() + page.slots[i] * arguments);
    }
    // What a kernel costs that does next to nothing: how long it takes until one begins, and until
    // its end is known. Calls behind the first begin while it runs.
    if (page.kind == OrderKind::kNothing || (page.kind == OrderKind::kCall && page.count == 0))
      Must(driver_.MemSetAsync(arena_, 0, 1, stream_), "empty kernel");
    // Children that a kernel started, and other streams, too.
    if (page.kind == OrderKind::kCall || page.kind == OrderKind::kNothing ||
        page.kind == OrderKind::kCopy)
      Must(driver_.ContextSynchronize(), "kernel");
  }

 private:
  // The slots' arrays and the constants, each with the zone on both sides of it. Arrays of a slot
  // lie side by side.
  void Move(const OrderPage& page) {
    const Definition& call = calls_[page.call];
    const auto move = [&](uint64_t begin, uint64_t end) {
      begin = begin - std::min(begin, kZoneBytes);
      end = std::min(end + kZoneBytes, mapped_.arena_bytes);
      if (begin >= end) return;
      Must(page.kind == OrderKind::kUpload
               ? driver_.CopyToDevice(arena_ + begin, mapped_.arena + begin, end - begin)
               : driver_.CopyToHost(mapped_.arena + begin, arena_ + begin, end - begin),
           page.kind == OrderKind::kUpload ? "upload" : "fetch");
    };
    for (uint32_t i = 0; i < page.count; ++i) {
      const uint64_t* words = call.words.data() + page.slots[i] * call.forms.size();
      uint64_t begin = UINT64_MAX, end = 0;
      for (size_t a = 0; a < call.forms.size(); ++a) {
        const ArgumentForm& form = call.forms[a];
        if (form.kind == ArgumentKind::kShared && i == 0) move(form.value, form.value + form.bytes);
        if (form.kind != ArgumentKind::kArray) continue;
        begin = std::min(begin, words[a] - arena_);
        end = std::max(end, words[a] - arena_ + form.bytes);
      }
      move(begin, end);
    }
  }

  // Reads the slots' arrays, over and over, into nowhere: the caches hold the newest of them, and
  // the device's clock is up, which it is not after some milliseconds without work.
  void Touch(const OrderPage& page) {
    Definition& call = calls_[page.call];
    if (scratch_ == 0) Must(driver_.MemAlloc(&scratch_, kScratchBytes), "scratch memory");
    uint64_t moved = 0;
    while (page.count > 0 && moved < kTouchBytes) {
      const uint64_t before = moved;
      for (uint32_t i = 0; i < page.count; ++i) {
        const uint64_t* words = call.words.data() + page.slots[i] * call.forms.size();
        for (size_t a = 0; a < call.forms.size(); ++a) {
          if (call.forms[a].kind != ArgumentKind::kArray || call.forms[a].bytes == 0) continue;
          const uint64_t bytes = std::min(call.forms[a].bytes, kScratchBytes);
          Must(driver_.CopyOnDevice(scratch_, words[a], bytes, stream_), "touch");
          moved += bytes + kCopyCost;
        }
      }
      if (moved == before) break;
    }
    Must(driver_.ContextSynchronize(), "touch");
  }

  bool Bad(cuda::Status status, const char* what, Reply* reply) const {
    if (status == cuda::kSuccess) return false;
    Say(reply, ReplyStatus::kBroken, what, cuda::Describe(driver_, status).c_str());
    return true;
  }

  void Must(cuda::Status status, const char* what) const {
    if (status == cuda::kSuccess) return;
    std::fprintf(stderr, "%s: %s\n", what, cuda::Describe(driver_, status).c_str());
    std::fflush(nullptr);
    const bool address =
        status == kIllegalAddress || status == kMisalignedAddress || status == kInvalidAddressSpace;
    raise(address ? SIGSEGV : SIGABRT);
    _exit(1);
  }

  // Each output from an input, as far as the shorter of the two goes.
  void Copy(const Definition& call, const uint64_t* words) const {
    size_t from = 0;
    for (size_t to = 0; to < call.forms.size(); ++to) {
      if (call.forms[to].kind != ArgumentKind::kArray || call.forms[to].written == 0) continue;
      for (size_t i = 0; i < call.forms.size(); ++i, ++from) {
        const ArgumentForm& source = call.forms[from % call.forms.size()];
        if (source.kind == ArgumentKind::kArray && source.read != 0) break;
      }
      const ArgumentForm& source = call.forms[from % call.forms.size()];
      if (source.kind != ArgumentKind::kArray || source.read == 0 || from % call.forms.size() == to)
        continue;
      Must(driver_.CopyOnDevice(words[to], words[from % call.forms.size()],
                                std::min(call.forms[to].bytes, source.bytes), stream_),
           "copy");
      ++from;
    }
  }

  cuda::Driver driver_ = {};
  Mapped mapped_;
  cuda::DevicePointer arena_ = 0;
  cuda::DevicePointer scratch_ = 0;
  cuda::Stream stream_ = nullptr;
  cuda::Function function_ = nullptr;
  std::string image_;
  std::vector<Definition> calls_;
};

}  // namespace
}  // namespace kev::harness

int main() {
  kev::harness::CudaBackend backend;
  return kev::harness::RunServing("kevolve-runner-cuda", &backend);
}
