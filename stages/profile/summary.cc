#include "stages/profile/summary.h"

#include <algorithm>
#include <cmath>

#include "runners/statistics/decision.h"
#include "runners/statistics/sequential.h"
#include "runners/statistics/winner.h"
#include "stages/profile/call_work.h"

namespace kev {
namespace {

constexpr double kKnownTo = 0.01;  // log ratio, from the point to either end
constexpr double kShown = 0.95;    // confidence of the intervals that are shown

bool LookedAt(const Contest& contest, size_t launches) {
  return contest.sequential && launches >= kFinalLaunches;
}

// One launch says nothing of how launches differ; the baselines' own launches do.
Interval IntervalOf(const std::vector<std::vector<double>>& rows,
                    const std::vector<double>& weights, const Contest& contest, double confidence) {
  const size_t launches = rows.empty() ? 0 : rows.front().size();
  Interval interval = LookedAt(contest, launches) ? CombinedSequential(rows, weights, confidence)
                                                  : CombinedInterval(rows, weights, confidence);
  if (launches == 1) {
    interval.low = interval.point - contest.launch_band;
    interval.high = interval.point + contest.launch_band;
  }
  return interval;
}

// In log ratio, over the visible workloads.
Interval LogSpeedup(const Measurement& measurement, const TimedSet& set, const Contest& contest,
                    size_t baseline, size_t candidate, double confidence = kShown) {
  std::vector<std::vector<double>> rows;
  for (size_t call = 0; call < set.visible; ++call)
    rows.push_back(measurement.LogRatios(baseline, candidate, call));
  return IntervalOf(rows, set.Weights(), contest, confidence);
}

std::vector<double> VisibleLogRatios(const Measurement& measurement, const TimedSet& set, size_t of,
                                     size_t by) {
  std::vector<std::vector<double>> rows;
  for (size_t call = 0; call < set.visible; ++call)
    rows.push_back(measurement.LogRatios(of, by, call));
  return CombineWorkloads(rows, set.Weights());
}

// Log ratios of single launches on one workload; what they are shifted by if the anchor was timed.
std::vector<double> LogRatiosOverStrongest(const Measurement& measurement, const TimedSet& set,
                                           const Contest& contest, size_t call) {
  if (!contest.anchor) return measurement.LogRatios(contest.baseline, contest.candidate, call);
  std::vector<double> ratios = measurement.LogRatios(contest.incumbent, contest.candidate, call);
  for (double& ratio : ratios)
    ratio += contest.anchor->workloads.at(set.workloads[call].name).speedup;
  return ratios;
}

// In log ratio. Beside an anchor both measurements may err to the same side.
Interval OverStrongest(const Measurement& measurement, const TimedSet& set, const Contest& contest,
                       double confidence = kShown) {
  const size_t beside = contest.anchor ? contest.incumbent : contest.baseline;
  Interval interval = LogSpeedup(measurement, set, contest, beside, contest.candidate, confidence);
  if (!contest.anchor) return interval;
  interval.point += contest.anchor->speedup.point;
  interval.low += contest.anchor->speedup.low;
  interval.high += contest.anchor->speedup.high;
  return interval;
}

// ns of a call of the strongest baseline on one workload.
double BaselineNs(const Measurement& measurement, const TimedSet& set, const Contest& contest,
                  size_t call) {
  if (!contest.anchor) return Median(measurement.CallTimes(contest.baseline, call));
  return Median(measurement.CallTimes(contest.incumbent, call)) *
         std::exp(contest.anchor->workloads.at(set.workloads[call].name).speedup);
}

double BandOf(const Measurement& measurement, const TimedSet& set, const Contest& contest) {
  if (contest.control == 0) return contest.launch_band;
  const std::vector<double> control =
      VisibleLogRatios(measurement, set, contest.baseline, contest.control);
  return NullBand({control}, control.size());
}

// Surely faster than the strongest baseline.
bool IsFaster(const Measurement& measurement, const TimedSet& set, const Contest& contest) {
  if (measurement.CallTimes(contest.candidate, 0).size() < kLeastClaimLaunches) return false;
  return Faster(OverStrongest(measurement, set, contest, kClaimConfidence),
                BandOf(measurement, set, contest));
}

// The winner against those that were confirmed next to it.
void SetHeadToHead(const Measurement& measurement, const TimedSet& set, const Contest& contest,
                   Value* facts) {
  std::vector<std::vector<double>> log_times;
  const auto add = [&](size_t contestant) {
    std::vector<std::vector<double>> rows;
    for (size_t call = 0; call < set.visible; ++call) {
      rows.push_back(measurement.CallTimes(contestant, call));
      for (double& time : rows.back()) time = std::log(time);
    }
    log_times.push_back(CombineWorkloads(rows, set.Weights()));
  };
  add(contest.candidate);
  for (const size_t rival : contest.rivals) add(rival);
  const HeadToHead found = CompareInBlocks(log_times, 0);
  Value& table = facts->Set("head_to_head");
  for (size_t i = 0; i < contest.rivals.size(); ++i) {
    const Interval& ahead = found.over_reference[i + 1];  // of the rival
    Value& entry = table.Set(contest.contestants[contest.rivals[i]].name);
    entry.Set("speedup", std::exp(-ahead.point));
    entry.Set("low", std::exp(-ahead.high));
    entry.Set("high", std::exp(-ahead.low));
  }
  if (found.best != 0)
    facts->Set("overtaken_by", contest.contestants[contest.rivals[found.best - 1]].name);
}

Value ListOf(const std::vector<double>& values) {
  Value::List list;
  for (const double value : values) list.emplace_back(value);
  return list;
}

}  // namespace

Interval SpeedupOver(const Measurement& measurement, const TimedSet& set, const Contest& contest,
                     size_t baseline, size_t candidate) {
  return Exponential(LogSpeedup(measurement, set, contest, baseline, candidate));
}

double BaselineTimeNs(const Measurement& measurement, const TimedSet& set, const Contest& contest) {
  std::vector<double> logs;
  for (size_t call = 0; call < set.visible; ++call)
    logs.push_back(std::log(BaselineNs(measurement, set, contest, call)));
  return std::exp(WeightedMean(logs, set.Weights()));
}

double ClocksApart(const Measurement& measurement, const TimedSet& set, const Contest& contest) {
  std::vector<TimedWindow> windows;
  for (const LaunchSamples& launch : measurement.samples) {
    if (launch.contestant == contest.candidate && launch.call < set.visible)
      windows.insert(windows.end(), launch.windows.begin(), launch.windows.end());
  }
  return ClocksApart(windows, measurement.ticks_per_ns);
}

bool IsDecided(const Measurement& measurement, const TimedSet& set, const Contest& contest) {
  const Interval speedup = OverStrongest(measurement, set, contest);
  return IsFaster(measurement, set, contest) || speedup.high < -BandOf(measurement, set, contest) ||
         std::max(speedup.high - speedup.point, speedup.point - speedup.low) <= kKnownTo;
}

Value FactsOf(const Measurement& measurement, const TimedSet& set, const Task& task,
              const Contest& contest) {
  Value facts;
  const Interval speedup = Exponential(OverStrongest(measurement, set, contest));
  facts.Set("speedup", speedup.point);
  facts.Set("speedup_low", speedup.low);
  facts.Set("speedup_high", speedup.high);
  facts.Set("baseline", contest.contestants[contest.baseline].name);
  facts.Set("fidelity", contest.final ? "final" : "screen");
  facts.Set("trust", "B");
  facts.Set("isolation", measurement.isolation);
  facts.Set("cache", task.cold_cache ? "cold" : "warm");
  facts.Set("launches", static_cast<int64_t>(measurement.CallTimes(contest.candidate, 0).size()));
  const double band = BandOf(measurement, set, contest);
  facts.Set("aa_band", band);
  facts.Set("faster", contest.final && IsFaster(measurement, set, contest));
  const NoiseVerdict noise = measurement.conditions.Noise(contest.control != 0 ? band : NAN);
  facts.Set("noisy", noise.noisy);
  Value conditions = measurement.conditions.ToValue();
  if (noise.noisy) conditions.Set("noise", noise.reason);
  if (const double apart = ClocksApart(measurement, set, contest); std::isfinite(apart))
    conditions.Set("clocks_apart", apart);
  facts.Set("conditions", std::move(conditions));

  Value versus;
  versus.Set(contest.contestants[contest.baseline].name, speedup.point);
  for (const size_t other : contest.others) {
    versus.Set(contest.contestants[other].name,
               SpeedupOver(measurement, set, contest, other, contest.candidate).point);
  }
  facts.Set("speedup_vs", versus);
  if (contest.incumbent != 0) {
    const Interval against =
        SpeedupOver(measurement, set, contest, contest.incumbent, contest.candidate);
    Value incumbent;
    incumbent.Set("name", contest.contestants[contest.incumbent].name);
    incumbent.Set("speedup", against.point);
    incumbent.Set("speedup_low", against.low);
    incumbent.Set("speedup_high", against.high);
    if (contest.anchor) incumbent.Set("anchor", std::exp(contest.anchor->speedup.point));
    facts.Set("incumbent", incumbent);
  }

  if (!contest.rivals.empty()) SetHeadToHead(measurement, set, contest, &facts);

  Value workloads;
  double weighted_time = 0, weighted_flops = 0, weighted_bytes = 0;
  for (size_t call = 0; call < set.workloads.size(); ++call) {
    const Workload& workload = set.workloads[call];
    const std::vector<double> ratios = LogRatiosOverStrongest(measurement, set, contest, call);
    const Interval of_workload = Exponential(IntervalOf({ratios}, {1}, contest, kShown));
    const double ns = Median(measurement.CallTimes(contest.candidate, call));
    const CallWork work = WorkOf(task, workload).work;
    const double flops = work.flops, bytes = work.bytes;
    Value& entry = workloads.Set(workload.name);
    entry.Set("speedup", of_workload.point);
    entry.Set("low", of_workload.low);
    entry.Set("high", of_workload.high);
    entry.Set("latency_ns", ns);
    entry.Set("baseline_ns", BaselineNs(measurement, set, contest, call));
    if (!task.flops.empty()) entry.Set("flops", flops / ns * 1e9);
    if (!task.bytes.empty()) entry.Set("bytes", bytes / ns * 1e9);
    entry.Set("weight", workload.weight);
    entry.Set("held_out", workload.held_out);
    entry.Set("log_ratios", ListOf(ratios));
    if (call >= set.visible) continue;
    weighted_time += workload.weight * ns;
    weighted_flops += workload.weight * flops;
    weighted_bytes += workload.weight * bytes;
  }
  facts.Set("workloads", workloads);
  std::vector<double> logs;
  for (size_t call = 0; call < set.visible; ++call) {
    logs.push_back(std::log(Median(measurement.CallTimes(contest.candidate, call))));
  }
  facts.Set("latency_ns", std::exp(WeightedMean(logs, set.Weights())));
  // Rates of the mix of calls as it is served: all work over all time.
  if (!task.flops.empty()) facts.Set("flops", weighted_flops / weighted_time * 1e9);
  if (!task.bytes.empty()) facts.Set("bytes", weighted_bytes / weighted_time * 1e9);
  return facts;
}

std::string SamplesBlob(const Measurement& measurement, const TimedSet& set,
                        const Contest& contest) {
  Value blob;
  blob.Set("format", 3);
  blob.Set("unit", "ns of a window of so many calls");
  blob.Set("conditions", measurement.conditions.ToValue());
  Value::List contestants, workloads, launches;
  for (const Contestant& contestant : contest.contestants) {
    Value entry;
    entry.Set("role", contestant.role);
    entry.Set("name", contestant.name);
    contestants.push_back(std::move(entry));
  }
  for (const Workload& workload : set.workloads) workloads.emplace_back(workload.name);
  for (const LaunchSamples& launch : measurement.samples) {
    Value entry;
    entry.Set("contestant", static_cast<int64_t>(launch.contestant));
    entry.Set("launch", launch.launch);
    entry.Set("workload", static_cast<int64_t>(launch.call));
    entry.Set("call_ns", launch.call_ns);
    if (launch.setup_ns > 0) entry.Set("setup_ns", launch.setup_ns);
    entry.Set("order_ns", launch.harness.order_ns);
    entry.Set("empty_call_ns", launch.harness.call_ns);
    entry.Set("copy_ns", launch.copy_ns);
    Value::List calls, ns, disturbed;
    for (size_t i = 0; i < launch.windows.size(); ++i) {
      const TimedWindow& window = launch.windows[i];
      calls.emplace_back(static_cast<int64_t>(window.calls));
      ns.emplace_back(window.ns);
      if (window.disturbed) disturbed.emplace_back(static_cast<int64_t>(i));
    }
    entry.Set("calls", std::move(calls));
    entry.Set("ns", std::move(ns));
    entry.Set("disturbed", std::move(disturbed));
    launches.push_back(std::move(entry));
  }
  blob.Set("contestants", std::move(contestants));
  blob.Set("workloads", std::move(workloads));
  blob.Set("launches", std::move(launches));
  return EncodeCanonical(blob);
}

}  // namespace kev
