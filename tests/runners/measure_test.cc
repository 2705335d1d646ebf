#include "runners/measurement/measure.h"

#include <doctest/doctest.h>

#include <cmath>
#include <set>
#include <string>

#include "runners/measurement/core_lock.h"
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

RegionImage WorkImage(int64_t n) {
  CallSpec call;
  call.arguments = {{CallArgument::Kind::kIn, "x", ElementType::kF32, 64, 0},
                    {CallArgument::Kind::kOut, "y", ElementType::kF32, 1, 0},
                    {CallArgument::Kind::kScalar, "n", ElementType::kF32, 0, n}};
  return RegionImage::Make({call}, 1).value();
}

Contestant Make(const test::TemporaryFolder& folder, const char* role, const std::string& source) {
  const std::string path = test::CompileKernel(folder, role, source);
  REQUIRE_FALSE(path.empty());
  return {role, role, test::ReadFile(path), "work", 0};
}

TEST_CASE("every launch of every contestant keeps its samples, and equal ones compare as equal") {
  test::TemporaryFolder folder;
  const std::string source = Chain();
  const std::vector<Contestant> contestants = {Make(folder, "baseline", source),
                                               Make(folder, "candidate", source)};
  MeasureOptions options;
  options.rounds = 4;
  options.turns = 2;
  options.folder = folder.path();
  const Result<Measurement> measured = Measure(contestants, WorkImage(20000), options);
  REQUIRE(measured.ok());
  REQUIRE_FALSE(measured->refusal.has_value());
  CHECK(measured->samples.size() == 8);
  std::set<std::pair<size_t, uint32_t>> launches;
  for (const LaunchSamples& launch : measured->samples) {
    launches.insert({launch.contestant, launch.launch});
    CHECK(launch.batch >= 2);
    CHECK(launch.ns.size() >= 6);
  }
  CHECK(launches.size() == 8);
  CHECK(std::fabs(Median(measured->LogRatios(0, 1, 0))) < 0.3);
  for (const std::string& region : measured->regions) CHECK_FALSE(region.empty());
}

TEST_CASE("a contestant that crashes ends the measurement with a refusal that names it") {
  test::TemporaryFolder folder;
  const std::vector<Contestant> contestants = {
      Make(folder, "baseline", Chain()),
      Make(folder, "candidate", Chain("fputs(\"oh\", stderr); abort();"))};
  MeasureOptions options;
  options.folder = folder.path();
  const Result<Measurement> measured = Measure(contestants, WorkImage(1000), options);
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
      Measure(contestants, WorkImage(1000), options,
              [](const Measurement& so_far) { return so_far.LaunchMedians(0, 0).size() == 2; });
  REQUIRE(measured.ok());
  CHECK(measured->stopped);
  CHECK(measured->LaunchMedians(0, 0).size() == 2);
  CHECK(measured->LaunchMedians(1, 0).size() == 1);
}

TEST_CASE("a core is timed on by one holder at a time") {
  const std::atomic<bool> cancelled = true;
  const std::atomic<bool> waiting = false;
  constexpr int kNoSuchCore = 70001;  // a lock that no run of this machine uses
  {
    const Result<CoreLock> first = CoreLock::Take(kNoSuchCore, waiting);
    REQUIRE(first.ok());
    CHECK_FALSE(CoreLock::Take(kNoSuchCore, cancelled).ok());
  }
  CHECK(CoreLock::Take(kNoSuchCore, waiting).ok());
  unlink("/tmp/kevolve-core-70001.lock");
}

TEST_CASE("a target names its core as last or by number") {
  CHECK(LastCpu("0-3,6") == 6);
  CHECK(LastCpu("0-15") == 15);
  CHECK(TimingCore("2-3").value() == 2);
  CHECK(TimingCore("last").value() >= 0);
  CHECK_FALSE(TimingCore("first").ok());
}

}  // namespace
}  // namespace kev
