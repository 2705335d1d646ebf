#include "tests/chaos/schedule.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/core/random.h"

namespace kev::chaos {
namespace {

struct Weight {
  FaultKind kind;
  uint64_t weight;
};
constexpr Weight kWeights[] = {
    {FaultKind::kKillEngine, 18},     {FaultKind::kKillRedis, 18}, {FaultKind::kKillWorker, 18},
    {FaultKind::kStopEngine, 8},      {FaultKind::kStopRedis, 8},  {FaultKind::kStopWorker, 10},
    {FaultKind::kTornTail, 8},        {FaultKind::kFullDisk, 14},  {FaultKind::kTerminateEngine, 6},
    {FaultKind::kTerminateWorker, 8},
};
constexpr int64_t kWindowMs = 400;  // in which the faults of a round begin

// Between 0.05 and 5 s, short ones more often: a tenth is above 3 s, a third below 0.25 s.
int64_t StopMs(CounterRandom* random) {
  return static_cast<int64_t>(50 * std::pow(100.0, random->Unit()));
}

bool IsPossible(FaultKind kind, const Possible& possible) {
  if (kind == FaultKind::kFullDisk) return possible.small_disk;
  if (kind == FaultKind::kTornTail) return possible.kill_together;
  return true;
}

FaultKind DrawKind(CounterRandom* random, const Possible& possible) {
  uint64_t total = 0;
  for (const auto& [kind, weight] : kWeights) total += IsPossible(kind, possible) ? weight : 0;
  uint64_t at = random->Below(total);
  for (const auto& [kind, weight] : kWeights) {
    if (!IsPossible(kind, possible)) continue;
    if (at < weight) return kind;
    at -= weight;
  }
  return FaultKind::kKillEngine;
}

}  // namespace

const char* Name(FaultKind kind) {
  switch (kind) {
    case FaultKind::kKillEngine:
      return "kill engine";
    case FaultKind::kKillRedis:
      return "kill redis";
    case FaultKind::kKillWorker:
      return "kill worker";
    case FaultKind::kStopEngine:
      return "stop engine";
    case FaultKind::kStopRedis:
      return "stop redis";
    case FaultKind::kStopWorker:
      return "stop worker";
    case FaultKind::kTornTail:
      return "torn tail";
    case FaultKind::kFullDisk:
      return "full disk";
    case FaultKind::kTerminateEngine:
      return "terminate engine";
    case FaultKind::kTerminateWorker:
      return "terminate worker";
  }
  return "?";
}

std::string Text(const Fault& fault) {
  std::string text = std::string(Name(fault.kind)) + " at " + std::to_string(fault.at_ms);
  if (fault.for_ms > 0) text += " for " + std::to_string(fault.for_ms);
  return text + " ms";
}

std::vector<Fault> FaultsOf(uint64_t seed, uint64_t round, const Possible& possible) {
  CounterRandom random(seed, "round " + std::to_string(round));
  const double how_many = random.Unit();
  const int count = how_many < 0.55 ? 1 : how_many < 0.85 ? 2 : 3;
  std::vector<Fault> faults;
  for (int i = 0; i < count; ++i) {
    Fault fault;
    fault.kind = DrawKind(&random, possible);
    fault.at_ms = static_cast<int64_t>(random.Below(kWindowMs));
    fault.pick = random.Next();
    switch (fault.kind) {
      case FaultKind::kStopEngine:
      case FaultKind::kStopRedis:
      case FaultKind::kStopWorker:
      case FaultKind::kFullDisk:
        fault.for_ms = StopMs(&random);
        break;
      default:
        break;
    }
    faults.push_back(fault);
  }
  // By time, and in the order drawn among equals. (libstdc++'s stable_sort is refused by clang 19
  // as deprecated.)
  for (size_t i = 1; i < faults.size(); ++i) {
    for (size_t j = i; j > 0 && faults[j].at_ms < faults[j - 1].at_ms; --j)
      std::swap(faults[j], faults[j - 1]);
  }
  return faults;
}

}  // namespace kev::chaos
