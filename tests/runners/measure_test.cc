#include "runners/measurement/measure.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <set>
#include <string>

#include "runners/statistics/statistics.h"
#include "tests/runners/support/compiled_kernel.h"

namespace kev {
namespace {

// Spends its time in a chain of additions that no compiler or CPU can shorten.
std::string Chain(const char* before = "") {
  return std::string("void work(const float* x, float* y, int64_t n) {") + before +
         "float sum = 0; for (int64_t k = 0; k < n; k++) { sum += x[k & 63]; __asm__ volatile(\"\" "
         ": \"+x\"(sum)); } y[0] = sum; }";
}

std::unique_ptr<Arena> WorkArena(int64_t n) {
  CallSpec call;
  call.arguments = {{.kind = CallArgument::Kind::kIn, .name = "x", .element_bytes = 4, .count = 64},
                    {.kind = CallArgument::Kind::kOut, .name = "y", .element_bytes = 4, .count = 1},
                    {.name = "n", .as = PassedAs::kI64, .bits = static_cast<uint64_t>(n)}};
  return std::move(Arena::Make({call}, SlotsFor({call}), Protection::kInputs, 1).value());
}

// x is all ones and y must be what the chain sums up.
class WorkValues : public CallValues {
 public:
  explicit WorkValues(int64_t n) : expected_(static_cast<float>(n)) {}
  void FillConstants(Arena&, size_t) override {}
  void Fill(Arena& arena, size_t call, const DrawnCall& drawn) override {
    const float factor = static_cast<float>(1 + drawn.draw % 8);
    for (int i = 0; i < 64; ++i) std::memcpy(arena.Array(call, drawn.slot, 0) + 4 * i, &factor, 4);
    std::memcpy(arena.Array(call, drawn.slot, 1), &kPoison, 4);
  }
  size_t ChecksAtOnce(size_t) const override { return 4; }
  Result<std::string> Check(const Arena& arena, size_t call,
                            std::span<const DrawnCall> drawn) override {
    for (const DrawnCall& one : drawn) {
      if (Output(arena, call, one) != expected_ * static_cast<float>(1 + one.draw % 8))
        return std::string("y is wrong");
    }
    return std::string();
  }
  bool SeemsUnwritten(const Arena& arena, size_t call, const DrawnCall& drawn) override {
    return Output(arena, call, drawn) == kPoison;
  }

 private:
  static constexpr float kPoison = -1;
  static float Output(const Arena& arena, size_t call, const DrawnCall& drawn) {
    float got = 0;
    std::memcpy(&got, arena.Array(call, drawn.slot, 1), 4);
    return got;
  }
  float expected_;
};

CallValues* Values(int64_t n) {
  static std::unique_ptr<WorkValues> values;
  values = std::make_unique<WorkValues>(n);
  return values.get();
}

Contestant Make(const test::TemporaryFolder& folder, const char* role, const std::string& source) {
  const std::string path = test::CompileKernel(folder, role, source);
  REQUIRE_FALSE(path.empty());
  return {role, role, test::ReadFile(path), "work", 0, role == std::string("baseline")};
}

TEST_CASE("every launch of every contestant keeps its windows") {
  test::TemporaryFolder folder;
  const std::string source = Chain();
  const std::vector<Contestant> contestants = {Make(folder, "baseline", source),
                                               Make(folder, "candidate", source)};
  MeasureOptions options;
  options.rounds = 4;
  options.folder = folder.path();
  const Result<Measurement> measured =
      Measure(contestants, WorkArena(20000).get(), Values(20000), options);
  REQUIRE(measured.ok());
  REQUIRE_MESSAGE(!measured->refusal.has_value(), measured->refusal->outcome.message);
  CHECK(measured->samples.size() == 8);
  std::set<std::pair<size_t, uint32_t>> launches;
  for (const LaunchSamples& launch : measured->samples) {
    launches.insert({launch.contestant, launch.launch});
    CHECK(launch.windows.size() >= options.least_windows);
    CHECK(launch.call_ns > 0);
  }
  CHECK(launches.size() == 8);
  REQUIRE(measured->LogRatios(0, 1, 0).size() == 4);
  for (const double ratio : measured->LogRatios(0, 1, 0)) CHECK(std::isfinite(ratio));
  CHECK(measured->conditions.windows >= 8 * options.least_windows);
  CHECK_FALSE(measured->isolation.empty());
}

TEST_CASE("a contestant that crashes ends the measurement with a refusal that names it") {
  test::TemporaryFolder folder;
  const std::vector<Contestant> contestants = {
      Make(folder, "baseline", Chain()),
      Make(folder, "candidate", Chain("fputs(\"oh\", stderr); abort();"))};
  MeasureOptions options;
  options.folder = folder.path();
  const Result<Measurement> measured =
      Measure(contestants, WorkArena(1000).get(), Values(1000), options);
  REQUIRE(measured.ok());
  REQUIRE(measured->refusal.has_value());
  CHECK(measured->refusal->contestant == 1);
  CHECK(measured->refusal->outcome.kind == Outcome::Kind::kCrashed);
  CHECK(measured->refusal->error == "oh");
}

TEST_CASE(
    "the caller can stop after a round, and a contestant can take part in the first rounds only") {
  test::TemporaryFolder folder;
  std::vector<Contestant> contestants = {Make(folder, "baseline", Chain()),
                                         Make(folder, "other", Chain())};
  contestants[1].launches = 1;
  MeasureOptions options;
  options.rounds = 5;
  options.folder = folder.path();
  const Result<Measurement> measured =
      Measure(contestants, WorkArena(1000).get(), Values(1000), options,
              [](const Measurement& so_far) { return so_far.CallTimes(0, 0).size() == 2; });
  REQUIRE(measured.ok());
  REQUIRE_MESSAGE(!measured->refusal.has_value(), measured->refusal->outcome.message);
  CHECK(measured->stopped);
  CHECK(measured->CallTimes(0, 0).size() == 2);
  CHECK(measured->CallTimes(1, 0).size() == 1);
}

TEST_CASE("a call that is not made is noticed in every window") {
  test::TemporaryFolder folder;
  // Few enough that looks at some calls of some windows need not meet one.
  const std::vector<Contestant> contestants = {
      Make(folder, "baseline", Chain()),
      Make(folder, "candidate", Chain("static int calls = 0; if (++calls % 7 == 0) return;"))};
  MeasureOptions options;
  options.folder = folder.path();
  const Result<Measurement> measured =
      Measure(contestants, WorkArena(1000).get(), Values(1000), options);
  REQUIRE(measured.ok());
  REQUIRE(measured->refusal.has_value());
  CHECK(measured->refusal->contestant == 1);
  CHECK(measured->refusal->wrong);
  CHECK(measured->refusal->outcome.message == "y is wrong");
}

// Spends 200 us whenever it is let go on, before it can know what it will be asked for.
constexpr char kWhenContinued[] =
    "#include <signal.h>\n#include <time.h>\n"
    "static void Spin(int unused) { struct timespec a, b; clock_gettime(CLOCK_MONOTONIC, &a);"
    " do clock_gettime(CLOCK_MONOTONIC, &b); while ((b.tv_sec - a.tv_sec) * 1000000000L + "
    "b.tv_nsec -"
    " a.tv_nsec < 200000); (void)unused; }\n"
    "__attribute__((constructor)) static void Install(void) { signal(SIGCONT, Spin); }\n";

TEST_CASE("time begins before a process is let go on: nothing can be done before the clock") {
  test::TemporaryFolder folder;
  const std::vector<Contestant> contestants = {Make(folder, "baseline", Chain()),
                                               Make(folder, "candidate", kWhenContinued + Chain())};
  MeasureOptions options;
  options.rounds = 1;
  options.folder = folder.path();
  const Result<Measurement> measured =
      Measure(contestants, WorkArena(20000).get(), Values(20000), options);
  REQUIRE(measured.ok());
  REQUIRE_MESSAGE(!measured->refusal.has_value(), measured->refusal->outcome.message);
  size_t empty = 0;
  for (const LaunchSamples& launch : measured->samples) {
    for (const TimedWindow& window : launch.windows) {
      if (launch.contestant == 1)
        CHECK(window.ns > 190e3);
      else if (window.calls == 0 && !window.disturbed)
        ++empty;
    }
  }
  // What a window takes without calls is what it takes of the baseline's process, but on a machine
  // that holds up the judge all the time.
  if (empty < 3) return;
  CHECK(measured->samples[0].harness.order_ns == measured->samples[1].harness.order_ns);
  CHECK(measured->samples[0].harness.order_ns < 190e3);
}

// Keeps what each call was drawn with.
class NotedValues final : public WorkValues {
 public:
  explicit NotedValues(int64_t n) : WorkValues(n) {}
  void Fill(Arena& arena, size_t call, const DrawnCall& drawn) override {
    draws.insert(drawn.draw);
    ++fills;
    WorkValues::Fill(arena, call, drawn);
  }
  std::set<uint64_t> draws;
  size_t fills = 0;
};

TEST_CASE("no draw can be told from others, nor from an earlier measurement of the same seed") {
  test::TemporaryFolder folder;
  MeasureOptions options;
  options.rounds = 2;
  options.folder = folder.path();
  const std::vector<Contestant> contestants = {Make(folder, "baseline", Chain())};
  NotedValues first(1000), second(1000);
  for (NotedValues* values : {&first, &second}) {
    const Result<Measurement> measured =
        Measure(contestants, WorkArena(1000).get(), values, options);
    REQUIRE(measured.ok());
    CHECK(values->draws.size() == values->fills);
    for (const uint64_t draw : values->draws) CHECK(values->draws.count(draw + 1) == 0);
  }
  for (const uint64_t draw : first.draws) CHECK(second.draws.count(draw) == 0);
}

TEST_CASE("who writes outside of its arrays is found among several who could have") {
  test::TemporaryFolder folder;
  // In no window of its own need it be seen: 3000 bytes on lies another slot's canary.
  const std::string damage = "static int calls = 0; if (++calls == 3) ((char*)y)[3000] ^= 1;";
  const std::vector<Contestant> contestants = {
      Make(folder, "baseline", Chain()), Make(folder, "innocent", Chain()),
      Make(folder, "vandal", Chain(damage.c_str())), Make(folder, "bystander", Chain())};
  MeasureOptions options;
  options.folder = folder.path();
  for (const uint64_t seed : {1, 2, 3}) {
    options.seed = seed;
    const Result<Measurement> measured =
        Measure(contestants, WorkArena(1000).get(), Values(1000), options);
    REQUIRE(measured.ok());
    REQUIRE(measured->refusal.has_value());
    CHECK(contestants[measured->refusal->contestant].name == "vandal");
    CHECK(measured->refusal->wrong);
    CHECK(measured->refusal->outcome.message.find("wrote") != std::string::npos);
  }
}

TEST_CASE("what the harness costs and what a copy takes come with each launch") {
  test::TemporaryFolder folder;
  MeasureOptions options;
  options.rounds = 1;
  options.folder = folder.path();
  const Result<Measurement> measured =
      Measure({Make(folder, "baseline", Chain())}, WorkArena(1000).get(), Values(1000), options);
  REQUIRE(measured.ok());
  REQUIRE(measured->samples.size() == 1);
  const LaunchSamples& launch = measured->samples[0];
  CHECK(launch.harness.order_ns > 0);
  CHECK(launch.harness.call_ns > 0);
  CHECK(launch.copy_ns > 0);
  CHECK(launch.call_ns > launch.harness.call_ns);
}

}  // namespace
}  // namespace kev
