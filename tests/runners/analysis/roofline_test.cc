#include "runners/analysis/roofline.h"

#include <doctest/doctest.h>

namespace kev {
namespace {

// 100 GFLOP/s; 400, 100, 30 and 10 GB/s.
MachinePeaks Machine() {
  MachinePeaks peaks;
  peaks.flops = {{"f32.avx2", 100e9}, {"f64.avx2", 50e9}, {"f32.scalar", 10e9}};
  peaks.levels = {{"L1", 32 << 10, 16 << 10, 400e9, 300e9, 1e-9},
                  {"L2", 1 << 20, 512 << 10, 100e9, 80e9, 4e-9},
                  {"L3", 32 << 20, 16 << 20, 30e9, 25e9, 2e-8},
                  {"memory", 0, 512 << 20, 10e9, 9e9, 1e-7}};
  peaks.clock_hz = 3e9;
  return peaks;
}

CallWork Work(double flops, double bytes) {
  CallWork work;
  work.flops = flops;
  work.bytes = bytes;
  return work;
}

}  // namespace

TEST_CASE("a kernel stands under the roof of the level that its data lies in") {
  const MachinePeaks peaks = Machine();
  // 10 MB from L3 at 30 GB/s: 333 us; the arithmetic would take 10 us.
  const Roofline l3 = PlaceOnRoofline(Work(1e6, 10e6), 400e-6, peaks);
  CHECK(l3.level == "L3");
  CHECK(l3.intensity == doctest::Approx(0.1));
  CHECK(l3.attainable == doctest::Approx(10e6 / 30e9));
  CHECK(l3.share == doctest::Approx(0.8333).epsilon(1e-3));
  CHECK(l3.attainable_flops == doctest::Approx(3e9));
  CHECK(l3.headroom == doctest::Approx(1.2));
  CHECK(l3.bottleneck == Bottleneck::kL3);
  CHECK(std::string(Name(l3.bottleneck)) == "memory-L3");

  CHECK(PlaceOnRoofline(Work(1, 16e3), 45e-9, peaks).bottleneck == Bottleneck::kL1);
  CHECK(PlaceOnRoofline(Work(1, 500e3), 5.5e-6, peaks).bottleneck == Bottleneck::kL2);
  CHECK(PlaceOnRoofline(Work(1, 100e6), 11e-3, peaks).bottleneck == Bottleneck::kMemory);
  CallWork cold = Work(1, 16e3);
  cold.cold = true;
  CHECK(PlaceOnRoofline(cold, 1.7e-6, peaks).bottleneck == Bottleneck::kMemory);
  CallWork large = Work(1, 16e3);  // moves little of much
  large.working_set = 100e6;
  CHECK(PlaceOnRoofline(large, 1.7e-6, peaks).level == "memory");
}

TEST_CASE("arithmetic, chains, the front end and the call itself as what holds a kernel back") {
  const MachinePeaks peaks = Machine();
  const CallWork gemm = Work(1e9, 3e6);  // 10 ms of arithmetic
  CHECK(PlaceOnRoofline(gemm, 12e-3, peaks).bottleneck == Bottleneck::kCompute);
  CHECK(PlaceOnRoofline(gemm, 30e-3, peaks).bottleneck == Bottleneck::kCompute);
  StaticHint chain;
  chain.dependency = true;
  CHECK(PlaceOnRoofline(gemm, 30e-3, peaks, 0, 0, chain).bottleneck == Bottleneck::kLatency);
  // A model's guess does not outweigh a roof that is reached.
  CHECK(PlaceOnRoofline(gemm, 12e-3, peaks, 0, 0, chain).bottleneck == Bottleneck::kCompute);
  StaticHint front;
  front.front_end = true;
  CHECK(PlaceOnRoofline(gemm, 30e-3, peaks, 0, 0, front).bottleneck == Bottleneck::kFrontEnd);
  CHECK(PlaceOnRoofline(gemm, 1, peaks).bottleneck == Bottleneck::kLatency);
  CHECK(PlaceOnRoofline(Work(64, 512), 60e-9, peaks, 0, 50e-9).bottleneck == Bottleneck::kOverhead);
  CallWork f64 = gemm;
  f64.element_bytes = 8;
  CHECK(PlaceOnRoofline(f64, 21e-3, peaks).share == doctest::Approx(20.0 / 21));
}

TEST_CASE("a copy of the same bytes is the practical ceiling") {
  // A softmax as fast as a copy: the roof of pure loads says 0.5, and there is nothing left to win.
  const Roofline line = PlaceOnRoofline(Work(1e6, 10e6), 700e-6, Machine(), 680e-6);
  CHECK(line.share < 0.5);
  CHECK(line.share_of_copy == doctest::Approx(0.971).epsilon(1e-3));
  CHECK(line.headroom == doctest::Approx(700.0 / 680));
  CHECK(line.bottleneck == Bottleneck::kL3);
}

TEST_CASE("without measured peaks it is said and nothing is claimed") {
  const Roofline line = PlaceOnRoofline(Work(1e6, 1e6), 1e-3, MachinePeaks{});
  CHECK(line.bottleneck == Bottleneck::kUnknown);
  CHECK(line.share == 0);
  CHECK(line.note.find("doctor --measure") != std::string::npos);
}

TEST_CASE("bounds of a CPU: highest clock, or 1.5 times what is known") {
  CpuIdentity cpu = ParseCpuInfo("vendor_id : X\nflags : fma avx2\n");
  cpu.highest_hz = 4e9;
  cpu.cache_bytes = {32 << 10, 1 << 20};
  const DatasheetPeaks known = BoundsOf(cpu, 4, 1, 3e9);
  CHECK(known.flops == 2 * 2 * 8 * 4e9);
  CHECK(known.cached_bytes == (32 << 10) + (1 << 20));
  CHECK(known.origin.find("highest clock") != std::string::npos);
  cpu.highest_hz = 0;
  cpu.base_hz = 2e9;
  const DatasheetPeaks guessed = BoundsOf(cpu, 8, 2, 3e9);
  CHECK(guessed.flops == 2 * 2 * 4 * 4.5e9 * 2);
  CHECK(guessed.origin ==
        "derived: two fused units of 256 bits at 1.5 times the clock that is known, since turbo is "
        "not (4.5 GHz), 2 cores");
  CHECK(BoundsOf(ParseCpuInfo(""), 4, 1, 0).flops == 0);
}

TEST_CASE("faster than the datasheet is impossible, faster than the measured peak suspect") {
  const MachinePeaks measured = Machine();
  DatasheetPeaks datasheet;
  datasheet.flops = 200e9;
  datasheet.origin = "datasheet";
  const CallWork gemm = Work(1e9, 3e6);
  CHECK(JudgeCall(gemm, 11e-3, datasheet, &measured).plausibility == Plausibility::kPlausible);
  CHECK(JudgeCall(gemm, 9.6e-3, datasheet, &measured).plausibility == Plausibility::kPlausible);
  const FloorJudgement suspect = JudgeCall(gemm, 8e-3, datasheet, &measured);
  CHECK(suspect.plausibility == Plausibility::kSuspect);
  CHECK(suspect.reason == "1.25 times faster than the peak measured on this machine");
  const FloorJudgement impossible = JudgeCall(gemm, 1e-3, datasheet, &measured);
  CHECK(impossible.plausibility == Plausibility::kImpossible);
  CHECK(impossible.floor == doctest::Approx(5e-3));
  CHECK(impossible.reason == "5.0 times faster than the hardware can be (datasheet)");
  CHECK(JudgeCall(gemm, 6e-3, datasheet, nullptr).plausibility == Plausibility::kPlausible);
}

TEST_CASE("what caches can hold need not cross the memory's bus") {
  // An H100, flushed so that its L2 is clean, copies 64 MiB in 42.8 us, faster than the 3.0 TB/s of
  // its memory allow: the 50 MB of L2 keep a part of what was written.
  DatasheetPeaks datasheet;
  datasheet.bytes = 3.0e12;
  datasheet.cached_bytes = 50e6;
  datasheet.origin = "datasheet";
  const CallWork copy = Work(0, 2.0 * (64 << 20));
  CHECK(copy.bytes / datasheet.bytes > 42.8e-6);
  CHECK(JudgeCall(copy, 42.8e-6, datasheet, nullptr).plausibility == Plausibility::kPlausible);
  CHECK(JudgeCall(copy, 20e-6, datasheet, nullptr).plausibility == Plausibility::kImpossible);
  // All of it fits: only the nearest cache bounds it.
  CHECK(JudgeCall(Work(0, 40e6), 1e-6, datasheet, nullptr).plausibility ==
        Plausibility::kPlausible);
  datasheet.cache_bytes_per_s = 30e12;
  CHECK(JudgeCall(Work(0, 40e6), 1e-6, datasheet, nullptr).plausibility ==
        Plausibility::kImpossible);
}

TEST_CASE("the bounds of this machine are above what it was measured to do") {
  PeakOptions options;
  options.seconds_each = 0.0005;
  options.repetitions = 20;
  options.most_bytes = 1 << 20;
  const auto peaks = MeasurePeaks(options);
  REQUIRE(peaks);
  const DatasheetPeaks bounds = BoundsOf(ThisCpu(), 4, 1, peaks->clock_hz);
  CHECK(bounds.flops > peaks->Flops(4));
  CHECK(bounds.cache_bytes_per_s > peaks->levels.front().load);
  CHECK(bounds.cache_bytes_per_s > peaks->levels.front().copy);
}

}  // namespace kev
