#include "stages/profile/explain.h"

#include <algorithm>
#include <cmath>

namespace kev {
namespace {

constexpr size_t kMostWorkloads = 8;  // in the record: it is for a prompt

double TwoDigits(double value) {
  if (value == 0 || !std::isfinite(value)) return 0;
  const double scale = std::pow(10, 1 - std::floor(std::log10(std::fabs(value))));
  return std::round(value * scale) / scale;
}

Roofline Place(const TimedWork& timed, const MachineFigures& machine, const StaticHint& hint) {
  CallWork work = timed.work;
  // Without a formula each array is read or written once: nothing else is known to be needed.
  if (work.bytes == 0) work.bytes = timed.array_bytes;
  Roofline line = PlaceOnRoofline(work, timed.ns / 1e9, machine.roofs, 0, 0, hint);
  // No roof at all says nothing of why it is slow, whatever the loop looks like.
  if (line.attainable == 0) line.bottleneck = Bottleneck::kUnknown;
  return line;
}

}  // namespace

Explanation Explain(const std::vector<TimedWork>& timed, const MachineFigures& machine,
                    KernelProfile code) {
  std::vector<const TimedWork*> visible;
  for (const TimedWork& one : timed) {
    if (!one.held_out && one.ns > 0) visible.push_back(&one);
  }
  std::sort(visible.begin(), visible.end(), [](const TimedWork* a, const TimedWork* b) {
    const double x = a->weight * a->ns, y = b->weight * b->ns;
    return x != y ? x > y : a < b;  // pointers into one vector: its order
  });
  Explanation all;
  all.bottleneck = Name(Bottleneck::kUnknown);
  const StaticHint hint = HintOf(code);
  Value others;
  for (const TimedWork* one : visible) {
    const Roofline line = Place(*one, machine, hint);
    all.by_workload[one->name] = Name(line.bottleneck);
    if (one == visible.front()) {
      all.bottleneck = Name(line.bottleneck);
      code.seconds = one->ns / 1e9;
      code.roofline = line;
    }
    if (others.AsMap().size() >= kMostWorkloads) continue;
    Value& entry = others.Set(one->name);
    entry.Set("bottleneck", Name(line.bottleneck));
    entry.Set("share", TwoDigits(line.share));
    entry.Set("headroom", TwoDigits(line.headroom));
  }
  all.record = ToValue(code);
  all.record.Set("peaks", machine.origin);
  if (!visible.empty()) all.record.Set("workload", visible.front()->name);
  if (visible.size() > 1) all.record.Set("workloads", std::move(others));
  return all;
}

KernelProfile DeviceProfile(std::string_view cubin, std::string_view symbol) {
  KernelProfile profile;
  if (Result<GpuResources> resources = ParseCubin(cubin, symbol); resources.ok())
    profile.resources = *resources;
  else
    profile.absent.push_back("resources: " + resources.error().message);
  profile.absent.emplace_back("hot loop: code of devices is not looked at");
  return profile;
}

KernelProfile StaticProfile(std::string_view library, std::string_view symbol, bool final) {
  if (final) return ProfileLibrary(library, symbol);
  KernelProfile none;
  none.absent.emplace_back("hot loop: a screening does not look at the code");
  return none;
}

}  // namespace kev
