#include "runners/harness/runner_process.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/time.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "runners/measurement/core_lock.h"
#include "runners/measurement/core_visit.h"
#include "tests/runners/support/compiled_kernel.h"

using namespace std::chrono_literals;

namespace kev {
namespace {

constexpr uint64_t kCount = 1000;

// void twice(const float* x, float* y, int64_t n): y = 2 x; two slots
std::unique_ptr<Arena> TwiceArena(bool guarded) {
  CallSpec call;
  call.arguments = {
      {.kind = CallArgument::Kind::kIn, .name = "x", .element_bytes = 4, .count = kCount},
      {.kind = CallArgument::Kind::kOut, .name = "y", .element_bytes = 4, .count = kCount},
      {.name = "n", .as = PassedAs::kI64, .bits = kCount}};
  std::unique_ptr<Arena> arena = std::move(
      Arena::Make({call}, {2}, guarded ? Protection::kGuards : Protection::kInputs, 5).value());
  for (uint32_t slot = 0; slot < 2; ++slot) {
    for (uint64_t i = 0; i < kCount; ++i) {
      const float value = static_cast<float>(i + slot);
      std::memcpy(arena->Array(0, slot, 0) + 4 * i, &value, 4);
    }
  }
  return arena;
}

// A kernel with this body, loaded in a fresh process.
struct Fixture {
  explicit Fixture(const std::string& body, const std::string& before = "",
                   RunnerLimits limits = {}) {
    const std::string source =
        before + "\nvoid twice(const float* x, float* y, int64_t n) {" + body + "}";
    options.library = test::CompileKernel(folder, "kernel", source);
    REQUIRE_FALSE(options.library.empty());
    options.symbol = "twice";
    options.limits = limits;
  }
  Outcome Load() {
    Result<std::unique_ptr<RunnerProcess>> started = RunnerProcess::Start(options, *arena);
    REQUIRE_MESSAGE(started.ok(), (started.ok() ? "" : started.error().message));
    process = std::move(*started);
    const Outcome prepared = process->Prepare();
    REQUIRE_MESSAGE(prepared.ok(), prepared.message);
    return process->Load(10s);
  }
  Outcome Call(std::vector<uint16_t> slots = {0}, RunnerProcess::Clock::duration deadline = 10s) {
    const Outcome outcome = process->Call(0, slots, deadline, &times);
    CHECK(process->Freeze().ok());
    return outcome;
  }
  Outcome LoadAndCall(RunnerProcess::Clock::duration deadline = 10s) {
    const Outcome loaded = Load();
    return loaded.ok() ? Call({0}, deadline) : loaded;
  }
  // What was printed is written when the next order is taken.
  void Flush() { REQUIRE(process->Touch(0, {}, 10s, &times).ok()); }
  float Output(uint64_t i, uint32_t slot = 0) {
    float value = 0;
    std::memcpy(&value, arena->Array(0, slot, 1) + 4 * i, 4);
    return value;
  }

  test::TemporaryFolder folder;
  std::unique_ptr<Arena> arena = TwiceArena(false);
  RunnerOptions options;
  OrderTimes times;
  std::unique_ptr<RunnerProcess> process;
};

const char* kRight = "for (int64_t i = 0; i < n; i++) y[i] = 2 * x[i];";

TEST_CASE("a kernel's outputs come back through the shared region") {
  Fixture kernel(kRight);
  const Outcome outcome = kernel.LoadAndCall();
  CHECK_MESSAGE(outcome.ok(), outcome.message);
  CHECK(kernel.Output(7) == 14.0f);
  CHECK(kernel.Output(kCount - 1) == 2.0f * (kCount - 1));
  CHECK(kernel.arena->BrokenCanary(0, 0).empty());
  CHECK_FALSE(kernel.arena->AnyBrokenCanary());
}

TEST_CASE("what a kernel must not do to memory is told by the array's name") {
  SUBCASE("one element past the end") {
    Fixture kernel("for (int64_t i = 0; i <= n; i++) y[i] = 2 * x[i];");
    REQUIRE(kernel.LoadAndCall().ok());
    CHECK(kernel.arena->BrokenCanary(0, 0) == "wrote past the end of y");
    CHECK(kernel.arena->AnyBrokenCanary());
  }
  SUBCASE("one element before the start") {
    Fixture kernel("y[-1] = 3; (void)x; (void)n;");
    REQUIRE(kernel.LoadAndCall().ok());
    CHECK(kernel.arena->BrokenCanary(0, 0) == "wrote before the start of y");
  }
  SUBCASE("a page past the end, where it is guarded") {
    Fixture kernel("for (int64_t i = 0; i <= n + 24; i++) y[i] = 2 * x[i % n];");
    kernel.arena = TwiceArena(true);
    CHECK(kernel.LoadAndCall().kind == Outcome::Kind::kCrashed);
  }
  SUBCASE("padding to a cache line is its own") {
    Fixture kernel(
        "for (int64_t i = 0; i < n; i++) y[i] = 2 * x[i];"
        "volatile const float* p = x; (void)p[n + 7];");
    kernel.arena = TwiceArena(true);
    CHECK(kernel.LoadAndCall().ok());
    CHECK(kernel.arena->BrokenCanary(0, 0).empty());
  }
}

TEST_CASE("several slots are called in the order asked for, each on its own arrays") {
  Fixture kernel("static float calls; calls += 1; y[0] = 2 * x[0]; y[1] = calls; (void)n;");
  REQUIRE(kernel.Load().ok());
  REQUIRE(kernel.Call({1, 0}).ok());
  CHECK(kernel.Output(0, 1) == 2.0f);
  CHECK(kernel.Output(0, 0) == 0.0f);
  CHECK(kernel.Output(1, 1) == 1.0f);
  CHECK(kernel.Output(1, 0) == 2.0f);
}

TEST_CASE("scalars of every kind, a returned value, set-up and a workspace reach the function") {
  test::TemporaryFolder folder;
  const std::string library = test::CompileKernel(
      folder, "mixed",
      "static int64_t prepared; void begin(char* w, int32_t m) { w[0] = 7; prepared = m; }"
      "double mixed(const double* x, float f, int8_t small, uint16_t wide, char* w, int32_t m) {"
      " return x[0] + f + small + wide + w[0] + prepared * 1000 + m; }");
  CallSpec call;
  const auto bits = [](auto value) {
    uint64_t b = 0;
    std::memcpy(&b, &value, sizeof(value));
    return b;
  };
  call.arguments = {
      {.kind = CallArgument::Kind::kIn, .name = "x", .element_bytes = 8, .count = 1},
      {.name = "f", .as = PassedAs::kF32, .bits = bits(0.5f)},
      {.name = "small", .as = PassedAs::kI8, .bits = bits(int8_t{-3})},
      {.name = "wide", .as = PassedAs::kU16, .bits = bits(uint16_t{60000})},
      {.kind = CallArgument::Kind::kWorkspace, .name = "w", .count = 16, .in_setup = true},
      {.name = "m", .as = PassedAs::kI32, .bits = bits(int32_t{2}), .in_setup = true},
      {.kind = CallArgument::Kind::kReturn,
       .name = "sum",
       .as = PassedAs::kF64,
       .element_bytes = 8,
       .count = 1}};
  std::unique_ptr<Arena> arena =
      std::move(Arena::Make({call}, {1}, Protection::kInputs, 1).value());
  const double x = 100;
  std::memcpy(arena->Array(0, 0, 0), &x, 8);
  RunnerOptions options;
  options.library = library;
  options.symbol = "mixed";
  options.setup = "begin";
  auto process = std::move(RunnerProcess::Start(options, *arena).value());
  REQUIRE(process->Prepare().ok());
  REQUIRE(process->Load(10s).ok());
  OrderTimes times;
  REQUIRE(process->SetUp(0, 10s, &times).ok());
  const uint16_t slot = 0;
  REQUIRE(process->Call(0, {&slot, 1}, 10s, &times).ok());
  double sum = 0;
  std::memcpy(&sum, arena->Array(0, 0, 6), 8);
  CHECK(sum == 100 + 0.5 - 3 + 60000 + 7 + 2000 + 2);
}

TEST_CASE("no process can write to an input, nor get a mapping that it could write to") {
  SUBCASE("by writing") {
    Fixture kernel("((float*)x)[0] = 1; y[0] = 0; (void)n;");
    REQUIRE(kernel.Load().ok());
    CHECK(kernel.Call().kind == Outcome::Kind::kCrashed);
  }
  SUBCASE("by asking for it") {
    Fixture kernel(
        "void* page = (void*)((uintptr_t)x & ~4095ul);"
        "y[0] = mprotect(page, 4096, PROT_READ | PROT_WRITE) == 0 ? 1 : 0;"
        "void* moved = mremap(page, 0, 4096, MREMAP_MAYMOVE);"
        "y[1] = moved != MAP_FAILED && mprotect(moved, 4096, PROT_WRITE) == 0 ? 1 : 0; (void)n;",
        "#define _GNU_SOURCE\n#include <sys/mman.h>\n#ifndef MREMAP_MAYMOVE\n#define "
        "MREMAP_MAYMOVE 1\nextern void* mremap(void*, size_t, size_t, int, ...);\n#endif");
    REQUIRE(kernel.Load().ok());
    REQUIRE(kernel.Call().ok());
    CHECK(kernel.Output(0) == 0);
    CHECK(kernel.Output(1) == 0);
  }
}

TEST_CASE("a crash is an outcome that names the signal") {
  Fixture kernel("*(volatile int*)8 = 1; (void)x; (void)y; (void)n;");
  const Outcome outcome = kernel.LoadAndCall();
  CHECK(outcome.kind == Outcome::Kind::kCrashed);
  CHECK(outcome.message ==
        "SIGSEGV, it touched memory that is not its own, or wrote to an input, when it was called");
}

TEST_CASE("ending the process is a crash, not a way out") {
  Fixture kernel("(void)x; (void)y; (void)n; exit(0);");
  const Outcome outcome = kernel.LoadAndCall();
  CHECK(outcome.kind == Outcome::Kind::kCrashed);
  CHECK(outcome.message == "ended its own process with status 0 when it was called");
}

TEST_CASE("an endless loop ends at the judge's deadline") {
  Fixture kernel("(void)x; (void)y; for (volatile int64_t i = 0; i >= 0; i = n) {}");
  const Outcome outcome = kernel.LoadAndCall(200ms);
  CHECK(outcome.kind == Outcome::Kind::kTimeout);
  CHECK(outcome.message == "did not come back within 0.2 s");
}

TEST_CASE("a kernel that starts a process is caught in the act") {
  Fixture kernel("(void)x; (void)y; (void)n; if (fork() == 0) for (;;) pause();");
  const Outcome outcome = kernel.LoadAndCall();
  CHECK(outcome.kind == Outcome::Kind::kCheated);
  CHECK_MESSAGE(outcome.message.find("clone") != std::string::npos, outcome.message);
}

TEST_CASE("taking more memory than allowed is a matter of resources") {
  RunnerLimits limits;
  limits.memory_bytes = 256 << 20;
  SUBCASE("bit by bit") {
    Fixture kernel(
        "(void)x; (void)y; (void)n; for (;;) { char* p = malloc(1 << 20); if (p) memset(p, 1, 1 << "
        "20); }",
        "", limits);
    const Outcome outcome = kernel.LoadAndCall();
    CHECK(outcome.kind == Outcome::Kind::kResources);
    CHECK(outcome.message == "took more than 256 MiB of memory");
  }
}

TEST_CASE("what a kernel prints is kept, up to the limit, and cannot reach the judge") {
  RunnerLimits limits;
  limits.output_bytes = 4096;
  Fixture kernel(
      "(void)x; (void)y; printf(\"n is %d\\n\", (int)n); for (int i = 0; i < 10000; i++) "
      "fputs(\"again\\n\", stderr);",
      "", limits);
  REQUIRE(kernel.LoadAndCall().ok());
  kernel.Flush();
  CHECK(kernel.process->StandardOutput() == "n is 1000\n");
  CHECK(kernel.process->StandardError().size() == 4096);
}

TEST_CASE("a library without the function, or none at all, is unusable") {
  Fixture kernel(kRight);
  SUBCASE("other symbol") {
    kernel.options.symbol = "thrice";
    const Outcome outcome = kernel.Load();
    CHECK(outcome.kind == Outcome::Kind::kUnusable);
    CHECK(outcome.message == "no such function: thrice");
  }
  SUBCASE("not a library") {
    kernel.options.library = kernel.folder.path() + "/kernel.c";
    CHECK(kernel.Load().kind == Outcome::Kind::kUnusable);
  }
}

TEST_CASE("a constructor that crashes is told from a call that does") {
  Fixture kernel(kRight, "__attribute__((constructor)) static void Begin(void) { abort(); }");
  const Outcome outcome = kernel.Load();
  CHECK(outcome.kind == Outcome::Kind::kCrashed);
  CHECK(outcome.message == "SIGABRT, it aborted, while it was loaded");
}

TEST_CASE("the environment holds what was declared and nothing else") {
  Fixture kernel("(void)x; (void)y; (void)n; for (char** e = environ; *e; e++) puts(*e);",
                 "extern char** environ;");
  kernel.options.environment = {{"OPENBLAS_NUM_THREADS", "1"}};
  REQUIRE(kernel.LoadAndCall().ok());
  kernel.Flush();
  CHECK(kernel.process->StandardOutput().find("OPENBLAS_NUM_THREADS=1\n") != std::string::npos);
  CHECK(kernel.process->StandardOutput().find("HOME=") == std::string::npos);
}

TEST_CASE("a kernel finds no file open but its standard streams and the control end") {
  Fixture kernel(
      "(void)x; for (int fd = 0; fd < 64; fd++) y[fd] = fcntl(fd, F_GETFD) >= 0; (void)n;",
      "#include <fcntl.h>");
  kernel.options.limits.open_files = 1024;
  REQUIRE(kernel.LoadAndCall().ok());
  CHECK(kernel.Output(3) == 1.0f);
  CHECK(kernel.Output(40) == 0.0f);
}

TEST_CASE("a reply that the kernel writes itself is cheating") {
  Fixture kernel(
      "(void)x; (void)y; (void)n; static char reply[1100]; write(3, reply, sizeof(reply));");
  REQUIRE(kernel.LoadAndCall().ok());
  CHECK(kernel.Call().kind == Outcome::Kind::kCheated);
}

TEST_CASE("a window's time is the judge's, and covers all of its calls") {
  Fixture kernel(
      "volatile float sum = 0; for (int k = 0; k < 100; k++) for (int64_t i = 0; i < n; i++) sum "
      "+= x[i]; y[0] = sum;");
  REQUIRE(kernel.Load().ok());
  REQUIRE(kernel.Call({0, 1}).ok());
  CHECK(kernel.times.ns > 20e3);  // 200,000 dependent additions
  bool marked = false;
  const uint16_t slot = 0;
  REQUIRE(kernel.process->Call(0, {&slot, 1}, 10s, &kernel.times, [&] { marked = true; }).ok());
  CHECK(marked);
  double ghz = 0;
  Fixture clock(kRight);
  // As in a measurement: on one core the two would take turns, a time slice each.
  clock.options.core = TimingCore("last").value();
  const CoreAvoidance away(clock.options.core);
  clock.process = std::move(RunnerProcess::Start(clock.options, *clock.arena).value());
  REQUIRE(clock.process->Prepare().ok());
  REQUIRE(clock.process->MeasureClock(&ghz).ok());
  CHECK(ghz > 0.01);
  CHECK(ghz < 10);
  REQUIRE(clock.process->Load(10s).ok());
  CHECK(clock.Call({1}).ok());
}

// Interrupts this thread once, soon, as if something else took the judge's core: lets the kernel go
// on, and holds the thread until 20 ms after the kernel has finished.
class HeldUp {
 public:
  HeldUp(char* go, const char* done) {
    go_ = go;
    done_ = done;
    was_in_time_ = false;
    struct sigaction action = {};
    action.sa_handler = [](int) { HoldUp(); };
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, &before_);
    const itimerval once = {{0, 0}, {0, 2000}};
    setitimer(ITIMER_REAL, &once, nullptr);
  }
  ~HeldUp() {
    const itimerval never = {};
    setitimer(ITIMER_REAL, &never, nullptr);
    sigaction(SIGALRM, &before_, nullptr);
  }
  HeldUp(const HeldUp&) = delete;
  HeldUp& operator=(const HeldUp&) = delete;

  // Whether the kernel finished while the thread was held up; else the signal came before the order
  // or something held up the kernel, too.
  static bool was_in_time() { return was_in_time_; }
  static constexpr auto kAfter = 20ms;

 private:
  static bool IsSet(const char* flag) { return *static_cast<const volatile char*>(flag) != 0; }
  static void HoldUp() {
    const auto give_up = std::chrono::steady_clock::now() + 1s;
    *static_cast<volatile char*>(go_) = 1;
    while (!IsSet(done_) && std::chrono::steady_clock::now() < give_up) {
    }
    was_in_time_ = IsSet(done_);
    const auto end = std::chrono::steady_clock::now() + kAfter;
    while (std::chrono::steady_clock::now() < end) {
    }
  }
  static inline char* go_ = nullptr;
  static inline const char* done_ = nullptr;
  static inline volatile bool was_in_time_ = false;
  struct sigaction before_ = {};
};

TEST_CASE("a judge that was held up says how late it may have seen the answer") {
  Fixture kernel(
      "(void)n; const volatile char* go = (const void*)x; while (!*go) {} *(volatile char*)y = 1;");
  REQUIRE(kernel.Load().ok());
  char* go = kernel.arena->Array(0, 0, 0);
  char* done = kernel.arena->Array(0, 0, 1);
  const uint16_t slot = 0;
  // When the signal came during the order, the answer was there 20 ms before it was seen, but for
  // what the process took from the kernel's last instruction to its answer.
  bool told = false;
  for (int i = 0; i < 50 && !told; ++i) {
    *go = *done = 0;
    OrderTimes times;
    const HeldUp held(go, done);
    REQUIRE(kernel.process->Call(0, {&slot, 1}, 10s, &times).ok());
    CHECK(times.late_ns <= times.ns);
    told =
        HeldUp::was_in_time() && times.late_ns >= std::chrono::nanoseconds(HeldUp::kAfter).count();
  }
  CHECK(told);
  // When nothing holds it up, the answer is seen with the look after. While the two share a core
  // they hold each other up.
  double least = 1;
  for (const auto end = RunnerProcess::Clock::now() + 60s;
       least >= 0.5 && RunnerProcess::Clock::now() < end;) {
    OrderTimes times;
    *go = 1;
    REQUIRE(kernel.process->Call(0, {&slot, 1}, 10s, &times).ok());
    least = std::min(least, times.late_ns / times.ns);
  }
  CHECK(least < 0.5);
}

TEST_CASE("a frozen process does no work until it is thawed, nor do its threads") {
  Fixture kernel("(void)x; (void)n; static pthread_t t; pthread_create(&t, 0, Count, y);",
                 "#include <pthread.h>\nstatic void* Count(void* y) { for (volatile uint64_t* c = "
                 "y;;) ++*c; }");
  REQUIRE(kernel.LoadAndCall().ok());  // frozen
  const auto count = [&] {
    uint64_t value = 0;
    std::memcpy(&value, kernel.arena->Array(0, 0, 1), 8);
    return value;
  };
  const uint64_t frozen = count();
  for (int i = 0; i < 2000; ++i) CHECK(count() == frozen);
  kernel.process->Thaw();
  const auto end = RunnerProcess::Clock::now() + 5s;
  while (count() == frozen && RunnerProcess::Clock::now() < end) sched_yield();
  CHECK(count() != frozen);
}

}  // namespace
}  // namespace kev
