#include "stages/profile/machine_figures.h"

#include <algorithm>
#include <cmath>

namespace kev {
namespace {

// Bytes that one core moves in a cycle, typical of x86 servers since 2017, for where nothing was
// measured: two vector loads from L1, three quarters of a vector from L2, and from further out by
// how many lines can be under way at once.
constexpr double kVectorsFromL1 = 2, kVectorsFromL2 = 0.75;
constexpr double kBytesFromL3 = 10, kBytesFromMemory = 4;

// Adders beside the fused units, and a clock above the one that is told: beyond this nothing is.
constexpr double kDerivedMargin = 2;

double PeakOf(const Target& target, const char* name) {
  const auto found = target.peaks.find(name);
  return found == target.peaks.end() ? 0 : found->second;
}

MachinePeaks Derived(const CpuIdentity& cpu, const Target& target, double clock_hz) {
  MachinePeaks peaks;
  peaks.cpu = cpu.Key();
  peaks.model_name = cpu.model_name;
  const double hz = clock_hz > 0 ? clock_hz : std::max(cpu.base_hz, cpu.highest_hz);
  const double vector = cpu.VectorBits() / 8.0;
  const double flops = PeakOf(target, "flops");
  if (flops > 0 || hz > 0) {
    peaks.flops["f32.derived"] = flops > 0 ? flops : 2 * 2 * vector / 4 * hz;
    peaks.flops["f64.derived"] = flops > 0 ? flops : 2 * 2 * vector / 8 * hz;
  }
  if (hz == 0) return peaks;
  for (size_t i = 0; i < cpu.cache_bytes.size(); ++i) {
    if (cpu.cache_bytes[i] == 0) continue;
    const double cycle = i == 0   ? kVectorsFromL1 * vector
                         : i == 1 ? kVectorsFromL2 * vector
                                  : kBytesFromL3;
    peaks.levels.push_back(
        {"L" + std::to_string(i + 1), cpu.cache_bytes[i], 0, cycle * hz, cycle * hz, 0});
  }
  const double memory = PeakOf(target, "bytes");
  const double bandwidth = memory > 0 ? memory : kBytesFromMemory * hz;
  peaks.levels.push_back({"memory", 0, 0, bandwidth, bandwidth, 0});
  return peaks;
}

}  // namespace

MachineFigures FiguresOf(const CpuIdentity& cpu, const std::string& home, const Target& target,
                         double clock_hz) {
  MachineFigures figures;
  figures.cpu = cpu;
  figures.clock_hz = clock_hz;
  if (Result<MachinePeaks> kept = ReadPeaks(home, cpu); kept.ok()) {
    figures.measured = *kept;
    figures.roofs = std::move(*kept);
    figures.clock_hz = std::max(clock_hz, figures.roofs.clock_hz);
    figures.origin = "measured on this machine, " + figures.roofs.date;
    return figures;
  }
  figures.roofs = Derived(cpu, target, clock_hz);
  figures.origin = std::string(figures.roofs.flops.empty() && figures.roofs.levels.empty()
                                   ? "unknown"
                                   : "derived from the CPU's name and clock, not measured") +
                   "; run `kevolve doctor --measure`";
  return figures;
}

MachineFigures FiguresOfDevice(const Target& target) {
  MachineFigures figures;
  if (const double flops = PeakOf(target, "flops"); flops > 0) {
    figures.roofs.flops["f32.derived"] = flops;
    figures.roofs.flops["f64.derived"] = flops;
  }
  if (const double bytes = PeakOf(target, "bytes"); bytes > 0)
    figures.roofs.levels.push_back({"memory", 0, 0, bytes, bytes, 0});
  const bool any = !figures.roofs.flops.empty() || !figures.roofs.levels.empty();
  figures.origin = any ? "peaks of target " + target.name
                       : "unknown; the peaks of the target can say what the device does at best";
  return figures;
}

MachineFigures FiguresOfThisMachine(const std::string& home, const Target& target,
                                    double clock_hz) {
  static const CpuIdentity cpu = ThisCpu();  // /proc/cpuinfo of many cores takes a while to read
  return FiguresOf(cpu, home, target, clock_hz);
}

DatasheetPeaks DatasheetOf(const MachineFigures& machine, const Target& target, int element_bytes) {
  DatasheetPeaks bounds;
  const bool x86 = machine.cpu.vendor == "GenuineIntel" || machine.cpu.vendor == "AuthenticAMD";
  // A kernel may compute in f32 what is kept in f64, where the tolerance lets it.
  if (x86) bounds = BoundsOf(machine.cpu, std::min(element_bytes, 4), 1, machine.clock_hz);
  bounds.flops *= machine.cpu.matrix_unit ? 0 : kDerivedMargin;
  bounds.cache_bytes_per_s *= kDerivedMargin;
  bounds.cached_bytes = 0;
  for (const uint64_t bytes : machine.cpu.cache_bytes)
    bounds.cached_bytes += static_cast<double>(bytes);
  if (!bounds.origin.empty()) bounds.origin += ", doubled";
  const double flops = PeakOf(target, "flops"), bytes = PeakOf(target, "bytes");
  if (flops > 0) bounds.flops = flops;
  if (bytes > 0) bounds.bytes = bytes;
  if (flops > 0 || bytes > 0)
    bounds.origin =
        "peaks of target " + target.name + (bounds.origin.empty() ? "" : ", else " + bounds.origin);
  return bounds;
}

}  // namespace kev
