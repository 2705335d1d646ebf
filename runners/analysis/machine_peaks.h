// What this machine was measured to do: arithmetic and bandwidth of one core at each level of the
// memory, latencies, clock, timers. Measured by `kevolve doctor --measure`, kept in
// <home>/cache/machine/<CPU key>.json, read back for rooflines.
//
// Threads: MeasurePeaks runs one or two threads pinned to cores; the rest are functions on values
// and files. Errors: kNotFound when nothing was measured for this CPU; kCorrupt for a damaged file.
#ifndef KEV_RUNNERS_ANALYSIS_MACHINE_PEAKS_H_
#define KEV_RUNNERS_ANALYSIS_MACHINE_PEAKS_H_

#include <map>
#include <string>
#include <vector>

#include "engine/core/result.h"
#include "engine/core/value.h"
#include "runners/analysis/cpu_identity.h"

namespace kev {

struct MemoryLevel {
  std::string name;            // L1, L2, L3, memory
  uint64_t capacity = 0;       // bytes; 0 for memory
  uint64_t measured_over = 0;  // bytes of the arrays that were measured
  double load = 0;             // bytes/s read by one core
  double copy = 0;             // bytes/s, read and written bytes together
  double latency = 0;          // seconds per dependent load
};

struct MachinePeaks {
  std::string cpu;  // CpuIdentity::Key
  std::string model_name;
  std::string date;  // UTC, ISO 8601
  int core = -1;
  // Multiply-adds of one core in operations/s: "f32.scalar", "f32.avx2", "f64.avx512", …
  std::map<std::string, double> flops;
  std::vector<MemoryLevel> levels;  // nearest first
  double clock_hz = 0;              // by a chain of dependent additions
  double timer_resolution = 0;      // seconds: least step of the clock that was seen
  double timer_cost = 0;            // seconds per reading
  double doorbell = 0;  // seconds: round trip to another core through a shared line; 0: one core
  double switches = 0;  // times a second that something else took the core meanwhile
  double shortest_call = 0;  // seconds: shortest time that one sample tells to 1 %; 0: none

  // Highest of the widths for an element of so many bytes (8: f64, else f32); 0: not measured.
  double Flops(int element_bytes) const;
};

struct PeakOptions {
  int core = -1;  // -1: the last that this process may use
  // Of one repetition: shorter than a time slice, so that some are whole on a machine in use.
  double seconds_each = 0.002;
  int repetitions = 40;                       // the best counts: a peak is a ceiling
  uint64_t most_bytes = uint64_t{512} << 20;  // of the largest array
};

// Takes a few seconds with the defaults. Error kInvalid when the core cannot be used.
Result<MachinePeaks> MeasurePeaks(const PeakOptions& options);

Value ToValue(const MachinePeaks& peaks);
Result<MachinePeaks> ParsePeaks(const std::string& json);

std::string PeaksFile(const std::string& home, const CpuIdentity& cpu);
// What was measured for `cpu` under `home`.
Result<MachinePeaks> ReadPeaks(const std::string& home, const CpuIdentity& cpu);
// Makes the folders that are missing.
Status WritePeaks(const std::string& home, const CpuIdentity& cpu, const MachinePeaks& peaks);

}  // namespace kev

#endif  // KEV_RUNNERS_ANALYSIS_MACHINE_PEAKS_H_
