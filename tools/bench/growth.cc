#include "tools/bench/growth.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "runners/statistics/statistics.h"
#include "tools/bench/frame.h"
#include "tools/bench/resident.h"
#include "tools/bench/rig.h"
#include "tools/bench/scratch.h"
#include "tools/live/exit_code.h"

namespace kev {
namespace {

using Steady = std::chrono::steady_clock;

constexpr int64_t kLimitMs = 3600000;
constexpr uint32_t kInFlight = 512;
constexpr uint64_t kWarm = 2 * kInFlight;    // candidates after a pause before they are measured
constexpr uint64_t kSlice = 8 * kInFlight;   // candidates of one measurement: whole waves
constexpr uint64_t kYoung = kWarm + kSlice;  // size of a young run when it has been measured
constexpr uint64_t kGrown = 2 * kYoung;      // and of the same run a second time: 10,000
constexpr size_t kPairs = 12;
constexpr uint64_t kFirstPoint = 100000;
constexpr uint64_t kSnapshotEvents = 50000;
// Candidates of the grown run that are measured at a time: of large runs more, as what comes
// rarely there (a snapshot, a file that Redis writes anew) must come often enough to be weighed.
constexpr uint64_t SliceAt(uint64_t point) {
  return std::clamp(point / (2 * kPairs) / kInFlight, kSlice / kInFlight, 4 * kSlice / kInFlight) *
         kInFlight;
}

// What some candidates cost.
struct Cost {
  uint64_t candidates = 0;
  double seconds = 0;
  double engine_cpu_s = 0;

  double Us() const { return 1e6 * seconds / static_cast<double>(candidates); }
  double CpuUs() const { return 1e6 * engine_cpu_s / static_cast<double>(candidates); }
};

Cost Sum(const std::vector<Cost>& costs) {
  Cost sum;
  for (const Cost& c : costs) {
    sum.candidates += c.candidates;
    sum.seconds += c.seconds;
    sum.engine_cpu_s += c.engine_cpu_s;
  }
  return sum;
}

// A slice of a run, and one of a young run right before it: a machine whose speed changes changes
// both.
struct Pairs {
  std::vector<Cost> grown, young;
};

uint64_t EndedOf(const BenchRig& rig) { return rig.core->candidates().size() - rig.core->active(); }

// Whether Redis writes its file anew: a process beside it that takes CPU time.
bool Rewrites(const BenchRig& rig) {
  const std::string pid = std::to_string(rig.redis->pid());
  std::ifstream children("/proc/" + pid + "/task/" + pid + "/children");
  int child = 0;
  return static_cast<bool>(children >> child);
}

// Until `point` candidates have ended, and no rewrite is left that a later measurement would pay.
Result<Cost> DriveTo(BenchRig& rig, uint64_t point) {
  const uint64_t from = EndedOf(rig);
  const auto begun = Steady::now();
  const double cpu = BenchRig::EngineCpuSeconds();
  uint64_t next = point;
  const auto over = [&] {
    const uint64_t ended = EndedOf(rig);
    if (rig.run->Ended()) return true;
    if (ended < next) return false;
    next = ended + kInFlight;  // looks once a wave
    return !Rewrites(rig);
  };
  if (!rig.Drive(over, kLimitMs))
    return Error{Code::kUnavailable, "the candidates were not evaluated in time"};
  return Cost{EndedOf(rig) - from, std::chrono::duration<double>(Steady::now() - begun).count(),
              BenchRig::EngineCpuSeconds() - cpu};
}

// What a candidate costs from where the run stands, after a warm-up.
Result<Cost> Slice(BenchRig& rig, uint64_t candidates) {
  if (auto warm = DriveTo(rig, EndedOf(rig) + kWarm); !warm) return warm.error();
  return DriveTo(rig, EndedOf(rig) + candidates);
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

// A run that has just begun, measured from 1,000 and then to 10,000 candidates. The other run
// stands still meanwhile.
Status Young(const RigOptions& as, Cost* young, Pairs* grown) {
  const Scratch scratch;
  RigOptions options = as;
  options.folder = scratch.path();
  auto rig = Begin(options, kGrown * 4);
  if (!rig) return rig.error();
  for (Cost* cost : {young, &grown->grown.emplace_back()}) {
    auto slice = Slice(**rig, kSlice);
    if (!slice) return slice.error();
    *cost = *slice;
  }
  grown->young.push_back(*young);
  return {};
}

// Ratio of two sums with an interval of 95 %: the pairs' jackknife.
Interval RatioOf(const Pairs& pairs, double (Cost::*us)() const) {
  const auto without = [&](size_t left_out) {
    std::vector<Cost> grown = pairs.grown, young = pairs.young;
    if (left_out < grown.size()) {
      grown.erase(grown.begin() + static_cast<ptrdiff_t>(left_out));
      young.erase(young.begin() + static_cast<ptrdiff_t>(left_out));
    }
    return (Sum(grown).*us)() / (Sum(young).*us)();
  };
  const size_t n = pairs.grown.size();
  const double point = without(n);
  double mean = 0, squares = 0;
  for (size_t i = 0; i < n; ++i) mean += without(i) / static_cast<double>(n);
  for (size_t i = 0; i < n; ++i) squares += (without(i) - mean) * (without(i) - mean);
  const double error = std::sqrt(squares * static_cast<double>(n - 1) / static_cast<double>(n));
  constexpr double kStudent = 2.20;  // 11 degrees of freedom
  return {point, point - kStudent * error, point + kStudent * error};
}

Value List(const Interval& interval) {
  Value v;
  for (double x : {interval.point, interval.low, interval.high}) v.Append(x);
  return v;
}

Value Row(uint64_t point, const Pairs& pairs, const BenchRig* rig, bool json) {
  const Interval time = RatioOf(pairs, &Cost::Us);
  const Interval cpu = RatioOf(pairs, &Cost::CpuUs);
  Value row;
  row.Set("candidates", point);
  row.Set("pairs", static_cast<uint64_t>(pairs.grown.size()));
  row.Set("us_per_candidate", Sum(pairs.grown).Us());
  row.Set("young_us_per_candidate", Sum(pairs.young).Us());
  row.Set("by_young", List(time));
  row.Set("engine_cpu_us_per_candidate", Sum(pairs.grown).CpuUs());
  row.Set("engine_cpu_by_young", List(cpu));
  if (rig) {
    row.Set("engine_mb", ResidentMb(getpid()));
    row.Set("redis_mb", ResidentMb(rig->redis->pid()));
  }
  if (!json) {
    std::printf(
        "%8llu candidates: %6.1f us each, %.2f [%.2f, %.2f] times what they cost in a young run; "
        "engine %5.1f us CPU each, %.2f [%.2f, %.2f] times",
        static_cast<unsigned long long>(point), Sum(pairs.grown).Us(), time.point, time.low,
        time.high, Sum(pairs.grown).CpuUs(), cpu.point, cpu.low, cpu.high);
    if (rig)
      std::printf(", %4.0f MB; Redis %4.0f MB", row["engine_mb"].AsDouble(),
                  row["redis_mb"].AsDouble());
    std::printf("\n");
    std::fflush(stdout);
  }
  return row;
}

Result<Value> Grow(BenchRig& rig, const RigOptions& rig_options, const GrowthOptions& options) {
  Value rows;
  for (uint64_t point = kFirstPoint; point <= options.candidates; point *= 10) {
    if (auto before = DriveTo(rig, point - kPairs * (kWarm + SliceAt(point))); !before)
      return before.error();
    Pairs first, now;
    for (size_t i = 0; i < kPairs; ++i) {
      Cost young;
      if (Status s = Young(rig_options, &young, &first); !s.ok()) return s.error();
      auto cost = Slice(rig, SliceAt(point));
      if (!cost) return cost.error();
      now.grown.push_back(*cost);
      now.young.push_back(young);
    }
    rows.Append(Row(kGrown, first, nullptr, options.json));
    rows.Append(Row(point, now, &rig, options.json));
  }
  return rows;
}

int Complain(const Error& error) {
  std::cerr << "kevolve-bench: " << error.message << std::endl;
  return kExitEnvironment;
}

}  // namespace

int GrowthBenchmark(const GrowthOptions& options) {
  if (options.candidates < kFirstPoint) {
    std::cerr << "kevolve-bench: --candidates " << options.candidates << " is too few: growth "
              << "measures at " << kFirstPoint << ", and at each ten times as many up to there"
              << std::endl;
    return kExitBadInput;
  }
  const Scratch scratch;
  RigOptions rig_options;
  rig_options.folder = scratch.path();
  rig_options.durability = DurabilityFrom(options.durability);
  rig_options.projections = true;
  rig_options.snapshot_events = kSnapshotEvents;
  auto opened = Begin(rig_options, options.candidates + 100 * kInFlight);
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
