#include "runners/analysis/disassembly.h"

#include <algorithm>
#include <charconv>

#include "runners/analysis/tool_process.h"

namespace kev {
namespace {

constexpr std::string_view kPrefixes[] = {"rep",    "repz", "repnz", "lock",    "bnd",
                                          "data16", "cs",   "ds",    "notrack", "addr32"};

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") + 1 - begin);
}

std::optional<uint64_t> Hex(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

// "401000 <name+0x10>": sets target and name.
void ReadTarget(std::string_view text, MachineInstruction* instruction) {
  const size_t open = text.find('<'), close = text.rfind('>');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return;
  instruction->target = Hex(Trimmed(text.substr(0, open)));
  instruction->target_name = text.substr(open + 1, close - open - 1);
}

bool IsPrefix(std::string_view word) {
  return std::find(std::begin(kPrefixes), std::end(kPrefixes), word) != std::end(kPrefixes);
}

MachineInstruction ReadInstruction(uint64_t address, std::string_view text) {
  MachineInstruction instruction;
  instruction.address = address;
  if (const size_t comment = text.find(" # "); comment != std::string_view::npos) {
    ReadTarget(Trimmed(text.substr(comment + 3)), &instruction);
    text = Trimmed(text.substr(0, comment));
  }
  size_t end = text.find(' ');
  while (end != std::string_view::npos &&
         IsPrefix(text.substr(text.rfind(' ', end - 1) + 1, end - text.rfind(' ', end - 1) - 1)))
    end = text.find(' ', text.find_first_not_of(' ', end));
  instruction.mnemonic = text.substr(0, end);
  if (end != std::string_view::npos) instruction.operands = Trimmed(text.substr(end));
  if ((instruction.IsBranch() || instruction.IsCall()) && !instruction.operands.starts_with("*"))
    ReadTarget(instruction.operands, &instruction);
  return instruction;
}

}  // namespace

bool MachineInstruction::IsBranch() const {
  const size_t word = mnemonic.rfind(' ') + 1;  // npos + 1 is 0
  return mnemonic[word] == 'j' || std::string_view(mnemonic).substr(word).starts_with("loop");
}

bool MachineInstruction::IsCall() const { return mnemonic.find("call") != std::string::npos; }

Disassembly ParseObjdump(std::string_view text) {
  Disassembly all;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.ends_with(">:") && Hex(line)) {
      const size_t open = line.find('<');
      all.functions.push_back({std::string(line.substr(open + 1, line.size() - open - 3)), {}});
      continue;
    }
    const size_t colon = line.find(":\t");
    if (colon == std::string_view::npos || all.functions.empty()) continue;
    const std::optional<uint64_t> address = Hex(Trimmed(line.substr(0, colon)));
    const std::string_view code = Trimmed(line.substr(colon + 2));
    if (address && !code.empty())
      all.functions.back().instructions.push_back(ReadInstruction(*address, code));
  }
  return all;
}

std::vector<size_t> Disassembly::Reachable(std::string_view symbol) const {
  std::vector<size_t> found;
  const auto add = [&](std::string_view name) {
    // Through the procedure linkage table it may still be a function of this library.
    name = name.substr(0, name.find("@"));
    for (size_t i = 0; i < functions.size(); ++i) {
      const std::string_view known = functions[i].name;
      // Parts that the compiler splits off: name.cold, name._omp_fn.0, name.part.0.
      const bool part = known.starts_with(name) && known.size() > name.size() &&
                        known[name.size()] == '.' && name.size() > 0;
      if ((known == name || part) && std::find(found.begin(), found.end(), i) == found.end())
        found.push_back(i);
    }
  };
  add(symbol);
  for (size_t next = 0; next < found.size(); ++next) {
    for (const MachineInstruction& instruction : functions[found[next]].instructions) {
      if (!instruction.target_name.empty()) add(instruction.target_name);
    }
  }
  if (found.empty()) {
    for (size_t i = 0; i < functions.size(); ++i) found.push_back(i);
  }
  return found;
}

Result<Disassembly> Disassemble(std::string_view library) {
  const ToolFolder folder;
  const auto path = folder.Write("library.so", library);
  if (!path) return path.error();
  const auto text =
      RunTool({"objdump", "-d", "-w", "--no-show-raw-insn", "--", *path}, "", ToolLimits{});
  if (!text)
    return Error{text.error().code,
                 text.error().message + "; the hot loop needs it: install package binutils"};
  if (!text->Succeeded())
    return Error{Code::kInvalid, text->timed_out ? "objdump took more than 10 s over the library"
                                                 : "objdump cannot read the library: " + text->err};
  return ParseObjdump(text->out);
}

}  // namespace kev
