// kevolve doctor: what this machine can do, what is missing for the rest, and, with --measure, how
// fast it is.
#include <atomic>
#include <cstdio>
#include <iostream>

#include "runners/analysis/machine_peaks.h"
#include "runners/measurement/core_lock.h"
#include "tools/kevolve/commands.h"
#include "tools/kevolve/doctor_checks.h"
#include "tools/live/exit_code.h"
#include "tools/live/home.h"

namespace kev {
namespace {

using State = DoctorCheck::State;

std::string Number(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

void PrintChecks(const std::vector<DoctorCheck>& checks) {
  for (const DoctorCheck& check : checks) {
    const char* mark = check.state == State::kOk      ? "ok   "
                       : check.state == State::kLacks ? "lacks"
                                                      : "NEED ";
    std::cout << mark << "  " << check.name << ": " << check.detail << "\n";
    if (!check.remedy.empty()) std::cout << "         " << check.remedy << "\n";
  }
}

void PrintPeaks(const MachinePeaks& peaks) {
  std::cout << "Measured " << peaks.date << " on core " << peaks.core << ", one core:\n";
  std::cout << "  clock           " << Number("%.2f GHz", peaks.clock_hz * 1e-9) << "\n";
  for (const auto& [name, flops] : peaks.flops) {
    std::string label = name;
    label.resize(14, ' ');
    std::cout << "  " << label << "  " << Number("%.1f GFLOP/s", flops * 1e-9) << "\n";
  }
  for (const MemoryLevel& level : peaks.levels) {
    std::string label = level.name;
    label.resize(14, ' ');
    std::cout << "  " << label << "  load " << Number("%.1f GB/s", level.load * 1e-9) << ", copy "
              << Number("%.1f GB/s", level.copy * 1e-9) << ", latency "
              << Number("%.1f ns", level.latency * 1e9) << "\n";
  }
  std::cout << "  timer           step " << Number("%.0f ns", peaks.timer_resolution * 1e9)
            << ", reading " << Number("%.0f ns", peaks.timer_cost * 1e9) << "\n";
  std::cout << "  doorbell        "
            << (peaks.doorbell > 0
                    ? Number("%.0f ns there and back between two cores", peaks.doorbell * 1e9)
                    : std::string("not measured: one core"))
            << "\n";
  std::cout << "  shortest call   "
            << (peaks.shortest_call > 0
                    ? Number("%.2f us: one sample of it can be told to 1 %%; shorter calls are "
                             "timed in batches",
                             peaks.shortest_call * 1e6)
                    : std::string("none below 2 ms can be told to 1 %: this machine is too noisy"))
            << "\n";
  if (peaks.switches > 20)
    std::cout << "  Something else took the core " << Number("%.0f", peaks.switches)
              << " times a second meanwhile: measure again when the machine is quiet.\n";
}

Result<MachinePeaks> Measured(int core) {
  const std::atomic<bool> cancelled = false;
  PeakOptions options;
  options.core = core;
  if (core < 0) {
    const auto last = TimingCore("last");
    if (!last) return last.error();
    options.core = *last;
  }
  const auto lock = CoreLock::Take(options.core, cancelled, [](const std::string& note) {
    std::cerr << "kevolve: " << note << std::endl;
  });
  if (!lock) return lock.error();
  return MeasurePeaks(options);
}

}  // namespace

int DoctorCommand(const DoctorOptions& options) {
  const CpuIdentity cpu = ThisCpu();
  const Status home = CheckHome();
  if (options.measure) {
    if (!home.ok()) return Complain(home.error());
    const auto measured = Measured(options.core);
    if (!measured) return Complain(measured.error());
    const Status written = WritePeaks(HomeFolder(), cpu, *measured);
    if (!written.ok()) return Complain(written.error());
  }
  const std::vector<DoctorCheck> checks = DoctorChecks();
  const auto peaks = home.ok() ? ReadPeaks(HomeFolder(), cpu) : Result<MachinePeaks>(home.error());
  bool complete = true;
  for (const DoctorCheck& check : checks) complete = complete && check.state != State::kNeed;
  if (options.json) {
    Value report;
    report.Set("complete", complete);
    report.Set("checks", ToValue(checks));
    report.Set("peaks", peaks ? ToValue(*peaks) : Value());
    std::cout << ToJson(report) << "\n";
  } else {
    PrintChecks(checks);
    if (peaks)
      PrintPeaks(*peaks);
    else
      std::cout << "Speed: " << peaks.error().message << "\n";
    if (!complete) std::cout << "What is marked NEED is missing for runs on this machine.\n";
  }
  return complete ? kExitDone : kExitEnvironment;
}

}  // namespace kev
