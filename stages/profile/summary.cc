#include "stages/profile/summary.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "stages/verify/compare.h"

namespace kev {
namespace {

// One launch says nothing of how launches differ. A factor of two is more than any spread between
// launches that was seen, so the interval of a candidate that was given up on stays honest without
// being endless.
constexpr double kOneLaunchSpread = 2;

Interval IntervalOf(const std::vector<double>& log_ratios) {
  Interval interval = MedianInterval(log_ratios);
  if (log_ratios.size() == 1) {
    interval.low = interval.point - std::log(kOneLaunchSpread);
    interval.high = interval.point + std::log(kOneLaunchSpread);
  }
  return interval;
}

std::vector<double> VisibleLogRatios(const Measurement& measurement, const Arena& arena, size_t of,
                                     size_t by) {
  std::vector<std::vector<double>> rows;
  for (size_t call = 0; call < arena.visible; ++call)
    rows.push_back(measurement.LogRatios(of, by, call));
  return CombineWorkloads(rows, arena.Weights());
}

// Value of a formula for one call; 0 when the task has none.
double Formula(const Program& program, const Axes& axes) {
  if (program.empty()) return 0;
  const Result<double> value = EvaluateOver(program, axes);
  return value.ok() ? *value : 0;
}

Value ListOf(const std::vector<double>& values) {
  Value::List list;
  for (const double value : values) list.emplace_back(value);
  return list;
}

double CacheBytes() {
  long most = 0;
  for (const int name : {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE}) {
    most = std::max(most, sysconf(name));
  }
  return static_cast<double>(most);
}

}  // namespace

Interval SpeedupOver(const Measurement& measurement, const Arena& arena, size_t baseline,
                     size_t candidate) {
  // The interval comes from the launches, each a weighted mean over the workloads; the point is the
  // weighted mean of the workloads' own medians, which is what the per-workload table shows.
  Interval log_ratio = IntervalOf(VisibleLogRatios(measurement, arena, baseline, candidate));
  std::vector<double> medians;
  for (size_t call = 0; call < arena.visible; ++call) {
    medians.push_back(Median(measurement.LogRatios(baseline, candidate, call)));
  }
  log_ratio.point = WeightedMean(medians, arena.Weights());
  log_ratio.low = std::min(log_ratio.low, log_ratio.point);
  log_ratio.high = std::max(log_ratio.high, log_ratio.point);
  return Exponential(log_ratio);
}

Value FactsOf(const Measurement& measurement, const Arena& arena, const Task& task,
              const Contest& contest) {
  Value facts;
  const Interval speedup = SpeedupOver(measurement, arena, contest.baseline, contest.candidate);
  facts.Set("speedup", speedup.point);
  facts.Set("speedup_low", speedup.low);
  facts.Set("speedup_high", speedup.high);
  facts.Set("baseline", contest.contestants[contest.baseline].name);
  facts.Set("fidelity", contest.final ? "final" : "screen");
  facts.Set("trust", "B");
  facts.Set("isolation", kIsolation);
  facts.Set("launches",
            static_cast<int64_t>(measurement.LaunchMedians(contest.candidate, 0).size()));
  if (contest.control != 0) {
    facts.Set("aa_band", ControlBand(IntervalOf(VisibleLogRatios(
                             measurement, arena, contest.baseline, contest.control))));
  }

  Value versus;
  versus.Set(contest.contestants[contest.baseline].name, speedup.point);
  for (const size_t other : contest.others) {
    versus.Set(contest.contestants[other].name,
               SpeedupOver(measurement, arena, other, contest.candidate).point);
  }
  facts.Set("speedup_vs", versus);
  if (contest.incumbent != 0) {
    const Interval against = SpeedupOver(measurement, arena, contest.incumbent, contest.candidate);
    Value incumbent;
    incumbent.Set("name", contest.contestants[contest.incumbent].name);
    incumbent.Set("speedup", against.point);
    incumbent.Set("speedup_low", against.low);
    incumbent.Set("speedup_high", against.high);
    facts.Set("incumbent", incumbent);
  }

  Value workloads;
  double weighted_time = 0, weighted_flops = 0, weighted_bytes = 0;
  for (size_t call = 0; call < arena.workloads.size(); ++call) {
    const Workload& workload = arena.workloads[call];
    const std::vector<double> ratios =
        measurement.LogRatios(contest.baseline, contest.candidate, call);
    const Interval of_workload = Exponential(IntervalOf(ratios));
    const double ns = Median(measurement.LaunchMedians(contest.candidate, call));
    const double flops = Formula(task.flops, workload.axes);
    const double bytes = Formula(task.bytes, workload.axes);
    Value& entry = workloads.Set(workload.name);
    entry.Set("speedup", of_workload.point);
    entry.Set("low", of_workload.low);
    entry.Set("high", of_workload.high);
    entry.Set("latency_ns", ns);
    entry.Set("baseline_ns", Median(measurement.LaunchMedians(contest.baseline, call)));
    if (!task.flops.empty()) entry.Set("flops", flops / ns * 1e9);
    if (!task.bytes.empty()) entry.Set("bytes", bytes / ns * 1e9);
    entry.Set("weight", workload.weight);
    entry.Set("held_out", workload.held_out);
    entry.Set("log_ratios", ListOf(ratios));
    if (call >= arena.visible) continue;
    weighted_time += workload.weight * ns;
    weighted_flops += workload.weight * flops;
    weighted_bytes += workload.weight * bytes;
  }
  facts.Set("workloads", workloads);
  std::vector<double> logs;
  for (size_t call = 0; call < arena.visible; ++call) {
    logs.push_back(std::log(Median(measurement.LaunchMedians(contest.candidate, call))));
  }
  facts.Set("latency_ns", std::exp(WeightedMean(logs, arena.Weights())));
  // Rates of the mix of calls as it is served: all work over all time.
  if (!task.flops.empty()) facts.Set("flops", weighted_flops / weighted_time * 1e9);
  if (!task.bytes.empty()) facts.Set("bytes", weighted_bytes / weighted_time * 1e9);
  return facts;
}

std::string Impossible(const Value& facts, const Arena& arena, const Task& task,
                       const Target& target) {
  char text[200];
  const auto peak = [&](const char* name) {
    const auto found = target.peaks.find(name);
    return found == target.peaks.end() ? 0.0 : found->second;
  };
  const double caches = CacheBytes();
  for (const Workload& workload : arena.workloads) {
    const Value& measured = facts["workloads"][workload.name];
    const std::string place =
        workload.held_out ? "a held-out workload" : "workload " + workload.name;
    const double flops = measured["flops"].AsDouble();
    if (peak("flops") > 0 && flops > peak("flops")) {
      std::snprintf(text, sizeof(text), ": %.3g FLOP/s, and this target's peak is %.3g", flops,
                    peak("flops"));
      return place + text;
    }
    // What the caches can hold need not come from memory again.
    const double bytes = std::max(0.0, Formula(task.bytes, workload.axes) - caches);
    const double rate = bytes / measured["latency_ns"].AsDouble(1) * 1e9;
    if (peak("bytes") > 0 && rate > peak("bytes")) {
      std::snprintf(text, sizeof(text),
                    ": %.3g bytes/s from memory, and this target's peak is %.3g", rate,
                    peak("bytes"));
      return place + text;
    }
  }
  return "";
}

std::string SamplesBlob(const Measurement& measurement, const Arena& arena,
                        const Contest& contest) {
  Value blob;
  blob.Set("format", 1);
  blob.Set("unit", "ns per call");
  blob.Set("pinned", measurement.pinned);
  Value::List contestants, workloads, launches;
  for (const Contestant& contestant : contest.contestants) {
    Value entry;
    entry.Set("role", contestant.role);
    entry.Set("name", contestant.name);
    contestants.push_back(std::move(entry));
  }
  for (const Workload& workload : arena.workloads) workloads.emplace_back(workload.name);
  for (const LaunchSamples& launch : measurement.samples) {
    Value entry;
    entry.Set("contestant", static_cast<int64_t>(launch.contestant));
    entry.Set("launch", launch.launch);
    entry.Set("workload", static_cast<int64_t>(launch.call));
    entry.Set("batch", launch.batch);
    entry.Set("ns", ListOf(launch.ns));
    launches.push_back(std::move(entry));
  }
  blob.Set("contestants", std::move(contestants));
  blob.Set("workloads", std::move(workloads));
  blob.Set("launches", std::move(launches));
  return EncodeCanonical(blob);
}

std::string TimedFault(const Measurement& measurement, const Arena& arena, const Task& task,
                       const Contest& contest) {
  const std::string& got = measurement.regions[contest.candidate];
  const std::string& base = measurement.regions[contest.baseline];
  if (got.empty() || base.empty()) return "";
  for (size_t call = 0; call < arena.workloads.size(); ++call) {
    const Workload& workload = arena.workloads[call];
    const std::string place =
        workload.held_out ? "a held-out workload" : "workload " + workload.name;
    if (std::string violation = arena.image.Violation(got, call); !violation.empty()) {
      return "while it was timed on " + place + " it " + violation;
    }
    for (size_t a = 0; a < task.arguments.size(); ++a) {
      const Argument& argument = task.arguments[a];
      if (argument.role == Argument::Role::kInOut)
        break;  // repeated calls go on from their own result
      if (argument.role != Argument::Role::kOut) continue;
      const auto allowed = task.tolerance.find(Name(argument.dtype));
      Tolerance tolerance = allowed == task.tolerance.end() ? Tolerance() : allowed->second;
      tolerance.atol *= 2;  // both may be off by the tolerance, to either side
      tolerance.rtol *= 2;
      const Comparison compared = Compare(argument.dtype, arena.image.Array(got, call, a),
                                          arena.image.Array(base, call, a), tolerance);
      if (compared.wrong > 0) {
        char text[80];
        std::snprintf(
            text, sizeof(text), "%.2g %% of %s",
            100.0 * static_cast<double>(compared.wrong) / static_cast<double>(compared.elements),
            argument.name.c_str());
        return "while it was timed on " + place + " it left " + text +
               " wrong, though it is right when checked";
      }
    }
  }
  return "";
}

}  // namespace kev
