#include "tools/bench/engine.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <iostream>

#include "tools/bench/rig.h"
#include "tools/bench/scratch.h"
#include "tools/live/exit_code.h"

namespace kev {
namespace {

using Steady = std::chrono::steady_clock;

double Seconds(Steady::duration d) { return std::chrono::duration<double>(d).count(); }

int Complain(const std::string& what) {
  std::cerr << "kevolve-bench: " << what << std::endl;
  return kExitEnvironment;
}

struct Throughput {
  double jobs_per_s = 0;
  double cpu_us_per_job = 0;
};

// Queues all jobs, starts the workers, and takes the time from the first hand-out to the last
// commit.
Result<Throughput> Measure(const EngineBenchOptions& options, uint32_t credit, uint64_t jobs) {
  const Scratch scratch;
  RigOptions rig_options;
  rig_options.folder = scratch.path();
  rig_options.durability = DurabilityFrom(options.durability);
  auto opened = BenchRig::Open(rig_options);
  if (!opened) return opened.error();
  BenchRig& rig = **opened;
  rig.run->Post(RunSubmitted{NoOpPlan(), Value()});
  for (uint64_t left = jobs; left > 0;) {
    const uint64_t n = std::min<uint64_t>(left, 256);
    left -= n;
    rig.run->Post(NoOpJobs(n, left == 0));
  }
  const Error late{Code::kUnavailable, "the jobs could not be queued, or were not done in time"};
  if (!rig.Drive([&] { return rig.run->Settled(); }, 120000)) return late;
  for (uint32_t i = 0; i < options.workers; ++i) {
    const auto pid = rig.StartWorker(
        {"--only", "exec/null", "--slots", "1", "--prefetch", std::to_string(credit)});
    if (!pid) return pid.error();
  }
  // The clock starts when all workers have joined and the first tenth is done: starting a process
  // is not the engine's work.
  const uint64_t warm = jobs / 10;
  if (!rig.Drive(
          [&] { return rig.host->workers() == options.workers && rig.run->jobs_done() >= warm; },
          120000))
    return late;
  const auto started = Steady::now();
  const double cpu = BenchRig::EngineCpuSeconds();
  const uint64_t before = rig.run->jobs_done();
  if (!rig.Drive([&] { return rig.run->Ended(); }, 300000)) return late;
  const double seconds = Seconds(Steady::now() - started);
  const auto done = static_cast<double>(jobs - before);
  return Throughput{done / seconds, 1e6 * (BenchRig::EngineCpuSeconds() - cpu) / done};
}

struct Latency {
  std::vector<double> job_ms;
  // Two small appends to a file beside Redis's, each synced to the disk: what a strict job, which
  // waits for two commits, cannot be faster than. Empty in the other classes.
  std::vector<double> disk_ms;
};

// Submits one job at a time and takes the time until its result is committed; in strict, between
// two of them, what the disk takes.
Result<Latency> Latencies(const EngineBenchOptions& options) {
  const Scratch scratch;
  RigOptions rig_options;
  rig_options.folder = scratch.path();
  rig_options.durability = DurabilityFrom(options.durability);
  auto opened = BenchRig::Open(rig_options);
  if (!opened) return opened.error();
  BenchRig& rig = **opened;
  rig.run->Post(RunSubmitted{NoOpPlan(), Value()});
  const auto pid = rig.StartWorker({"--only", "exec/null", "--slots", "1"});
  if (!pid) return pid.error();
  const Error late{Code::kUnavailable, "a job was not done in time"};
  if (!rig.Drive([&] { return rig.host->workers() == 1 && rig.run->Settled(); }, 30000))
    return late;
  const int file = open((scratch.path() + "/synced").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
  if (file < 0) return Error{Code::kUnavailable, "cannot write in " + scratch.path()};
  const std::string commit(300, 'x');
  Latency latency;
  for (uint32_t i = 0; i < options.latency_jobs + 20; ++i) {
    const auto begun = Steady::now();
    rig.run->Post(NoOpJobs(1, false));
    if (!rig.Drive([&] { return rig.run->jobs_done() == i + 1 && rig.run->Settled(); }, 10000))
      return late;
    if (i >= 20) latency.job_ms.push_back(1e3 * Seconds(Steady::now() - begun));
    if (rig_options.durability != Durability::kStrict) continue;
    const auto synced = Steady::now();
    for (int commits = 0; commits < 2; ++commits) {
      if (write(file, commit.data(), commit.size()) < 0 || fdatasync(file) != 0) break;
    }
    if (i >= 20) latency.disk_ms.push_back(1e3 * Seconds(Steady::now() - synced));
  }
  close(file);
  return latency;
}

}  // namespace

int EngineBenchmark(const EngineBenchOptions& options) {
  std::vector<uint32_t> credits = {options.credit};
  if (options.credit == 0) credits = {16, 64, 256};
  uint32_t best_credit = credits[0];
  Throughput best;
  if (credits.size() > 1) {
    for (const uint32_t credit : credits) {
      const auto one = Measure(options, credit, std::min<uint64_t>(options.jobs, 60000));
      if (!one) return Complain(one.error().message);
      if (!options.json) std::printf("  credit %u: %.0f jobs/s\n", credit, one->jobs_per_s);
      if (one->jobs_per_s > best.jobs_per_s) {
        best = *one;
        best_credit = credit;
      }
    }
  }
  const auto measured = Measure(options, best_credit, options.jobs);
  if (!measured) return Complain(measured.error().message);
  const auto latency = Latencies(options);
  if (!latency) return Complain(latency.error().message);
  Value v;
  v.Set("jobs_per_s", measured->jobs_per_s);
  v.Set("durability", options.durability);
  v.Set("workers", options.workers);
  v.Set("jobs", options.jobs);
  v.Set("credit", best_credit);
  v.Set("cpu_us_per_job", measured->cpu_us_per_job);
  v.Set("latency_p50_ms", Quantile(latency->job_ms, 0.5));
  v.Set("latency_p99_ms", Quantile(latency->job_ms, 0.99));
  if (!latency->disk_ms.empty()) {
    v.Set("two_syncs_p50_ms", Quantile(latency->disk_ms, 0.5));
    v.Set("two_syncs_p99_ms", Quantile(latency->disk_ms, 0.99));
  }
  if (options.json) {
    std::cout << ToJson(v) << std::endl;
  } else {
    std::printf(
        "%.0f no-op jobs/s, durability %s, %u workers, %u sent ahead; engine %.1f us CPU per job; "
        "one at a time: p50 %.2f ms, p99 %.2f ms\n",
        measured->jobs_per_s, options.durability.c_str(), options.workers, best_credit,
        measured->cpu_us_per_job, Quantile(latency->job_ms, 0.5), Quantile(latency->job_ms, 0.99));
    if (!latency->disk_ms.empty())
      std::printf("two syncs of this disk, which such a job waits for: p50 %.2f ms, p99 %.2f ms\n",
                  Quantile(latency->disk_ms, 0.5), Quantile(latency->disk_ms, 0.99));
  }
  return kExitDone;
}

int RestartBenchmark(const RestartBenchOptions& options) {
  const Scratch scratch;
  RigOptions rig_options;
  rig_options.folder = scratch.path();
  rig_options.durability = DurabilityFrom(options.durability);
  {
    auto rig = BenchRig::Open(rig_options);
    if (!rig) return Complain(rig.error().message);
    (*rig)->run->Post(RunSubmitted{NoOpPlan(), Value()});
    for (uint64_t left = options.jobs; left > 0;) {
      const uint64_t n = std::min<uint64_t>(left, 256);
      left -= n;
      (*rig)->run->Post(NoOpJobs(n, false));
    }
    if (!(*rig)->Drive([&] { return (*rig)->run->Settled(); }, 120000))
      return Complain("the jobs could not be queued");
    kill((*rig)->redis->pid(), SIGKILL);  // as if the plug was pulled on both
  }
  const auto begun = Steady::now();
  auto opened = BenchRig::Open(rig_options);
  if (!opened) return Complain(opened.error().message);
  BenchRig& rig = **opened;
  const auto pid = rig.StartWorker({"--only", "exec/null", "--slots", "1"});
  if (!pid) return Complain(pid.error().message);
  if (!rig.Drive([&] { return rig.host->placer().out() > 0; }, 120000))
    return Complain("nothing was handed out after the restart");
  const double seconds = Seconds(Steady::now() - begun);
  if (options.json) {
    Value v;
    v.Set("restart_s", seconds);
    v.Set("outstanding", options.jobs);
    v.Set("durability", options.durability);
    std::cout << ToJson(v) << std::endl;
  } else {
    std::printf("%.2f s from the start of the engine to the first hand-out, %llu jobs open\n",
                seconds, static_cast<unsigned long long>(options.jobs));
  }
  return kExitDone;
}

int DeathBenchmark(bool json) {
  const Scratch scratch;
  RigOptions rig_options;
  rig_options.folder = scratch.path();
  auto opened = BenchRig::Open(rig_options);
  if (!opened) return Complain(opened.error().message);
  BenchRig& rig = **opened;
  Value v;
  for (const auto& [name, signal] : {std::pair{"killed_ms", SIGKILL}, {"stopped_ms", SIGSTOP}}) {
    const auto pid = rig.StartWorker({"--only", "exec/null", "--slots", "1"});
    if (!pid) return Complain(pid.error().message);
    if (!rig.Drive([&] { return rig.host->workers() == 1; }, 10000))
      return Complain("the worker did not join");
    (void)rig.fleet.Signal(*pid, signal);
    const auto begun = Steady::now();
    if (!rig.Drive([&] { return rig.host->workers() == 0; }, 30000))
      return Complain("the death of the worker was not noticed");
    v.Set(name, 1e3 * Seconds(Steady::now() - begun));
    (void)rig.fleet.Signal(*pid, SIGKILL);
    rig.fleet.Reap();
  }
  if (json)
    std::cout << ToJson(v) << std::endl;
  else
    std::printf("a killed worker was noticed after %.0f ms, a stopped one after %.0f ms\n",
                v["killed_ms"].AsDouble(), v["stopped_ms"].AsDouble());
  return kExitDone;
}

}  // namespace kev
