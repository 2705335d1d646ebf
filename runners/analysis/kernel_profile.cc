#include "runners/analysis/kernel_profile.h"

#include <algorithm>
#include <cmath>

namespace kev {
namespace {

constexpr size_t kMostAbsent = 6;

constexpr size_t kLongestText = 200;  // of one remark or reason

// Three digits say enough in a prompt.
double Rounded(double value) {
  if (value == 0 || !std::isfinite(value)) return 0;
  const double scale = std::pow(10, 2 - std::floor(std::log10(std::fabs(value))));
  return std::round(value * scale) / scale;
}

std::string Cut(const std::string& text) {
  if (text.size() <= kLongestText) return text;
  size_t end = kLongestText;
  while (end > 0 && (text[end] & 0xc0) == 0x80) --end;  // not inside a UTF-8 character
  return text.substr(0, end) + "…";
}

// `all` without the middle, so that at most `lines` are left.
std::string Shortened(const std::string& all, size_t lines) {
  std::vector<std::string> split;
  for (size_t from = 0; from < all.size();) {
    const size_t end = std::min(all.find('\n', from), all.size() - 1);
    split.push_back(all.substr(from, end + 1 - from));
    from = end + 1;
  }
  if (split.size() <= lines) return all;
  if (lines < 3) return "";
  const size_t head = lines / 2, tail = lines - head - 1;
  std::string text;
  for (size_t i = 0; i < head; ++i) text += split[i];
  text += "[" + std::to_string(split.size() - head - tail) + " lines left out]\n";
  for (size_t i = split.size() - tail; i < split.size(); ++i) text += split[i];
  return text;
}

void SetIfTold(Value* map, const char* key, int value) {
  if (value >= 0) map->Set(key, value);
}

Value OfRoofline(const Roofline& line) {
  Value value;
  value.Set("intensity", Rounded(line.intensity));
  value.Set("level", line.level);
  value.Set("attainable_s", Rounded(line.attainable));
  value.Set("attainable_flops", Rounded(line.attainable_flops));
  value.Set("share", Rounded(line.share));
  if (line.share_of_copy > 0) value.Set("share_of_copy", Rounded(line.share_of_copy));
  value.Set("headroom", Rounded(line.headroom));
  if (!line.note.empty()) value.Set("note", line.note);
  return value;
}

Value OfResources(const KernelProfile& profile) {
  Value value = Value::Map{};
  if (profile.mix) value.Set("stack_accesses", profile.mix->spills);
  if (!profile.resources) return value;
  const GpuResources& r = *profile.resources;
  SetIfTold(&value, "registers", r.registers);
  if (r.spill_stores >= 0 || r.spill_loads >= 0)
    value.Set("spill_bytes", std::max(r.spill_stores, 0) + std::max(r.spill_loads, 0));
  SetIfTold(&value, "stack_bytes", r.stack_bytes);
  SetIfTold(&value, "shared_bytes", r.shared_bytes);
  SetIfTold(&value, "barriers", r.barriers);
  SetIfTold(&value, "most_threads", r.most_threads);
  SetIfTold(&value, "code_bytes", r.code_bytes);
  return value;
}

Value OfMix(const InstructionMix& mix) {
  Value value;
  value.Set("instructions", mix.instructions);
  value.Set("vector_bits", mix.vector_bits);
  const std::pair<const char*, int> counts[] = {
      {"xmm", mix.xmm},           {"ymm", mix.ymm},
      {"zmm", mix.zmm},           {"scalar_fp", mix.scalar_fp},
      {"fma", mix.fma},           {"loads", mix.loads},
      {"stores", mix.stores},     {"gathers", mix.gathers},
      {"scatters", mix.scatters}, {"divisions", mix.divisions},
      {"calls", mix.calls},       {"branches", mix.branches}};
  for (const auto& [name, count] : counts) {
    if (count > 0) value.Set(name, count);
  }
  value.Set("flops", mix.flops);
  value.Set("loaded_bytes", mix.loaded_bytes);
  value.Set("stored_bytes", mix.stored_bytes);
  for (size_t i = 0; i < mix.called.size() && i < 4; ++i)
    value.Set("called").Append(Cut(mix.called[i]));
  return value;
}

Value OfModel(const StaticModel& model) {
  Value value;
  value.Set("model", model.cpu);
  value.Set("cycles_per_iteration", Rounded(model.cycles_per_iteration));
  value.Set("uops_per_iteration", Rounded(model.uops_per_iteration));
  value.Set("ipc", Rounded(model.ipc));
  value.Set("bottleneck", model.bottleneck);
  for (const PortPressure& port : model.ports)
    value.Set("ports").Set(port.port, Rounded(port.cycles));
  return value;
}

Value OfCounts(const CallCounts& counts, const std::string& workload) {
  Value value;
  if (!workload.empty()) value.Set("workload", workload);
  value.Set("of", "a twin compiled for x86-64-v3, not the kernel itself");
  value.Set("instructions", std::round(counts.instructions));
  value.Set("reads", std::round(counts.reads));
  value.Set("writes", std::round(counts.writes));
  value.Set("d1_misses", std::round(counts.d1_misses));
  value.Set("ll_misses", std::round(counts.ll_misses));
  return value;
}

Value OfHardware(const CounterValues& counters, double calls) {
  const auto each = [calls](uint64_t all) { return std::round(static_cast<double>(all) / calls); };
  Value value;
  value.Set("instructions", each(counters.instructions));
  value.Set("cycles", each(counters.cycles));
  if (counters.cycles > 0)
    value.Set("ipc", Rounded(static_cast<double>(counters.instructions) /
                             static_cast<double>(counters.cycles)));
  value.Set("cache_misses", each(counters.cache_misses));
  value.Set("branch_misses", each(counters.branch_misses));
  if (counters.coverage < 1) value.Set("coverage", Rounded(counters.coverage));
  return value;
}

Value Record(const KernelProfile& profile, size_t loop_lines, size_t remarks) {
  Value value;
  if (profile.seconds > 0) value.Set("time_s", profile.seconds);
  value.Set("bottleneck",
            Name(profile.roofline ? profile.roofline->bottleneck : Bottleneck::kUnknown));
  if (profile.roofline) value.Set("roofline", OfRoofline(*profile.roofline));
  value.Set("resources", OfResources(profile));
  if (profile.mix) value.Set("mix", OfMix(*profile.mix));
  if (profile.model) value.Set("static", OfModel(*profile.model));
  if (profile.counts) value.Set("counts", OfCounts(*profile.counts, profile.counted));
  if (profile.hardware)
    value.Set("hardware", OfHardware(*profile.hardware, profile.hardware_calls));
  for (size_t i = 0; i < profile.remarks.size() && i < remarks; ++i)
    value.Set("remarks").Append(
        Cut("line " + std::to_string(profile.remarks[i].line) + ": " + profile.remarks[i].text));
  const std::string loop = Shortened(profile.hot_loop, loop_lines);
  if (!loop.empty()) {
    value.Set("function", Cut(profile.function));
    value.Set("hot_loop", loop);
  }
  for (size_t i = 0; i < profile.absent.size() && i < kMostAbsent; ++i)
    value.Set("absent").Append(Cut(profile.absent[i]));
  return value;
}

}  // namespace

KernelProfile ProfileLibrary(std::string_view library, std::string_view symbol,
                             const CallCounts* counts) {
  KernelProfile profile;
  const auto code = Disassemble(library);
  if (!code) {
    profile.absent.push_back("hot loop: " + code.error().message);
    return profile;
  }
  const std::vector<Loop> loops = FindLoops(*code, code->Reachable(symbol));
  const auto hot = HottestLoop(
      *code, loops, counts == nullptr ? std::map<uint64_t, uint64_t>() : counts->executed);
  if (!hot) {
    profile.absent.push_back("hot loop: the function has no loop");
    return profile;
  }
  const Function& function = code->functions[hot->function];
  profile.function = function.name;
  profile.hot_loop = LoopText(function, *hot, 4 * kMostLoopLines);
  profile.mix = MixOf(function, hot->instructions);
  const auto model = AnalyseLoop(function, *hot);
  if (model)
    profile.model = *model;
  else
    profile.absent.push_back("static model: " + model.error().message);
  return profile;
}

StaticHint HintOf(const KernelProfile& profile) {
  StaticHint hint;
  if (!profile.model) return hint;
  hint.cycles_per_iteration = profile.model->cycles_per_iteration;
  hint.ipc = profile.model->ipc;
  hint.dependency = profile.model->bottleneck == "data dependency";
  hint.front_end = profile.model->bottleneck == "dispatch";
  return hint;
}

Value ToValue(const KernelProfile& profile) {
  size_t lines = kMostLoopLines, remarks = 12;
  for (;;) {
    Value value = Record(profile, lines, remarks);
    if (ToJson(value).size() <= kMostProfileBytes || (lines == 0 && remarks == 0)) return value;
    if (lines > 12 || remarks == 0)
      lines = lines > 4 ? lines - 4 : 0;
    else
      remarks = remarks > 2 ? remarks - 2 : 0;
  }
}

}  // namespace kev
