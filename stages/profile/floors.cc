#include "stages/profile/floors.h"

#include <algorithm>
#include <cstdio>

namespace kev {
namespace {

std::string Why(const TimedWork& timed, const FloorJudgement& judgement) {
  char text[120];
  const double floor = judgement.plausibility == Plausibility::kImpossible
                           ? judgement.floor
                           : judgement.measured_floor;
  std::snprintf(text, sizeof(text), ": %.4g ns a call, and %.4g ns are the least: ", timed.ns,
                floor * 1e9);
  return timed.place + text + judgement.reason;
}

}  // namespace

JudgeFloor JudgeFloors(const std::vector<TimedWork>& timed, const MachineFigures& machine,
                       const Target& target) {
  JudgeFloor all;
  double nearest = 0;  // floor / time
  for (const TimedWork& one : timed) {
    if (one.ns <= 0) continue;
    CallWork work = one.work;
    const DatasheetPeaks datasheet = DatasheetOf(machine, target, work.element_bytes);
    const FloorJudgement by_datasheet = JudgeCall(work, one.ns / 1e9, datasheet, nullptr);
    // Measured were f32 and f64; narrower numbers can be worked on faster than that.
    if (work.element_bytes < 4) work.flops = 0;
    const FloorJudgement by_peaks =
        JudgeCall(work, one.ns / 1e9, {}, machine.measured ? &*machine.measured : nullptr);
    if (by_datasheet.plausibility == Plausibility::kImpossible) {
      if (!all.impossible) all.why = Why(one, by_datasheet);
      all.impossible = true;
    } else if (by_peaks.plausibility == Plausibility::kSuspect && !all.impossible) {
      if (!all.suspect) all.why = Why(one, by_peaks);
      all.suspect = true;
    }
    const double floor_ns = 1e9 * std::max(by_datasheet.floor, by_peaks.measured_floor);
    if (!one.held_out && floor_ns / one.ns > nearest) {
      nearest = floor_ns / one.ns;
      all.floor_ns = floor_ns;
    }
  }
  if (all.impossible) all.suspect = false;
  return all;
}

}  // namespace kev
