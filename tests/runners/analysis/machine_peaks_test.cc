#include "runners/analysis/machine_peaks.h"

#include <doctest/doctest.h>

#include <cmath>

#include "runners/analysis/micro_kernels.h"
#include "runners/analysis/tool_process.h"

namespace kev {
namespace {

MachinePeaks Some(const CpuIdentity& cpu) {
  MachinePeaks peaks;
  peaks.cpu = cpu.Key();
  peaks.model_name = "A CPU \"with\" quotes";
  peaks.date = "2026-01-02T03:04:05Z";
  peaks.core = 3;
  peaks.flops = {{"f32.avx2", 9.5e10}, {"f32.scalar", 1.2e10}, {"f64.avx2", 4.7e10}};
  peaks.levels = {{"L1", 32768, 16384, 3e11, 2e11, 1.6e-9},
                  {"memory", 0, 1 << 29, 1e10, 9e9, 1e-7}};
  peaks.clock_hz = 2.9e9;
  peaks.timer_resolution = 1e-9;
  peaks.timer_cost = 2e-8;
  peaks.doorbell = 2.5e-7;
  peaks.shortest_call = 1e-6;
  return peaks;
}

}  // namespace

TEST_CASE("/proc/cpuinfo of an Intel, an AMD and an Arm machine") {
  const CpuIdentity intel = ParseCpuInfo(
      "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\n"
      "model name\t: Intel(R) Xeon(R) Platinum 8175M CPU @ 2.50GHz\nstepping\t: 4\n"
      "flags\t\t: fpu hypervisor fma avx avx2 avx512f avx512vl\n\nprocessor\t: 1\nmodel\t\t: 1\n");
  CHECK(intel.vendor == "GenuineIntel");
  CHECK(intel.model == 85);
  CHECK(intel.base_hz == 2.5e9);
  CHECK(intel.VectorBits() == 512);
  CHECK(intel.virtual_machine);
  CHECK(intel.Key().starts_with("GenuineIntel-6-85-4-"));
  const CpuIdentity amd =
      ParseCpuInfo("vendor_id : AuthenticAMD\ncpu family : 23\nmodel : 49\nflags : fpu fma avx2\n");
  CHECK(amd.VectorBits() == 256);
  CHECK(amd.base_hz == 0);
  const CpuIdentity arm = ParseCpuInfo("CPU implementer : 0x41\nFeatures : fp asimd\n");
  CHECK(arm.VectorBits() == 128);
  CHECK(arm.Key() != amd.Key());
}

TEST_CASE("another cache or extension is another CPU, for its peaks") {
  CpuIdentity one = ParseCpuInfo("vendor_id : AuthenticAMD\nflags : fma avx2\n"), other = one;
  CHECK(one.Key() == other.Key());
  other.cache_bytes = {32768};
  CHECK(one.Key() != other.Key());
  other = one;
  other.avx2 = false;
  CHECK(one.Key() != other.Key());
}

TEST_CASE("peaks are written and read back as they were") {
  const ToolFolder home;
  const CpuIdentity cpu = ThisCpu();
  const auto none = ReadPeaks(home.path(), cpu);
  REQUIRE_FALSE(none);
  CHECK(none.error().code == Code::kNotFound);
  CHECK(none.error().message.find("kevolve doctor --measure") != std::string::npos);
  const MachinePeaks peaks = Some(cpu);
  REQUIRE(WritePeaks(home.path(), cpu, peaks).ok());
  const auto read = ReadPeaks(home.path(), cpu);
  REQUIRE(read);
  CHECK(ToValue(*read) == ToValue(peaks));
  CHECK(read->Flops(4) == 9.5e10);
  CHECK(read->Flops(8) == 4.7e10);
}

TEST_CASE("damaged peaks and those of another CPU are refused") {
  const ToolFolder home;
  const CpuIdentity cpu = ThisCpu();
  MachinePeaks peaks = Some(cpu);
  peaks.cpu = "another";
  REQUIRE(WritePeaks(home.path(), cpu, peaks).ok());
  const auto other = ReadPeaks(home.path(), cpu);
  REQUIRE_FALSE(other);
  CHECK(other.error().code == Code::kCorrupt);
  const std::string good = ToJson(ToValue(Some(cpu)));
  CHECK(ParsePeaks(good));
  CHECK_FALSE(ParsePeaks(good.substr(0, good.size() / 2)));
  CHECK_FALSE(ParsePeaks("{}"));
  CHECK_FALSE(ParsePeaks("[1]"));
  CHECK_FALSE(WritePeaks("/proc/nowhere", cpu, peaks).ok());
}

TEST_CASE("micro-kernels do what they are counted for") {
  alignas(64) char from[2048], to[2048] = {};
  for (size_t i = 0; i < sizeof from; ++i) from[i] = static_cast<char>(i * 7);
  const CpuIdentity cpu = ThisCpu();
  for (const micro::Width width : {micro::Width::kScalar, micro::Width::k256, micro::Width::k512}) {
    if (width == micro::Width::k256 && !cpu.avx2) continue;
    if (width == micro::Width::k512 && !cpu.avx512) continue;
    std::fill(std::begin(to), std::end(to), 0);
    micro::Copy(width, to, from, sizeof from);
    CHECK(std::equal(std::begin(from), std::end(from), std::begin(to)));
    micro::Load(width, from, sizeof from);
  }
  CHECK(micro::DependentAdds(640) == 640);
  void* ring[3] = {&ring[1], &ring[2], &ring[0]};
  CHECK(micro::Chase(&ring[0], 4) == &ring[1]);
}

TEST_CASE("a short measurement gives figures in the range of real machines") {
  PeakOptions options;
  options.seconds_each = 0.0005;
  options.repetitions = 5;
  options.most_bytes = 16 << 20;
  const auto peaks = MeasurePeaks(options);
  REQUIRE(peaks);
  CHECK(peaks->clock_hz > 1e8);
  CHECK(peaks->clock_hz < 1e10);
  REQUIRE(peaks->levels.size() >= 2);
  CHECK(peaks->levels.front().name == "L1");
  CHECK(peaks->levels.back().name == "memory");
  for (const MemoryLevel& level : peaks->levels) {
    INFO(level.name);
    CHECK(level.load > 1e8);
    CHECK(level.copy > 1e8);
    CHECK(level.latency > 1e-10);
  }
  CHECK(peaks->timer_cost > 0);
  if (peaks->shortest_call > 0) CHECK(peaks->shortest_call >= 100 * peaks->timer_cost);
  for (const auto& [name, flops] : peaks->flops) {
    INFO(name);
    // Two units of 512 bits, fused, are 64 operations a cycle.
    CHECK(flops < 64 * 2 * 1e10);
    CHECK(flops > 1e7);
  }
}

TEST_CASE("a core that is not there is an error") {
  PeakOptions options;
  options.core = 100'000;
  const auto peaks = MeasurePeaks(options);
  REQUIRE_FALSE(peaks);
  CHECK(peaks.error().code == Code::kInvalid);
}

}  // namespace kev
