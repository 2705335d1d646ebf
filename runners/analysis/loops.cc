#include "runners/analysis/loops.h"

#include <algorithm>
#include <string_view>

namespace kev {
namespace {

// Weights of a guess, against one per element: a call costs some 20 cycles for one element where
// the vector loop beside it takes one or two for sixteen.
constexpr double kCallWork = 200, kDivisionWork = 8;

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

int WidestRegister(std::string_view operands) {
  return Contains(operands, "%zmm")   ? 512
         : Contains(operands, "%ymm") ? 256
         : Contains(operands, "%xmm") ? 128
                                      : 0;
}

// Bytes of one element of a floating-point instruction by its suffix; 0: not floating point.
int FloatBytes(std::string_view mnemonic) {
  if (mnemonic.ends_with("ps") || mnemonic.ends_with("ss")) return 4;
  if (mnemonic.ends_with("pd") || mnemonic.ends_with("sd")) return 8;
  if (mnemonic.ends_with("ph") || mnemonic.ends_with("sh")) return 2;
  return 0;
}

bool IsScalarFloat(std::string_view mnemonic) {
  return mnemonic.ends_with("ss") || mnemonic.ends_with("sd") || mnemonic.ends_with("sh");
}

bool IsFma(std::string_view m) {
  return m.starts_with("vfmadd") || m.starts_with("vfmsub") || m.starts_with("vfnmadd") ||
         m.starts_with("vfnmsub");
}

bool IsDivision(std::string_view m) {
  const std::string_view plain = m.starts_with("v") ? m.substr(1) : m;
  return plain.starts_with("div") || plain.starts_with("idiv") || plain.starts_with("sqrt");
}

bool IsArithmetic(std::string_view m) {
  const std::string_view plain = m.starts_with("v") ? m.substr(1) : m;
  for (const std::string_view name : {"add", "sub", "mul", "div", "sqrt", "max", "min"}) {
    if (plain.starts_with(name)) return true;
  }
  return IsFma(m);
}

// Position of the memory operand, npos when there is none.
size_t MemoryAt(std::string_view operands) { return operands.find('('); }

// In AT&T syntax the last operand is written; a mask may follow it.
bool WritesMemory(std::string_view mnemonic, std::string_view operands) {
  for (const std::string_view reader : {"cmp", "test", "ucomis", "vucomis", "comis", "vcomis",
                                        "push", "prefetch", "bt", "vptest"}) {
    if (mnemonic.starts_with(reader)) return false;
  }
  const size_t close = operands.rfind(')');
  return close != std::string_view::npos && !Contains(operands.substr(close), ",") &&
         Contains(operands, ",");
}

void AddMemory(std::string_view mnemonic, std::string_view operands, InstructionMix* mix) {
  if (MemoryAt(operands) == std::string_view::npos || mnemonic.starts_with("lea") ||
      mnemonic.starts_with("nop"))
    return;
  const int width = WidestRegister(operands);
  const bool broadcast = Contains(operands, "{1to") || mnemonic.starts_with("vbroadcast");
  double bytes = 8;
  if (width > 0) bytes = width / 8.0;
  if (IsScalarFloat(mnemonic) || broadcast) bytes = FloatBytes(mnemonic) == 8 ? 8 : 4;
  if (WritesMemory(mnemonic, operands)) {
    ++mix->stores;
    mix->stored_bytes += bytes;
  } else {
    ++mix->loads;
    mix->loaded_bytes += bytes;
  }
  if (Contains(operands, "(%rsp") || Contains(operands, "(%rbp")) ++mix->spills;
}

void AddVector(std::string_view mnemonic, std::string_view operands, InstructionMix* mix) {
  const int width = WidestRegister(operands), element = FloatBytes(mnemonic);
  const bool fma = IsFma(mnemonic);
  mix->fma += fma ? 1 : 0;
  mix->gathers += Contains(mnemonic, "gather") ? 1 : 0;
  mix->scatters += Contains(mnemonic, "scatter") ? 1 : 0;
  mix->divisions += IsDivision(mnemonic) ? 1 : 0;
  const bool scalar = IsScalarFloat(mnemonic) && width > 0;
  if (scalar) {
    ++mix->scalar_fp;
    if (IsArithmetic(mnemonic)) mix->flops += fma ? 2 : 1;
    return;
  }
  // Moves between general and vector registers, and clearing, are no packed work.
  if (width == 0 || mnemonic == "vmovd" || mnemonic == "vmovq" || Contains(mnemonic, "xor")) return;
  ++mix->vector;
  (width == 512 ? mix->zmm : width == 256 ? mix->ymm : mix->xmm)++;
  mix->vector_bits = std::max(mix->vector_bits, width);
  if (element > 0 && IsArithmetic(mnemonic)) mix->flops += (fma ? 2.0 : 1.0) * width / 8 / element;
}

double WorkOf(const InstructionMix& mix) {
  return mix.flops + (mix.loaded_bytes + mix.stored_bytes) / 4 + kCallWork * mix.calls +
         kDivisionWork * mix.divisions + 0.01 * mix.instructions;
}

}  // namespace

InstructionMix MixOf(const Function& function, const std::vector<size_t>& instructions) {
  InstructionMix mix;
  for (const size_t i : instructions) {
    const MachineInstruction& instruction = function.instructions[i];
    ++mix.instructions;
    if (instruction.IsBranch()) {
      ++mix.branches;
      continue;
    }
    if (instruction.IsCall()) {
      ++mix.calls;
      std::string name = instruction.target_name.substr(0, instruction.target_name.find('@'));
      if (!name.empty() &&
          std::find(mix.called.begin(), mix.called.end(), name) == mix.called.end())
        mix.called.push_back(std::move(name));
      continue;
    }
    AddMemory(instruction.mnemonic, instruction.operands, &mix);
    AddVector(instruction.mnemonic, instruction.operands, &mix);
  }
  return mix;
}

std::optional<Loop> HottestLoop(const Disassembly& code, const std::vector<Loop>& loops,
                                const std::map<uint64_t, uint64_t>& counts) {
  const auto counted = [&](const Loop& loop) {
    uint64_t sum = 0;
    for (const size_t i : loop.instructions) {
      const auto it = counts.find(code.functions[loop.function].instructions[i].address);
      if (it != counts.end()) sum += it->second;
    }
    return static_cast<double>(sum);
  };
  std::optional<Loop> hottest;
  std::pair<double, double> best;
  for (const Loop& loop : loops) {
    if (!loop.innermost) continue;
    const double work = WorkOf(MixOf(code.functions[loop.function], loop.instructions));
    const std::pair<double, double> rank = {counts.empty() ? loop.depth : counted(loop), work};
    if (!hottest || rank > best) {
      hottest = loop;
      best = rank;
    }
  }
  return hottest;
}

std::string LoopText(const Function& function, const Loop& loop, size_t most_lines) {
  std::string text;
  const size_t count = loop.instructions.size();
  const size_t shown = count > most_lines && most_lines > 0 ? most_lines - 1 : count;
  const uint64_t header = function.instructions[loop.header].address;
  for (size_t i = 0; i < shown; ++i) {
    const MachineInstruction& instruction = function.instructions[loop.instructions[i]];
    text += instruction.mnemonic;
    if (instruction.target && instruction.IsBranch() && *instruction.target == header)
      text += " (back)";
    else if (instruction.target && (instruction.IsBranch() || instruction.IsCall()))
      text += " " + instruction.target_name;
    else if (!instruction.operands.empty())
      text += " " + instruction.operands;
    text += "\n";
  }
  if (shown < count) text += "[" + std::to_string(count - shown) + " more instructions]\n";
  return text;
}

}  // namespace kev
