#include "runners/analysis/static_model.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "runners/analysis/tool_process.h"

namespace kev {
namespace {

constexpr int kIterations = 100;
constexpr size_t kPortsKept = 4;

// A line's number after `label`; false when it does not begin with it.
bool ReadNumber(std::string_view line, std::string_view label, double* out) {
  if (!line.starts_with(label)) return false;
  *out = std::strtod(std::string(line.substr(label.size())).c_str(), nullptr);
  return true;
}

// The percentage in "… [ 65.84% ]".
double Percentage(std::string_view line) {
  const size_t open = line.find("[ ");
  if (open == std::string_view::npos) return 0;
  return std::strtod(std::string(line.substr(open + 2)).c_str(), nullptr);
}

// "[3]   - ICXPort1" -> ICXPort1. Ports that are groups of units have "[8.0] - Name".
std::string PortName(const std::string& line) {
  const size_t dash = line.find("- ");
  return line[0] == '[' && dash != std::string::npos ? line.substr(dash + 2) : "";
}

std::string BottleneckOf(double resources, double dependencies, double cycles, double throughput,
                         double uops, double width) {
  if (dependencies > 0 || resources > 0)
    return dependencies > resources ? "data dependency" : "ports";
  // No back-end pressure: the front end is full, or nothing is.
  if (width > 0 && uops / width >= 0.85 * cycles) return "dispatch";
  return throughput >= 0.85 * cycles ? "ports" : "none found";
}

}  // namespace

std::string McaInput(const Function& function, const Loop& loop) {
  std::string text;
  for (const size_t i : loop.instructions) {
    const MachineInstruction& instruction = function.instructions[i];
    const std::string& mnemonic = instruction.mnemonic;
    // Padding is printed with prefixes that no assembler takes.
    if (mnemonic.find("nop") != std::string::npos || mnemonic.find("data16") != std::string::npos)
      text += "nop";
    else if (instruction.IsBranch() && instruction.target)
      text += mnemonic.substr(mnemonic.rfind(' ') + 1) + " .Lloop";
    else if (instruction.IsCall() && instruction.target)
      text += "call outside";
    else
      text += mnemonic + " " + instruction.operands;
    text += "\n";
  }
  return text;
}

Result<StaticModel> ParseMca(std::string_view report) {
  StaticModel model;
  double iterations = 0, cycles = 0, uops = 0, width = 0, resources = 0, dependencies = 0;
  std::vector<std::string> names;
  std::istringstream lines{std::string(report)};
  for (std::string line; std::getline(lines, line);) {
    ReadNumber(line, "Iterations:", &iterations);
    ReadNumber(line, "Total Cycles:", &cycles);
    ReadNumber(line, "Total uOps:", &uops);
    ReadNumber(line, "Dispatch Width:", &width);
    ReadNumber(line, "IPC:", &model.ipc);
    ReadNumber(line, "Block RThroughput:", &model.block_throughput);
    if (line.starts_with("  Resource Pressure ")) resources = Percentage(line);
    if (line.starts_with("  Data Dependencies:")) dependencies = Percentage(line);
    if (!line.empty() && !PortName(line).empty()) names.push_back(PortName(line));
    if (!line.starts_with("Resource pressure per iteration:")) continue;
    std::getline(lines, line);  // the ports' numbers
    std::getline(lines, line);
    std::istringstream cells(line);
    std::string cell;
    for (size_t i = 0; i < names.size() && cells >> cell; ++i) {
      if (cell != "-") model.ports.push_back({names[i], std::strtod(cell.c_str(), nullptr)});
    }
  }
  if (iterations <= 0 || cycles <= 0)
    return Error{Code::kInvalid, "llvm-mca gave no summary of the loop"};
  model.cycles_per_iteration = cycles / iterations;
  model.uops_per_iteration = uops / iterations;
  model.bottleneck = BottleneckOf(resources, dependencies, model.cycles_per_iteration,
                                  model.block_throughput, model.uops_per_iteration, width);
  std::sort(model.ports.begin(), model.ports.end(),
            [](const PortPressure& a, const PortPressure& b) {
              return a.cycles != b.cycles ? a.cycles > b.cycles : a.port < b.port;
            });
  if (model.ports.size() > kPortsKept) model.ports.resize(kPortsKept);
  return model;
}

Result<StaticModel> AnalyseLoop(const Function& function, const Loop& loop,
                                const std::string& cpu) {
  const std::string tool =
      FindTool({"llvm-mca-21", "llvm-mca-20", "llvm-mca-19", "llvm-mca-18", "llvm-mca-17",
                "llvm-mca-16", "llvm-mca-15", "llvm-mca-14", "llvm-mca"});
  if (tool.empty())
    return Error{Code::kNotFound, "no llvm-mca in PATH; install package llvm (or llvm-19)"};
  const InstructionMix mix = MixOf(function, loop.instructions);
  std::vector<std::string> models = {"native",
                                     mix.vector_bits == 512 ? "skylake-avx512" : "haswell"};
  if (!cpu.empty()) models.insert(models.begin(), cpu);
  std::string refusal;
  for (const std::string& name : models) {
    const auto report = RunTool({tool, "-mtriple=x86_64-unknown-linux-gnu", "-mcpu=" + name,
                                 "-iterations=" + std::to_string(kIterations),
                                 "-bottleneck-analysis", "-instruction-info=false"},
                                McaInput(function, loop));
    if (!report) return report.error();
    const bool unknown = report->err.find("not a recognized processor") != std::string::npos;
    if (report->Succeeded() && !unknown) {
      Result<StaticModel> model = ParseMca(report->out);
      if (model) model->cpu = name;
      return model;
    }
    if (refusal.empty()) refusal = report->err.substr(0, report->err.find('\n'));
  }
  return Error{Code::kInvalid, "llvm-mca has no answer for this loop: " + refusal};
}

}  // namespace kev
