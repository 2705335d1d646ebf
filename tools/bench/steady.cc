#include "tools/bench/steady.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>

#include "tools/bench/resident.h"
#include "tools/bench/rig.h"
#include "tools/bench/scratch.h"
#include "tools/live/exit_code.h"

namespace kev {
namespace {

using Steady = std::chrono::steady_clock;

constexpr uint64_t kOpen = 4096;  // jobs that are given and not done
constexpr uint64_t kGiven = 256;  // at a time
constexpr int kRows = 20;

int Complain(const std::string& what) {
  std::cerr << "kevolve-bench: " << what << std::endl;
  return kExitEnvironment;
}

struct Row {
  double jobs = 0, engine_mb = 0, redis_mb = 0;
};

// Bytes a job adds, by the line through the highest points of the second and the last fifth: peaks,
// since snapshots and Redis' rewrites come and go.
double BytesPerJob(const std::vector<Row>& rows, double Row::* mb) {
  const size_t fifth = rows.size() / 5;
  const auto highest = [&](size_t from) {
    return *std::max_element(rows.begin() + static_cast<std::ptrdiff_t>(from),
                             rows.begin() + static_cast<std::ptrdiff_t>(from + fifth),
                             [&](const Row& a, const Row& b) { return a.*mb < b.*mb; });
  };
  const Row early = highest(fifth), late = highest(rows.size() - fifth);
  return (late.*mb - early.*mb) * 1048576 / (late.jobs - early.jobs);
}

}  // namespace

int SteadyBenchmark(const SteadyOptions& options) {
  const Scratch scratch;
  RigOptions rig_options;
  rig_options.folder = scratch.path();
  rig_options.durability = DurabilityFrom(options.durability);
  rig_options.projections = true;
  rig_options.snapshot_events = 50000;
  auto opened = BenchRig::Open(rig_options);
  if (!opened) return Complain(opened.error().message);
  BenchRig& rig = **opened;
  rig.run->Post(RunSubmitted{NoOpPlan(), Value()});
  for (uint32_t i = 0; i < options.workers; ++i) {
    const auto pid = rig.StartWorker({"--only", "exec/null", "--slots", "1", "--prefetch", "256"});
    if (!pid) return Complain(pid.error().message);
  }
  uint64_t given = 0;
  const auto feed = [&] {
    while (given < options.jobs && given - rig.run->jobs_done() < kOpen) {
      const uint64_t n = std::min(kGiven, options.jobs - given);
      given += n;
      rig.run->Post(NoOpJobs(n, given == options.jobs));
    }
  };
  const auto begun = Steady::now();
  const double cpu = BenchRig::EngineCpuSeconds();
  std::vector<Row> rows;
  for (int i = 1; i <= kRows; ++i) {
    const uint64_t point = options.jobs / kRows * static_cast<uint64_t>(i);
    const auto reached = [&] {
      feed();
      return rig.run->jobs_done() >= point || rig.run->Ended();
    };
    if (!rig.Drive(reached, 3600000)) return Complain("the jobs were not done in time");
    rows.push_back({static_cast<double>(rig.run->jobs_done()), ResidentMb(getpid()),
                    ResidentMb(rig.redis->pid())});
    if (!options.json) {
      std::printf("%10.0f jobs: engine %5.0f MB, Redis %5.0f MB\n", rows.back().jobs,
                  rows.back().engine_mb, rows.back().redis_mb);
      std::fflush(stdout);
    }
  }
  if (!rig.Drive([&] { return rig.run->Ended(); }, 60000))
    return Complain("all jobs are done, and the run does not end");
  const double seconds = std::chrono::duration<double>(Steady::now() - begun).count();
  const auto jobs = static_cast<double>(options.jobs);
  Value v;
  v.Set("jobs", options.jobs);
  v.Set("durability", options.durability);
  v.Set("workers", options.workers);
  v.Set("jobs_per_s", jobs / seconds);
  v.Set("cpu_us_per_job", 1e6 * (BenchRig::EngineCpuSeconds() - cpu) / jobs);
  v.Set("engine_bytes_per_job", BytesPerJob(rows, &Row::engine_mb));
  v.Set("redis_bytes_per_job", BytesPerJob(rows, &Row::redis_mb));
  v.Set("engine_mb", rows.back().engine_mb);
  v.Set("redis_mb", rows.back().redis_mb);
  for (const Row& row : rows)
    v.Set("memory").Append(Value(Value::List{row.jobs, row.engine_mb, row.redis_mb}));
  if (options.json) {
    std::cout << ToJson(v) << std::endl;
  } else {
    std::printf(
        "%.0f jobs/s; a job adds %.1f bytes to the engine, %.1f to Redis; %.1f us CPU each\n",
        v["jobs_per_s"].AsDouble(), v["engine_bytes_per_job"].AsDouble(),
        v["redis_bytes_per_job"].AsDouble(), v["cpu_us_per_job"].AsDouble());
  }
  return kExitDone;
}

}  // namespace kev
