#include "runners/measurement/conditions.h"

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <sstream>

namespace kev {
namespace {}  // namespace

CoreCounters CoreCounters::Read(int core) {
  CoreCounters counters;
  counters.wall_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
          .count();
  const double tick_ms = 1000.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
  std::ifstream file("/proc/stat");
  const std::string own = "cpu" + std::to_string(core);
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string name;
    double user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0;
    fields >> name >> user >> nice >> system >> idle >> wait >> irq >> soft >> steal;
    if (!name.starts_with("cpu") || name == "cpu") continue;
    if (name == own) {
      counters.steal_ms = steal * tick_ms;
    } else {
      counters.others_ms += (user + nice + system + irq + soft) * tick_ms;
    }
  }
  return counters;
}

NoiseVerdict Conditions::Noise(double aa_band) const {
  Disturbance seen;
  seen.windows = windows == 0 ? NAN : static_cast<double>(disturbed) / windows;
  seen.steal = wall_ms > 0 ? steal_ms / wall_ms : NAN;
  seen.run_delay = wall_ms > 0 ? run_delay_ns / 1e6 / wall_ms : NAN;
  seen.aa_band = aa_band;
  return JudgeNoise(seen);
}

Value Conditions::ToValue() const {
  Value value;
  double clock = 0;
  for (const double ghz : clock_ghz) clock += ghz / static_cast<double>(clock_ghz.size());
  value.Set("clock_ghz", clock);
  value.Set("windows", static_cast<int64_t>(windows));
  value.Set("disturbed", static_cast<int64_t>(disturbed));
  value.Set("run_delay_ms", run_delay_ns / 1e6);
  value.Set("involuntary_switches", static_cast<int64_t>(involuntary_switches));
  value.Set("wall_ms", wall_ms);
  value.Set("steal_ms", steal_ms);
  value.Set("others_ms", others_ms);
  return value;
}

}  // namespace kev
