#include "runners/analysis/machine_peaks.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "runners/analysis/tool_process.h"

namespace kev {
namespace {

constexpr int kVersion = 1;

Error Damaged(const std::string& what) {
  return Error{Code::kCorrupt, what + "; measure again with `kevolve doctor --measure`"};
}

}  // namespace

double MachinePeaks::Flops(int element_bytes) const {
  const std::string type = element_bytes == 8 ? "f64." : "f32.";
  double highest = 0;
  for (const auto& [name, value] : flops) {
    if (name.starts_with(type)) highest = std::max(highest, value);
  }
  return highest;
}

Value ToValue(const MachinePeaks& peaks) {
  Value value;
  value.Set("version", kVersion);
  value.Set("cpu", peaks.cpu);
  value.Set("model_name", peaks.model_name);
  value.Set("date", peaks.date);
  value.Set("core", peaks.core);
  value.Set("flops", Value(Value::Map{}));
  for (const auto& [name, flops] : peaks.flops) value.Set("flops").Set(name, flops);
  value.Set("levels", Value(Value::List{}));
  for (const MemoryLevel& level : peaks.levels) {
    Value row;
    row.Set("name", level.name);
    row.Set("capacity_bytes", level.capacity);
    row.Set("measured_over_bytes", level.measured_over);
    row.Set("load_bytes_per_s", level.load);
    row.Set("copy_bytes_per_s", level.copy);
    row.Set("latency_s", level.latency);
    value.Set("levels").Append(std::move(row));
  }
  value.Set("clock_hz", peaks.clock_hz);
  value.Set("timer_resolution_s", peaks.timer_resolution);
  value.Set("timer_cost_s", peaks.timer_cost);
  value.Set("doorbell_s", peaks.doorbell);
  value.Set("shortest_call_s", peaks.shortest_call);
  value.Set("switches_per_s", peaks.switches);
  return value;
}

Result<MachinePeaks> ParsePeaks(const std::string& json) {
  try {
    const nlohmann::json file = nlohmann::json::parse(json);
    if (file.at("version") != kVersion) return Damaged("the measured peaks are of another version");
    MachinePeaks peaks;
    peaks.cpu = file.at("cpu");
    peaks.model_name = file.at("model_name");
    peaks.date = file.at("date");
    peaks.core = file.at("core");
    peaks.flops = file.at("flops").get<std::map<std::string, double>>();
    for (const nlohmann::json& row : file.at("levels"))
      peaks.levels.push_back({row.at("name"), row.at("capacity_bytes"),
                              row.at("measured_over_bytes"), row.at("load_bytes_per_s"),
                              row.at("copy_bytes_per_s"), row.at("latency_s")});
    peaks.clock_hz = file.at("clock_hz");
    peaks.timer_resolution = file.at("timer_resolution_s");
    peaks.timer_cost = file.at("timer_cost_s");
    peaks.doorbell = file.at("doorbell_s");
    peaks.shortest_call = file.at("shortest_call_s");
    peaks.switches = file.at("switches_per_s");
    return peaks;
  } catch (const nlohmann::json::exception& error) {
    return Damaged(std::string("the measured peaks cannot be read: ") + error.what());
  }
}

std::string PeaksFile(const std::string& home, const CpuIdentity& cpu) {
  return home + "/cache/machine/" + cpu.Key() + ".json";
}

Result<MachinePeaks> ReadPeaks(const std::string& home, const CpuIdentity& cpu) {
  const std::string path = PeaksFile(home, cpu);
  const std::string text = FileText(path);
  if (text.empty())
    return Error{Code::kNotFound,
                 "no measured peaks of this CPU (" + path + "); run `kevolve doctor --measure`"};
  Result<MachinePeaks> peaks = ParsePeaks(text);
  if (!peaks) return Error{peaks.error().code, path + ": " + peaks.error().message};
  if (peaks->cpu != cpu.Key()) return Damaged(path + " is of another CPU");
  return peaks;
}

Status WritePeaks(const std::string& home, const CpuIdentity& cpu, const MachinePeaks& peaks) {
  namespace fs = std::filesystem;
  const fs::path path = PeaksFile(home, cpu), temporary = path.string() + ".new";
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  std::ofstream file(temporary);
  file << ToJson(ToValue(peaks)) << "\n";
  file.close();
  if (file) fs::rename(temporary, path, error);
  if (!file || error)
    return Error{Code::kPermission, "cannot write " + path.string() +
                                        "; make the folder writable or set KEVOLVE_HOME"};
  return {};
}

}  // namespace kev
