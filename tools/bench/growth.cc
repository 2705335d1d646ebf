#include "tools/bench/growth.h"

#include <signal.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "tools/bench/frame.h"
#include "tools/bench/resident.h"
#include "tools/bench/rig.h"
#include "tools/bench/scratch.h"
#include "tools/live/exit_code.h"

namespace kev {
namespace {

using Steady = std::chrono::steady_clock;

constexpr int64_t kLimitMs = 3600000;
constexpr uint64_t kSlices = 5;
constexpr uint32_t kInFlight = 512;
constexpr uint64_t kWarm = 2 * kInFlight;  // candidates of a young run before it is measured
// its size when it has been: whole waves of what is in flight
constexpr uint64_t kYoung = 10 * kInFlight;
constexpr uint64_t kSnapshotEvents = 50000;
constexpr uint64_t kBetweenSnapshots = kSnapshotEvents / 10;  // candidates: ten events each

// What some candidates cost.
struct Cost {
  uint64_t candidates = 0;
  double seconds = 0;
  double engine_cpu_s = 0;

  void Add(const Cost& more) {
    candidates += more.candidates;
    seconds += more.seconds;
    engine_cpu_s += more.engine_cpu_s;
  }
  double Us() const { return 1e6 * seconds / static_cast<double>(candidates); }
  double CpuUs() const { return 1e6 * engine_cpu_s / static_cast<double>(candidates); }
};

uint64_t EndedOf(const BenchRig& rig) { return rig.core->candidates().size() - rig.core->active(); }

// Until `point` candidates have ended.
Result<Cost> DriveTo(BenchRig& rig, uint64_t point) {
  const uint64_t from = EndedOf(rig);
  const auto begun = Steady::now();
  const double cpu = BenchRig::EngineCpuSeconds();
  if (!rig.Drive([&] { return EndedOf(rig) >= point || rig.run->Ended(); }, kLimitMs))
    return Error{Code::kUnavailable, "the candidates were not evaluated in time"};
  return Cost{EndedOf(rig) - from, std::chrono::duration<double>(Steady::now() - begun).count(),
              BenchRig::EngineCpuSeconds() - cpu};
}

Result<std::unique_ptr<BenchRig>> Begin(const RigOptions& options, uint64_t candidates) {
  auto rig = BenchRig::Open(options);
  if (!rig) return rig.error();
  const Plan plan = FramePlan(candidates, kInFlight);
  (*rig)->run->Post(RunSubmitted{plan, Value()});
  for (const Step& step : plan.steps) {
    const auto pid = (*rig)->StartWorker({"--only", step.stage, "--slots", "1"});
    if (!pid) return pid.error();
  }
  return rig;
}

// What a candidate costs at this moment in a run that has just begun. The other run stands still
// meanwhile.
Result<Cost> YoungCost(const RigOptions& as) {
  const Scratch scratch;
  RigOptions options = as;
  options.folder = scratch.path();
  auto rig = Begin(options, kYoung * 4);
  if (!rig) return rig.error();
  if (auto warm = DriveTo(**rig, kWarm); !warm) return warm.error();
  return DriveTo(**rig, kYoung);
}

Result<Value> Grow(BenchRig& rig, const RigOptions& rig_options, const GrowthOptions& options) {
  Value rows;
  for (uint64_t point = 10000; point <= options.candidates; point *= 10) {
    // The window is as long as what lies between two snapshots. Its slices alternate with young
    // runs: a machine whose speed changes changes both.
    const uint64_t slice = std::max(point / 7, kBetweenSnapshots) / kSlices;
    if (auto before = DriveTo(rig, point - kSlices * slice); !before) return before.error();
    Cost grown, young;
    for (uint64_t i = kSlices; i-- > 0;) {
      const auto beside = YoungCost(rig_options);
      if (!beside) return beside.error();
      const auto cost = DriveTo(rig, point - i * slice);
      if (!cost) return cost.error();
      young.Add(*beside);
      grown.Add(*cost);
    }
    Value row;
    row.Set("candidates", point);
    row.Set("us_per_candidate", grown.Us());
    row.Set("young_us_per_candidate", young.Us());
    row.Set("by_young", grown.Us() / young.Us());
    row.Set("engine_cpu_us_per_candidate", grown.CpuUs());
    row.Set("engine_cpu_by_young", grown.CpuUs() / young.CpuUs());
    row.Set("engine_mb", ResidentMb(getpid()));
    row.Set("redis_mb", ResidentMb(rig.redis->pid()));
    if (!options.json)
      std::printf(
          "%8llu candidates: %6.1f us each, %.2f times what they cost in a young run; engine %5.1f "
          "us CPU each (%.2f times), %4.0f MB; Redis %4.0f MB\n",
          static_cast<unsigned long long>(point), grown.Us(), row["by_young"].AsDouble(),
          grown.CpuUs(), row["engine_cpu_by_young"].AsDouble(), row["engine_mb"].AsDouble(),
          row["redis_mb"].AsDouble());
    std::fflush(stdout);
    rows.Append(std::move(row));
  }
  return rows;
}

int Complain(const Error& error) {
  std::cerr << "kevolve-bench: " << error.message << std::endl;
  return kExitEnvironment;
}

}  // namespace

int GrowthBenchmark(const GrowthOptions& options) {
  const Scratch scratch;
  RigOptions rig_options;
  rig_options.folder = scratch.path();
  rig_options.durability = DurabilityFrom(options.durability);
  rig_options.projections = true;
  rig_options.snapshot_events = kSnapshotEvents;
  auto opened = Begin(rig_options, options.candidates);
  if (!opened) return Complain(opened.error());
  std::unique_ptr<BenchRig> rig = std::move(*opened);
  auto rows = Grow(*rig, rig_options, options);
  if (!rows) return Complain(rows.error());
  const double engine_mb = ResidentMb(getpid());
  const uint64_t candidates = rig->core->candidates().size();
  kill(rig->redis->pid(), SIGKILL);
  rig.reset();
  const auto begun = Steady::now();
  opened = BenchRig::Open(rig_options);
  if (!opened) return Complain(opened.error());
  const double restart = std::chrono::duration<double>(Steady::now() - begun).count();
  Value v;
  v.Set("growth", std::move(*rows));
  v.Set("candidates", candidates);
  v.Set("engine_mb", engine_mb);
  v.Set("restart_s", restart);
  if (options.json)
    std::cout << ToJson(v) << std::endl;
  else
    std::printf("engine %.0f MB at the end; a restart after the plug was pulled takes %.2f s\n",
                engine_mb, restart);
  return kExitDone;
}

}  // namespace kev
