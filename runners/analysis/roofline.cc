#include "runners/analysis/roofline.h"

#include <algorithm>
#include <cmath>

#include "engine/core/value.h"

namespace kev {
namespace {

// A kernel that reaches this share of a roof is bound by it.
constexpr double kBound = 0.6;
// Measured peaks are a ceiling but for their own noise.
constexpr double kPeakNoise = 0.05;
constexpr double kUnknownTurbo = 1.5;
// Loads and stores of one core in a cycle: no x86 or Arm core moves more than three full vectors.
constexpr double kVectorsPerCycle = 3;

const MemoryLevel* LevelOf(const CallWork& work, const MachinePeaks& peaks) {
  if (peaks.levels.empty()) return nullptr;
  if (work.cold) return &peaks.levels.back();
  const double bytes = work.working_set > 0 ? work.working_set : work.bytes;
  for (const MemoryLevel& level : peaks.levels) {
    if (level.capacity == 0 || bytes <= static_cast<double>(level.capacity)) return &level;
  }
  return &peaks.levels.back();
}

Bottleneck MemoryClass(const std::string& level) {
  if (level == "L1") return Bottleneck::kL1;
  if (level == "L2") return Bottleneck::kL2;
  if (level.starts_with("L")) return Bottleneck::kL3;
  return Bottleneck::kMemory;
}

Bottleneck Classify(const Roofline& line, double compute, double memory, double seconds,
                    double overhead, const StaticHint& hint) {
  if (overhead > 0 && overhead >= 0.5 * seconds) return Bottleneck::kOverhead;
  const Bottleneck roof = compute >= memory ? Bottleneck::kCompute : MemoryClass(line.level);
  if (line.share >= kBound || line.share_of_copy >= kBound) {
    // As fast as a copy of the same bytes: bound by moving them, whatever the arithmetic roof says.
    return line.share < kBound ? MemoryClass(line.level) : roof;
  }
  // Under both roofs: something inside the core holds it back, if the model saw what.
  if (hint.dependency) return Bottleneck::kLatency;
  if (hint.front_end) return Bottleneck::kFrontEnd;
  if (line.share > 0 && line.share < 0.1) return Bottleneck::kLatency;
  return line.share > 0 ? roof : Bottleneck::kUnknown;
}

std::string Times(double factor) {
  const double digits = std::pow(10, 2 - std::floor(std::log10(factor)));
  return FormatDouble(std::round(factor * digits) / digits);
}

}  // namespace

const char* Name(Bottleneck bottleneck) {
  switch (bottleneck) {
    case Bottleneck::kCompute:
      return "compute";
    case Bottleneck::kL1:
      return "memory-L1";
    case Bottleneck::kL2:
      return "memory-L2";
    case Bottleneck::kL3:
      return "memory-L3";
    case Bottleneck::kMemory:
      return "memory-DRAM";
    case Bottleneck::kLatency:
      return "latency";
    case Bottleneck::kFrontEnd:
      return "front-end";
    case Bottleneck::kOverhead:
      return "call-overhead";
    case Bottleneck::kUnknown:
      break;
  }
  return "unknown";
}

Roofline PlaceOnRoofline(const CallWork& work, double seconds, const MachinePeaks& peaks,
                         double copy_seconds, double overhead, const StaticHint& hint) {
  Roofline line;
  const double peak = peaks.Flops(work.element_bytes) * work.cores;
  const MemoryLevel* level = LevelOf(work, peaks);
  if (level != nullptr) line.level = level->name;
  if (work.bytes > 0) line.intensity = work.flops / work.bytes;
  // Private levels grow with the cores; of the shared ones more than one core's part is not known.
  const bool shared = level != nullptr && level->name != "L1" && level->name != "L2";
  double bandwidth = level == nullptr ? 0 : std::max(level->load, level->copy);
  if (!shared) bandwidth *= work.cores;
  if (shared && work.cores > 1) line.note = "bandwidth is one core's: more may be attainable";
  const double compute = peak > 0 ? work.flops / peak : 0;
  const double memory = bandwidth > 0 ? work.bytes / bandwidth : 0;
  line.attainable = std::max(compute, memory);
  if (line.attainable > 0) line.attainable_flops = work.flops / line.attainable;
  if (peak == 0 && level == nullptr)
    line.note = "no measured peaks: run `kevolve doctor --measure`";
  if (seconds <= 0) return line;
  line.share = line.attainable / seconds;
  line.share_of_copy = copy_seconds / seconds;
  // The copy is what this harness lets through; it says nothing where arithmetic is the roof.
  const double practical =
      copy_seconds > 0 && memory >= compute ? std::max(copy_seconds, compute) : line.attainable;
  line.headroom = practical > 0 ? std::max(1.0, seconds / practical) : 0;
  line.bottleneck = Classify(line, compute, memory, seconds, overhead, hint);
  return line;
}

DatasheetPeaks BoundsOf(const CpuIdentity& cpu, int element_bytes, int cores, double measured_hz) {
  DatasheetPeaks bounds;
  double hz = cpu.highest_hz;
  std::string clock = "the highest clock of the CPU";
  if (hz == 0) {
    hz = kUnknownTurbo * std::max(cpu.base_hz, measured_hz);
    clock = "1.5 times the clock that is known, since turbo is not";
  }
  const double lanes = cpu.VectorBits() / 8.0 / element_bytes;
  bounds.flops = 2 * 2 * lanes * hz * cores;
  bounds.cache_bytes_per_s = kVectorsPerCycle * cpu.VectorBits() / 8.0 * hz * cores;
  for (const uint64_t bytes : cpu.cache_bytes) bounds.cached_bytes += static_cast<double>(bytes);
  bounds.origin = "derived: two fused units of " + std::to_string(cpu.VectorBits()) + " bits at " +
                  clock + " (" + FormatDouble(std::round(hz / 1e7) / 100) + " GHz), " +
                  std::to_string(cores) + (cores == 1 ? " core" : " cores");
  if (hz == 0) bounds.origin = "none: no clock is known";
  return bounds;
}

FloorJudgement JudgeCall(const CallWork& work, double seconds, const DatasheetPeaks& datasheet,
                         const MachinePeaks* measured) {
  FloorJudgement judgement;
  const double beyond_caches = std::max(0.0, work.bytes - datasheet.cached_bytes);
  if (datasheet.flops > 0) judgement.floor = work.flops / datasheet.flops;
  if (datasheet.bytes > 0)
    judgement.floor = std::max(judgement.floor, beyond_caches / datasheet.bytes);
  if (datasheet.cache_bytes_per_s > 0)
    judgement.floor = std::max(judgement.floor, work.bytes / datasheet.cache_bytes_per_s);
  if (measured != nullptr) {
    const double peak = measured->Flops(work.element_bytes) * work.cores;
    if (peak > 0) judgement.measured_floor = work.flops / peak;
    // Whatever level the data lies in, no core reads it faster than from its own L1.
    if (!measured->levels.empty()) {
      const MemoryLevel& first = measured->levels.front();
      const double bandwidth = std::max(first.load, first.copy) * work.cores;
      if (bandwidth > 0)
        judgement.measured_floor = std::max(judgement.measured_floor, work.bytes / bandwidth);
    }
  }
  const double least = judgement.measured_floor * (1 - kPeakNoise);
  if (seconds < judgement.floor) {
    judgement.plausibility = Plausibility::kImpossible;
    judgement.reason = Times(judgement.floor / std::max(seconds, 1e-12)) +
                       " times faster than the hardware can be (" + datasheet.origin + ")";
  } else if (seconds < least) {
    judgement.plausibility = Plausibility::kSuspect;
    judgement.reason = Times(judgement.measured_floor / std::max(seconds, 1e-12)) +
                       " times faster than the peak measured on this machine";
  }
  return judgement;
}

}  // namespace kev
