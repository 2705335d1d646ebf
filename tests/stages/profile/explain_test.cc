#include "stages/profile/explain.h"

#include <doctest/doctest.h>

#include <chrono>

#include "tests/runners/support/compiled_kernel.h"

namespace kev {
namespace {

// 100 GFLOP/s; 400, 100 and 10 GB/s.
MachineFigures Machine() {
  MachineFigures machine;
  machine.roofs.flops = {{"f32.avx2", 100e9}};
  machine.roofs.levels = {{"L1", 32 << 10, 16 << 10, 400e9, 300e9, 1e-9},
                          {"L2", 1 << 20, 512 << 10, 100e9, 80e9, 4e-9},
                          {"memory", 0, 512 << 20, 10e9, 9e9, 1e-7}};
  machine.origin = "measured on this machine, today";
  return machine;
}

TimedWork Took(const std::string& name, double flops, double bytes, double ns) {
  TimedWork timed;
  timed.name = name;
  timed.ns = ns;
  timed.work.flops = flops;
  timed.work.bytes = bytes;
  return timed;
}

constexpr char kSum[] =
    "float total(const float* x, int64_t n) {\n"
    "  float sum = 0;\n"
    "  for (int64_t i = 0; i < n; i++) sum += x[i];\n"
    "  return sum;\n"
    "}\n";

std::string SumLibrary() {
  const test::TemporaryFolder folder;
  return test::ReadFile(test::CompileKernel(folder, "total", kSum));
}

}  // namespace

TEST_CASE("the class is that of the workload on which most time is spent by weight") {
  const TimedWork arithmetic = Took("arithmetic", 1e6, 1e3, 12e3);  // 10 us at the peak
  const TimedWork moving = Took("moving", 1, 500e3, 6e3);           // 5 us from L2
  TimedWork often = moving;
  often.weight = 3;
  TimedWork hidden = Took("hidden", 1, 500e6, 1e9);
  hidden.held_out = true;
  const Explanation one = Explain({arithmetic, moving, hidden}, Machine(), {});
  CHECK(one.bottleneck == "compute");
  CHECK(one.by_workload ==
        std::map<std::string, std::string>{{"arithmetic", "compute"}, {"moving", "memory-L2"}});
  CHECK(one.record["bottleneck"].AsString() == "compute");
  CHECK(one.record["workload"].AsString() == "arithmetic");
  CHECK(one.record["time_s"].AsDouble() == 12e-6);
  CHECK(one.record["peaks"].AsString() == "measured on this machine, today");
  CHECK(one.record["workloads"]["moving"]["share"].AsDouble() == 0.83);
  CHECK(ToJson(one.record).find("hidden") == std::string::npos);
  CHECK(Explain({arithmetic, often}, Machine(), {}).bottleneck == "memory-L2");
}

TEST_CASE("without a formula for bytes each array is taken to move once") {
  TimedWork timed = Took("square", 0, 0, 6e3);
  timed.array_bytes = timed.work.working_set = 500e3;
  CHECK(Explain({timed}, Machine(), {}).bottleneck == "memory-L2");
}

TEST_CASE("without any roof nothing is claimed") {
  KernelProfile chain;
  chain.model.emplace();
  chain.model->bottleneck = "data dependency";
  MachineFigures unknown;
  CHECK(Explain({Took("square", 1e6, 1e3, 12e3)}, unknown, chain).bottleneck == "unknown");
  CHECK(Explain({}, Machine(), {}).bottleneck == "unknown");
}

TEST_CASE("a chain of additions far below both roofs is latency, and the record shows the loop") {
  const std::string library = SumLibrary();
  REQUIRE_FALSE(library.empty());
  KernelProfile code = StaticProfile(library, "total", /*final=*/true);
  const bool modelled = code.model.has_value();
  const Explanation why = Explain({Took("square", 1e3, 4e3, 40e3)}, Machine(), std::move(code));
  CHECK(why.bottleneck == "latency");
  const Value& record = why.record;
  CHECK(ToJson(record).size() < 5000);
  CHECK(record["hot_loop"].AsString().find("addss") != std::string::npos);
  CHECK(record["function"].AsString() == "total");
  if (modelled) {
    CHECK(record["static"]["bottleneck"].AsString() == "data dependency");
  } else {
    CHECK(record["absent"].AsList().size() == 1);
  }
}

TEST_CASE("a screening's explanation reads no code and costs next to nothing") {
  const std::string library = SumLibrary();
  const auto begin = std::chrono::steady_clock::now();
  Explanation why;
  for (int i = 0; i < 100; ++i) {
    why = Explain({Took("square", 1e6, 1e3, 12e3)},
                  FiguresOfThisMachine("/no/such/home", Target(), 3e9),
                  StaticProfile(library, "total", /*final=*/false));
  }
  const auto each = (std::chrono::steady_clock::now() - begin) / 100;
  CHECK(each < std::chrono::milliseconds(10));
  CHECK(why.record["absent"].AsList().at(0).AsString() ==
        "hot loop: a screening does not look at the code");
}

TEST_CASE("figures: the measured ones of this CPU, else derived ones that say so") {
  const test::TemporaryFolder home;
  CpuIdentity cpu;
  cpu.vendor = "GenuineIntel";
  cpu.avx2 = true;
  cpu.base_hz = 2e9;
  cpu.cache_bytes = {32 << 10, 1 << 20, 32 << 20};
  Target target;
  const MachineFigures derived = FiguresOf(cpu, home.path(), target, 3e9);
  CHECK_FALSE(derived.measured.has_value());
  CHECK(derived.origin ==
        "derived from the CPU's name and clock, not measured; run `kevolve doctor --measure`");
  CHECK(derived.clock_hz == 3e9);
  CHECK(derived.roofs.Flops(4) == 2 * 2 * 8 * 3e9);  // two fused units of 256 bits
  CHECK(derived.roofs.Flops(8) == 2 * 2 * 4 * 3e9);
  CHECK(derived.roofs.levels.size() == 4);
  target.peaks = {{"flops", 1e11}, {"bytes", 2e10}};
  const MachineFigures told = FiguresOf(cpu, home.path(), target, 3e9);
  CHECK(told.roofs.Flops(4) == 1e11);
  CHECK(told.roofs.levels.back().load == 2e10);

  MachinePeaks peaks;
  peaks.cpu = cpu.Key();
  peaks.date = "2026-01-02T03:04:05Z";
  peaks.flops["f32.avx2"] = 5e10;
  REQUIRE(WritePeaks(home.path(), cpu, peaks).ok());
  const MachineFigures measured = FiguresOf(cpu, home.path(), target, 3e9);
  CHECK(measured.measured.has_value());
  CHECK(measured.roofs.Flops(4) == 5e10);
  CHECK(measured.origin == "measured on this machine, 2026-01-02T03:04:05Z");

  const MachineFigures nothing = FiguresOf(CpuIdentity(), home.path(), Target(), 0);
  CHECK(nothing.origin == "unknown; run `kevolve doctor --measure`");
}

}  // namespace kev
