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

}  // namespace

int GrowthBenchmark(const GrowthOptions& options) {
  const Scratch scratch;
  RigOptions rig_options;
  rig_options.folder = scratch.path();
  rig_options.durability = DurabilityFrom(options.durability);
  rig_options.projections = true;
  rig_options.snapshot_events = 50000;
  auto opened = BenchRig::Open(rig_options);
  if (!opened) {
    std::cerr << "kevolve-bench: " << opened.error().message << std::endl;
    return kExitEnvironment;
  }
  std::unique_ptr<BenchRig> rig = std::move(*opened);
  const Plan plan = FramePlan(options.candidates, 2048);
  rig->run->Post(RunSubmitted{plan, Value()});
  for (const Step& step : plan.steps) {
    const auto pid = rig->StartWorker({"--only", step.stage, "--slots", "1"});
    if (!pid) {
      std::cerr << "kevolve-bench: " << pid.error().message << std::endl;
      return kExitEnvironment;
    }
  }
  // The time of the thousand candidates that end at each of these points.
  Value rows;
  double first_us = 0, last_us = 0;
  for (uint64_t point = 1000; point <= options.candidates; point *= 10) {
    const uint64_t window = std::max<uint64_t>(500, point / 10);
    const auto ended = [&] { return rig->core->candidates().size() - rig->core->active(); };
    if (!rig->Drive([&] { return ended() + window >= point; }, 3600000)) break;
    const uint64_t from = ended();
    const auto begun = Steady::now();
    const double cpu = BenchRig::EngineCpuSeconds();
    if (!rig->Drive([&] { return ended() >= point || rig->run->Ended(); }, 3600000)) break;
    const double n = static_cast<double>(ended() - from);
    const double us = 1e6 * std::chrono::duration<double>(Steady::now() - begun).count() / n;
    Value row;
    row.Set("candidates", point);
    row.Set("us_per_candidate", us);
    row.Set("engine_cpu_us_per_candidate", 1e6 * (BenchRig::EngineCpuSeconds() - cpu) / n);
    row.Set("engine_mb", ResidentMb(getpid()));
    row.Set("redis_mb", ResidentMb(rig->redis->pid()));
    if (point == 1000) first_us = us;
    last_us = us;
    if (!options.json)
      std::printf(
          "%8llu candidates: %6.1f us each, engine %5.1f us CPU each, %4.0f MB; Redis %4.0f MB\n",
          static_cast<unsigned long long>(point), us, row["engine_cpu_us_per_candidate"].AsDouble(),
          row["engine_mb"].AsDouble(), row["redis_mb"].AsDouble());
    std::fflush(stdout);
    rows.Append(std::move(row));
  }
  const double engine_mb = ResidentMb(getpid());
  const uint64_t candidates = rig->core->candidates().size();
  kill(rig->redis->pid(), SIGKILL);
  rig.reset();
  const auto begun = Steady::now();
  opened = BenchRig::Open(rig_options);
  if (!opened) {
    std::cerr << "kevolve-bench: " << opened.error().message << std::endl;
    return kExitEnvironment;
  }
  const double restart = std::chrono::duration<double>(Steady::now() - begun).count();
  Value v;
  v.Set("growth", std::move(rows));
  v.Set("candidates", candidates);
  v.Set("engine_mb", engine_mb);
  v.Set("restart_s", restart);
  v.Set("last_by_first", first_us > 0 ? last_us / first_us : 0);
  if (options.json)
    std::cout << ToJson(v) << std::endl;
  else
    std::printf("engine %.0f MB at the end; a restart after the plug was pulled takes %.2f s\n",
                engine_mb, restart);
  return kExitDone;
}

}  // namespace kev
