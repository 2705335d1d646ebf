// What is known of the machine that a measurement ran on: peaks that `kevolve doctor --measure`
// kept, else what its CPU and the target's datasheet give; and bounds that nothing can pass.
// Threads: any. Errors: none; what is not known is 0 or absent, and `origin` says so.
#ifndef KEV_STAGES_PROFILE_MACHINE_FIGURES_H_
#define KEV_STAGES_PROFILE_MACHINE_FIGURES_H_

#include <optional>
#include <string>

#include "configs/target.h"
#include "runners/analysis/cpu_identity.h"
#include "runners/analysis/machine_peaks.h"
#include "runners/analysis/roofline.h"

namespace kev {

struct MachineFigures {
  CpuIdentity cpu;
  std::optional<MachinePeaks> measured;  // of this CPU
  MachinePeaks roofs;                    // the measured ones, else derived from the CPU
  std::string origin;                    // of `roofs`, for people
  double clock_hz = 0;                   // seen while measuring, here or for the peaks; 0: not seen
};

// `home`: KEVOLVE_HOME. `clock_hz`: seen while measuring; 0: not seen.
MachineFigures FiguresOf(const CpuIdentity& cpu, const std::string& home, const Target& target,
                         double clock_hz);
// The same for this machine.
// Of a device: what its target says, no more.
MachineFigures FiguresOfDevice(const Target& target);
MachineFigures FiguresOfThisMachine(const std::string& home, const Target& target, double clock_hz);

// One core's bounds for elements of so many bytes. The target's datasheet where it has one; else
// twice what the CPU's vectors can do by its clock, on x86 without a matrix unit.
DatasheetPeaks DatasheetOf(const MachineFigures& machine, const Target& target, int element_bytes);

}  // namespace kev

#endif  // KEV_STAGES_PROFILE_MACHINE_FIGURES_H_
