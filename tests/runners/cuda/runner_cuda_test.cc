// Runner processes with a device, over a fake driver: the same protocol, another memory.
#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "runners/harness/runner_process.h"
#include "tests/runners/support/compiled_kernel.h"

using namespace std::chrono_literals;

namespace kev {
namespace {

constexpr uint64_t kCount = 1000;

// A kernel of x, y, n, weights and a workspace; its body is run by each thread of each block.
struct Fixture {
  explicit Fixture(const std::string& body) {
    setenv("KEVOLVE_CUDA_DRIVER", FAKE_CUDA_DRIVER, 1);
    CallSpec call;
    call.arguments = {
        {.kind = CallArgument::Kind::kIn, .name = "x", .element_bytes = 4, .count = kCount},
        {.kind = CallArgument::Kind::kOut, .name = "y", .element_bytes = 4, .count = kCount},
        {.name = "n", .as = PassedAs::kI64, .bits = kCount},
        {.kind = CallArgument::Kind::kConstant, .name = "w", .element_bytes = 4, .count = 1},
        {.kind = CallArgument::Kind::kWorkspace, .name = "s", .element_bytes = 1, .count = 64}};
    arena = std::move(Arena::Make({call}, {3}, Protection::kNone, 5).value());
    for (uint32_t slot = 0; slot < 3; ++slot) {
      for (uint64_t i = 0; i < kCount; ++i) Put(slot, 0, i, static_cast<float>(i + slot));
    }
    Put(0, 3, 0, 2);
    const std::string source =
        "int twice(unsigned block, unsigned thread, void** p, char* (*host)(unsigned long long)) "
        "{\n"
        "  float* x = (float*)host(*(unsigned long long*)p[0]);\n"
        "  float* y = (float*)host(*(unsigned long long*)p[1]);\n"
        "  int64_t n = *(int64_t*)p[2];\n"
        "  float w = *(float*)host(*(unsigned long long*)p[3]);\n"
        "  unsigned char* s = (unsigned char*)host(*(unsigned long long*)p[4]);\n"
        "  int64_t i = block * 100 + thread;\n" +
        body + "\n}\n";
    options.library = test::CompileKernel(folder, "kernel", source);
    REQUIRE_FALSE(options.library.empty());
    options.symbol = "twice";
    options.device.kind = DeviceCode::Kind::kCuda;
    options.device.launches = {{{10, 1, 1}, {100, 1, 1}, 0}};
  }
  ~Fixture() { unsetenv("KEVOLVE_CUDA_DRIVER"); }
  void Put(uint32_t slot, size_t argument, uint64_t i, float value) {
    std::memcpy(arena->Array(0, slot, argument) + 4 * i, &value, 4);
  }
  float Output(uint64_t i, uint32_t slot) {
    float value = 0;
    std::memcpy(&value, arena->Array(0, slot, 1) + 4 * i, 4);
    return value;
  }
  Outcome Prepare() {
    Result<std::unique_ptr<RunnerProcess>> started = RunnerProcess::Start(options, *arena);
    REQUIRE_MESSAGE(started.ok(), (started.ok() ? "" : started.error().message));
    process = std::move(*started);
    return process->Prepare();
  }
  Outcome Load() {
    const Outcome prepared = Prepare();
    return prepared.ok() ? process->Load(10s) : prepared;
  }
  Outcome Call(std::vector<uint16_t> slots, RunnerProcess::Clock::duration deadline = 10s) {
    return process->Call(0, slots, deadline, &times);
  }

  test::TemporaryFolder folder;
  std::unique_ptr<Arena> arena;
  RunnerOptions options;
  OrderTimes times;
  std::unique_ptr<RunnerProcess> process;
};

const char* kRight = "if (i < n) y[i] = w * x[i];\n  return 0;";

TEST_CASE("a device's kernel gets the slots' arrays, and what it wrote comes back") {
  Fixture kernel(kRight);
  const Outcome loaded = kernel.Load();
  REQUIRE_MESSAGE(loaded.ok(), loaded.message);
  const Outcome outcome = kernel.Call({2, 0});
  REQUIRE_MESSAGE(outcome.ok(), outcome.message);
  CHECK(kernel.Output(7, 0) == 14.0f);
  CHECK(kernel.Output(kCount - 1, 2) == 2.0f * (kCount - 1 + 2));
  CHECK(kernel.Output(7, 1) != 16.0f);  // not called
  CHECK_FALSE(kernel.arena->AnyBrokenCanary());
  CHECK(kernel.times.around_ns > 0);
  CHECK(kernel.process->isolation().find("device code") != std::string::npos);
  // What the judge puts there next is what the next call finds.
  kernel.Put(0, 0, 7, 100);
  kernel.Put(0, 3, 0, 3);
  REQUIRE(kernel.Call({0}).ok());
  CHECK(kernel.Output(7, 0) == 300.0f);
}

TEST_CASE("what a device's kernel writes where it must not is seen on the host") {
  Fixture outside("y[n] = 1; return 0;");
  REQUIRE(outside.Load().ok());
  REQUIRE(outside.Call({1}).ok());
  CHECK(outside.arena->BrokenCanary(0, 1).find("past the end of y") != std::string::npos);
  Fixture input("x[3] = 77; y[0] = 0; return 0;");
  REQUIRE(input.Load().ok());
  REQUIRE(input.Call({1}).ok());
  float changed = 0;
  std::memcpy(&changed, input.arena->Array(0, 1, 0) + 12, 4);
  CHECK(changed == 77.0f);
}

TEST_CASE("a workspace keeps what a kernel leaves in it from call to call") {
  Fixture kernel("if (i == 0) { y[0] = s[0]; s[0] = s[0] == 0xa5 ? 1 : s[0] + 1; } return 0;");
  REQUIRE(kernel.Load().ok());
  REQUIRE(kernel.Call({0, 1, 2}).ok());
  CHECK(kernel.Output(0, 0) == 165.0f);
  CHECK(kernel.Output(0, 1) == 1.0f);
  CHECK(kernel.Output(0, 2) == 2.0f);
}

TEST_CASE("a kernel that faults crashes its process, and says why") {
  Fixture kernel("return i == 500;");
  REQUIRE(kernel.Load().ok());
  const Outcome outcome = kernel.Call({0});
  CHECK(outcome.kind == Outcome::Kind::kCrashed);
  CHECK(outcome.message.find("SIGSEGV") != std::string::npos);
  CHECK(kernel.process->StandardError().find("CUDA_ERROR_ILLEGAL_ADDRESS") != std::string::npos);
  Fixture wide(kRight);
  wide.options.device.launches = {{{1, 1, 1}, {1024, 2, 1}, 0}};
  REQUIRE(wide.Load().ok());
  CHECK(wide.Call({0}).kind == Outcome::Kind::kCrashed);
  CHECK(wide.process->StandardError().find("launch: ") != std::string::npos);
}

TEST_CASE("a kernel that never ends is ended") {
  Fixture kernel("for (volatile int i = 0;;) i = 1;");
  REQUIRE(kernel.Load().ok());
  CHECK(kernel.Call({0}, 300ms).kind == Outcome::Kind::kTimeout);
}

TEST_CASE("what is no cubin, or has no such kernel, cannot be used") {
  Fixture kernel(kRight);
  kernel.options.symbol = "thrice";
  const Outcome missing = kernel.Load();
  CHECK(missing.kind == Outcome::Kind::kUnusable);
  CHECK(missing.message.find("thrice") != std::string::npos);
  Fixture text(kRight);
  text.options.library = text.folder.path() + "/kernel.c";
  const Outcome image = text.Load();
  CHECK(image.kind == Outcome::Kind::kUnusable);
  CHECK(image.message.find("cannot load the cubin") != std::string::npos);
  Fixture greedy(kRight);
  greedy.options.device.launches = {{{1, 1, 1}, {32, 1, 1}, 300 << 10}};
  const Outcome shared = greedy.Load();
  CHECK(shared.kind == Outcome::Kind::kUnusable);
  CHECK(shared.message.find("shared memory") != std::string::npos);
}

TEST_CASE("a machine without a GPU is the machine's fault, not the kernel's") {
  Fixture kernel(kRight);
  kernel.options.environment["FAKE_NO_DEVICE"] = "1";
  const Outcome outcome = kernel.Prepare();
  CHECK(outcome.kind == Outcome::Kind::kBroken);
  CHECK(outcome.message.find("starting the driver") != std::string::npos);
}

TEST_CASE("what a device costs without a kernel can be measured before there is one") {
  Fixture kernel(kRight);
  REQUIRE(kernel.Prepare().ok());
  const std::vector<uint16_t> slots = {0, 1};
  CHECK(kernel.process->CallNothing(0, slots, &kernel.times).ok());
  CHECK(kernel.process->Copy(0, slots, &kernel.times).ok());
  double ghz = 0;
  CHECK(kernel.process->MeasureClock(&ghz).ok());
  CHECK(kernel.process->Load(10s).ok());
  CHECK(kernel.Call({0}).ok());
}

}  // namespace
}  // namespace kev
