#include "stages/profile/strongest.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "runners/statistics/decision.h"
#include "runners/statistics/statistics.h"

namespace kev {
namespace {

// Baselines this close to the fastest after one launch get more launches before one of them is
// chosen.
constexpr double kClose = 1.5;
constexpr double kUnknownBand =
    0.3;  // log ratio: more than any spread between launches that was seen
constexpr uint32_t kRounds = 3;
constexpr uint32_t kControlRounds = 5;
constexpr char kBandName[] = "~launch_band";

void StrongestFirst(std::vector<BaselineStrength>* baselines) {
  std::sort(baselines->begin(), baselines->end(),
            [](const BaselineStrength& a, const BaselineStrength& b) {
              return std::tie(a.time_ns, a.name) < std::tie(b.time_ns, b.name);
            });
}

}  // namespace

double WeightedTimeNs(const Measurement& measurement, const TimedSet& set, size_t contestant) {
  std::vector<double> logs;
  for (size_t call = 0; call < set.visible; ++call) {
    logs.push_back(std::log(Median(measurement.CallTimes(contestant, call))));
  }
  return std::exp(WeightedMean(logs, set.Weights()));
}

Value RankingFact(const Ranking& ranking) {
  Value fact = Value::Map();
  for (const BaselineStrength& one : ranking.baselines) fact.Set(one.name, one.time_ns);
  fact.Set(kBandName, ranking.launch_band);
  return fact;
}

std::optional<Ranking> RankingFrom(const Value& fact, const std::vector<Contestant>& baselines) {
  Ranking ranking;
  for (const Contestant& baseline : baselines) {
    if (!fact[baseline.name].IsNumber()) return std::nullopt;
    ranking.baselines.push_back({baseline.name, fact[baseline.name].AsDouble()});
  }
  StrongestFirst(&ranking.baselines);
  ranking.launch_band = fact[kBandName].AsDouble(kUnknownBand);
  return ranking;
}

namespace {

// The strongest against its own copy: how far apart equal kernels seem after one launch.
Result<bool> MeasureBand(const std::vector<Contestant>& baselines, TimedSet& set,
                         MeasureOptions options, Ranking* ranking) {
  std::vector<Contestant> pair;
  for (const Contestant& baseline : baselines) {
    if (baseline.name == ranking->baselines.front().name) pair = {baseline, baseline};
  }
  pair[1].role = "control";
  options.rounds = kControlRounds;
  options.stream = "strongest/control";
  Result<Measurement> measured = Measure(pair, set.arena.get(), set.values.get(), options);
  if (!measured.ok()) return measured.error();
  if (measured->cancelled) return false;
  if (measured->refusal.has_value()) {
    ranking->refusal = measured->refusal;
    for (size_t i = 0; i < baselines.size(); ++i) {
      if (baselines[i].name == pair[0].name) ranking->refusal->contestant = i;
    }
    return false;
  }
  std::vector<std::vector<double>> rows;
  for (size_t call = 0; call < set.visible; ++call) rows.push_back(measured->LogRatios(0, 1, call));
  ranking->launch_band = NullBand({CombineWorkloads(rows, set.Weights())}, 1);
  return true;
}

}  // namespace

Result<Ranking> RankBaselines(const std::vector<Contestant>& baselines, TimedSet& set,
                              MeasureOptions options) {
  Ranking ranking;
  options.rounds = 1;
  options.windows = 4;
  options.stream = "strongest/first";
  Result<Measurement> first = Measure(baselines, set.arena.get(), set.values.get(), options);
  if (!first.ok()) return first.error();
  ranking.refusal = first->refusal;
  if (ranking.refusal.has_value() || first->cancelled) return ranking;
  double fastest = HUGE_VAL;
  for (size_t i = 0; i < baselines.size(); ++i) {
    ranking.baselines.push_back({baselines[i].name, WeightedTimeNs(*first, set, i)});
    fastest = std::min(fastest, ranking.baselines.back().time_ns);
  }
  std::vector<Contestant> close;
  std::vector<size_t> index;
  for (size_t i = 0; i < baselines.size(); ++i) {
    if (ranking.baselines[i].time_ns > kClose * fastest) continue;
    close.push_back(baselines[i]);
    index.push_back(i);
  }
  if (close.size() > 1) {
    options.rounds = kRounds;
    options.stream = "strongest/close";
    Result<Measurement> again = Measure(close, set.arena.get(), set.values.get(), options);
    if (!again.ok()) return again.error();
    if (again->refusal.has_value()) {
      ranking.refusal = again->refusal;
      ranking.refusal->contestant = index[again->refusal->contestant];
      return ranking;
    }
    if (again->cancelled) return ranking;
    for (size_t i = 0; i < close.size(); ++i) {
      ranking.baselines[index[i]].time_ns = WeightedTimeNs(*again, set, i);
    }
  }
  StrongestFirst(&ranking.baselines);
  if (Result<bool> done = MeasureBand(baselines, set, options, &ranking); !done.ok())
    return done.error();
  return ranking;
}

}  // namespace kev
