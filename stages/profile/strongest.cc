#include "stages/profile/strongest.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "runners/statistics/statistics.h"

namespace kev {
namespace {

// Baselines this close to the fastest after one launch get more launches before one of them is
// chosen.
constexpr double kClose = 1.5;
constexpr uint32_t kRounds = 3;

void StrongestFirst(std::vector<BaselineStrength>* baselines) {
  std::sort(baselines->begin(), baselines->end(),
            [](const BaselineStrength& a, const BaselineStrength& b) {
              return std::tie(a.time_ns, a.name) < std::tie(b.time_ns, b.name);
            });
}

}  // namespace

double WeightedTimeNs(const Measurement& measurement, const Arena& arena, size_t contestant) {
  std::vector<double> logs;
  for (size_t call = 0; call < arena.visible; ++call) {
    logs.push_back(std::log(Median(measurement.LaunchMedians(contestant, call))));
  }
  return std::exp(WeightedMean(logs, arena.Weights()));
}

Value RankingFact(const Ranking& ranking) {
  Value fact = Value::Map();
  for (const BaselineStrength& one : ranking.baselines) fact.Set(one.name, one.time_ns);
  return fact;
}

std::optional<Ranking> RankingFrom(const Value& fact, const std::vector<Contestant>& baselines) {
  Ranking ranking;
  for (const Contestant& baseline : baselines) {
    if (!fact[baseline.name].IsNumber()) return std::nullopt;
    ranking.baselines.push_back({baseline.name, fact[baseline.name].AsDouble()});
  }
  StrongestFirst(&ranking.baselines);
  return ranking;
}

Result<Ranking> RankBaselines(const std::vector<Contestant>& baselines, const Arena& arena,
                              MeasureOptions options) {
  Ranking ranking;
  options.rounds = 1;
  options.turns = 1;
  options.least_samples = 1;
  options.stream = "strongest/first";
  Result<Measurement> first = Measure(baselines, arena.image, options);
  if (!first.ok()) return first.error();
  ranking.refusal = first->refusal;
  if (ranking.refusal.has_value() || first->cancelled) return ranking;
  double fastest = HUGE_VAL;
  for (size_t i = 0; i < baselines.size(); ++i) {
    ranking.baselines.push_back({baselines[i].name, WeightedTimeNs(*first, arena, i)});
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
    Result<Measurement> again = Measure(close, arena.image, options);
    if (!again.ok()) return again.error();
    if (again->refusal.has_value()) {
      ranking.refusal = again->refusal;
      ranking.refusal->contestant = index[again->refusal->contestant];
      return ranking;
    }
    if (again->cancelled) return ranking;
    for (size_t i = 0; i < close.size(); ++i) {
      ranking.baselines[index[i]].time_ns = WeightedTimeNs(*again, arena, i);
    }
  }
  StrongestFirst(&ranking.baselines);
  return ranking;
}

}  // namespace kev
