#include "stages/profile/strongest.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "engine/core/digest.h"
#include "runners/statistics/statistics.h"

namespace kev {
namespace {

namespace fs = std::filesystem;

// Baselines this close to the fastest after one launch get more launches before one of them is
// chosen.
constexpr double kClose = 1.5;
constexpr uint32_t kRounds = 3;

std::string FileFor(const Job& job, const std::string& cache_folder) {
  std::string key = job.run + "\n" + job.target + "\n" + job.context.sha256 + "\n";
  for (const Artefact& artefact : job.artefacts) {
    if (artefact.role == "baseline") key += artefact.name + " " + artefact.blob.sha256 + "\n";
  }
  return cache_folder + "/strongest/" + DigestOf(key).Hex();
}

// One line per baseline: time in ns, a space, the name.
std::vector<BaselineStrength> Read(const std::string& path, size_t count) {
  std::vector<BaselineStrength> baselines;
  std::ifstream file(path);
  BaselineStrength one;
  while (file >> one.time_ns && file.get() == ' ' && std::getline(file, one.name))
    baselines.push_back(one);
  if (baselines.size() != count) baselines.clear();
  return baselines;
}

void Write(const std::string& path, const std::vector<BaselineStrength>& baselines) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  const std::string draft = path + "." + std::to_string(getpid());
  std::ofstream file(draft);
  file.precision(17);
  for (const BaselineStrength& one : baselines) file << one.time_ns << ' ' << one.name << '\n';
  file.close();
  if (file) fs::rename(draft, path, error);
}

}  // namespace

double WeightedTimeNs(const Measurement& measurement, const Arena& arena, size_t contestant) {
  std::vector<double> logs;
  for (size_t call = 0; call < arena.visible; ++call) {
    logs.push_back(std::log(Median(measurement.LaunchMedians(contestant, call))));
  }
  return std::exp(WeightedMean(logs, arena.Weights()));
}

Result<Ranking> RankBaselines(const Job& job, const std::vector<Contestant>& baselines,
                              const Arena& arena, MeasureOptions options,
                              const std::string& cache_folder) {
  Ranking ranking;
  if (baselines.size() == 1) {
    ranking.baselines = {{baselines.front().name, 0}};
    return ranking;
  }
  const std::string path = FileFor(job, cache_folder);
  ranking.baselines = Read(path, baselines.size());
  if (!ranking.baselines.empty()) return ranking;

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
  std::stable_sort(
      ranking.baselines.begin(), ranking.baselines.end(),
      [](const BaselineStrength& a, const BaselineStrength& b) { return a.time_ns < b.time_ns; });
  Write(path, ranking.baselines);
  return ranking;
}

}  // namespace kev
