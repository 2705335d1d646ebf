#include "runners/harness/runner_process.h"

#include <doctest/doctest.h>
#include <signal.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "tests/runners/support/compiled_kernel.h"

using namespace std::chrono_literals;

namespace kev {
namespace {

constexpr uint64_t kCount = 1000;

// void twice(const float* x, float* y, int64_t n): y = 2 x
RegionImage TwiceImage() {
  CallSpec call;
  call.arguments = {{CallArgument::Kind::kIn, "x", ElementType::kF32, kCount, 0},
                    {CallArgument::Kind::kOut, "y", ElementType::kF32, kCount, 0},
                    {CallArgument::Kind::kScalar, "n", ElementType::kF32, 0, kCount}};
  RegionImage image = RegionImage::Make({call}, 5).value();
  for (uint64_t i = 0; i < kCount; ++i) {
    const float value = static_cast<float>(i);
    std::memcpy(image.MutableArray(0, 0) + 4 * i, &value, 4);
  }
  return image;
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
    options.folder = folder.path();
    options.limits = limits;
  }
  Outcome Load() {
    Result<std::unique_ptr<RunnerProcess>> started = RunnerProcess::Start(options, image);
    REQUIRE_MESSAGE(started.ok(), (started.ok() ? "" : started.error().message));
    process = std::move(*started);
    return process->Load(10s);
  }
  Outcome LoadAndCall(RunnerProcess::Clock::duration deadline = 10s) {
    const Outcome loaded = Load();
    return loaded.ok() ? process->Call(0, deadline) : loaded;
  }
  float Output(uint64_t i) {
    const std::string region = process->ReadRegion().value();
    float value = 0;
    std::memcpy(&value, image.Array(region, 0, 1).data() + 4 * i, 4);
    return value;
  }

  test::TemporaryFolder folder;
  RegionImage image = TwiceImage();
  RunnerOptions options;
  std::unique_ptr<RunnerProcess> process;
};

const char* kRight = "for (int64_t i = 0; i < n; i++) y[i] = 2 * x[i];";

TEST_CASE("a kernel's outputs come back through the shared region") {
  Fixture kernel(kRight);
  const Outcome outcome = kernel.LoadAndCall();
  CHECK_MESSAGE(outcome.ok(), outcome.message);
  CHECK(kernel.Output(7) == 14.0f);
  CHECK(kernel.Output(kCount - 1) == 2.0f * (kCount - 1));
  CHECK(kernel.image.Violation(kernel.process->ReadRegion().value(), 0).empty());
}

TEST_CASE("what a kernel must not do to memory is told by the array's name") {
  SUBCASE("one element past the end") {
    Fixture kernel("for (int64_t i = 0; i <= n; i++) y[i] = 2 * x[i];");
    REQUIRE(kernel.LoadAndCall().ok());
    CHECK(kernel.image.Violation(kernel.process->ReadRegion().value(), 0) ==
          "wrote past the end of y");
  }
  SUBCASE("one element before the start") {
    Fixture kernel("y[-1] = 3; (void)x; (void)n;");
    REQUIRE(kernel.LoadAndCall().ok());
    CHECK(kernel.image.Violation(kernel.process->ReadRegion().value(), 0) ==
          "wrote before the start of y");
  }
  SUBCASE("an input") {
    Fixture kernel("((float*)x)[3] = 1e9f; (void)y; (void)n;");
    REQUIRE(kernel.LoadAndCall().ok());
    CHECK(kernel.image.Violation(kernel.process->ReadRegion().value(), 0) == "changed its input x");
  }
}

TEST_CASE("a crash is an outcome that names the signal") {
  Fixture kernel("*(volatile int*)8 = 1; (void)x; (void)y; (void)n;");
  const Outcome outcome = kernel.LoadAndCall();
  CHECK(outcome.kind == Outcome::Kind::kCrashed);
  CHECK(outcome.message == "SIGSEGV, it touched memory that is not its own, when it was called");
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

TEST_CASE("a grandchild that outlives the call dies with the process group") {
  Fixture kernel(
      "(void)x; (void)n; pid_t child = fork(); if (child == 0) for (;;) pause();"
      " memcpy(y, &child, 4);");
  REQUIRE(kernel.LoadAndCall().ok());
  const float bits = kernel.Output(0);
  pid_t grandchild = 0;
  std::memcpy(&grandchild, &bits, 4);
  REQUIRE(grandchild > 1);
  REQUIRE(kill(grandchild, 0) == 0);
  kernel.process.reset();
  // It is an orphan now: whoever reaps it does so in its own time, until then it is a zombie.
  const auto gone = [&] {
    if (kill(grandchild, 0) != 0) return errno == ESRCH;
    const std::string stat = test::ReadFile("/proc/" + std::to_string(grandchild) + "/stat");
    return stat.empty() || stat.find(") Z") != std::string::npos ||
           stat.find(") X") != std::string::npos;
  };
  const auto end = RunnerProcess::Clock::now() + 5s;
  while (!gone() && RunnerProcess::Clock::now() < end) sched_yield();
  CHECK(gone());
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
  CHECK(kernel.process->StandardOutput() == "OPENBLAS_NUM_THREADS=1\n");
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
  const Outcome outcome = kernel.LoadAndCall();
  CHECK(outcome.kind == Outcome::Kind::kCheated);
}

TEST_CASE("a kernel cannot shrink the region under the judge") {
  Fixture kernel("(void)x; (void)y; (void)n; y[0] = ftruncate(4, 0);");
  REQUIRE(kernel.LoadAndCall().ok());
  CHECK(kernel.Output(0) == -1.0f);
  CHECK(kernel.process->ReadRegion().ok());
}

TEST_CASE("samples are of the asked number and batch, and cost what a call costs") {
  Fixture kernel(
      "volatile float sum = 0; for (int k = 0; k < 100; k++) for (int64_t i = 0; i < n; i++) sum "
      "+= x[i]; y[0] = sum;");
  REQUIRE(kernel.Load().ok());
  TimedSamples timed;
  const Outcome outcome = kernel.process->Measure(0, 2, 3, 5, 10s, &timed);
  REQUIRE_MESSAGE(outcome.ok(), outcome.message);
  CHECK(timed.ns.size() == 5);
  CHECK(timed.batch == 3);
  for (const double ns : timed.ns) CHECK(ns > 10e3);  // 100,000 dependent additions
  CHECK(timed.claimed_ns <= timed.outer_ns);
}

TEST_CASE("a frozen process does no work until it is thawed") {
  Fixture kernel(
      "(void)x; (void)n; if (fork() == 0) for (volatile uint64_t* count = (uint64_t*)y;;) "
      "++*count;");
  REQUIRE(kernel.LoadAndCall().ok());
  const auto count = [&] {
    const std::string region = kernel.process->ReadRegion().value();
    uint64_t value = 0;
    std::memcpy(&value, kernel.image.Array(region, 0, 1).data(), 8);
    return value;
  };
  const auto end = RunnerProcess::Clock::now() + 5s;
  const uint64_t begin = count();
  while (count() == begin && RunnerProcess::Clock::now() < end) sched_yield();
  CHECK(count() != begin);
  kernel.process->Freeze();
  // The grandchild stops a moment after its leader: its counter must come to rest.
  uint64_t last = count();
  int still = 0;
  while (still < 2000 && RunnerProcess::Clock::now() < end) {
    const uint64_t now = count();
    still = now == last ? still + 1 : 0;
    last = now;
  }
  CHECK(still == 2000);
}

TEST_CASE("a claim of less time than the CPU was busy is implausible") {
  TimedSamples honest;
  honest.batch = 10;
  honest.ns = {1e5, 1e5};
  honest.claimed_ns = 2.01e6;
  honest.cpu_ns = 2.05e6;
  honest.outer_ns = 2.2e6;
  CHECK(ImplausibleClaim(honest).empty());
  TimedSamples fast_clock = honest;
  fast_clock.cpu_ns = 9e6;
  CHECK(ImplausibleClaim(fast_clock) ==
        "claims 2.010 ms for work that took 9.000 ms of CPU time on its one core");
  TimedSamples asleep = honest;
  asleep.outer_ns = 3e9;
  CHECK_FALSE(ImplausibleClaim(asleep).empty());
  TimedSamples invented = honest;
  invented.ns = {1e6, 1e6};
  CHECK_FALSE(ImplausibleClaim(invented).empty());
}

}  // namespace
}  // namespace kev
