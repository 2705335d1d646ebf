#include "runners/analysis/gpu_resources.h"

#include <elf.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <sstream>
#include <utility>

#include "runners/analysis/elf_file.h"

namespace kev {
namespace {

// Attributes of .nv.info: a byte of format, a byte of attribute, then a value of 16 bits, or with
// the sized format a length of 16 bits and so many bytes.
constexpr uint8_t kSized = 4;
constexpr uint8_t kMaxThreads = 0x05, kFrameSize = 0x11, kMaxStack = 0x23, kRegisters = 0x2f,
                  kBarriers = 0x4c;
// Shared memory that the system keeps for itself where there is a section of that name.
constexpr int kReservedShared = 1024;

uint32_t Word(std::string_view bytes, size_t at) {
  uint32_t word = 0;
  if (at + 4 <= bytes.size()) std::memcpy(&word, bytes.data() + at, 4);
  return word;
}

// Calls visit(attribute, payload) for each record.
template <typename Visit>
void ForEachRecord(std::string_view info, Visit visit) {
  while (info.size() >= 4) {
    const auto format = static_cast<uint8_t>(info[0]), attribute = static_cast<uint8_t>(info[1]);
    const size_t size = format == kSized ? (Word(info, 0) >> 16) : 0;
    if (4 + size > info.size()) return;
    visit(attribute, format == kSized ? info.substr(4, size) : info.substr(2, 2));
    info.remove_prefix(4 + size);
  }
}

// The number before `unit` in the text, e.g. "784 bytes stack frame".
void ReadBefore(const std::string& line, const std::string& unit, int* out) {
  const size_t at = line.find(unit);
  if (at == std::string::npos) return;
  size_t begin = at;
  while (begin > 0 && line[begin - 1] >= '0' && line[begin - 1] <= '9') --begin;
  if (begin < at) *out = std::atoi(line.c_str() + begin);
}

int Either(int told, int otherwise) { return told >= 0 ? told : otherwise; }

}  // namespace

Result<GpuResources> ParsePtxas(std::string_view text, std::string_view kernel) {
  GpuResources resources;
  bool ours = false, found = false;
  std::istringstream lines{std::string(text)};
  const std::string quoted = "'" + std::string(kernel) + "'";
  for (std::string line; std::getline(lines, line);) {
    if (line.find("Compiling entry function") != std::string::npos)
      ours = line.find(quoted) != std::string::npos;
    if (!ours) continue;
    ReadBefore(line, " bytes stack frame", &resources.stack_bytes);
    ReadBefore(line, " bytes spill stores", &resources.spill_stores);
    ReadBefore(line, " bytes spill loads", &resources.spill_loads);
    if (line.find(" registers") == std::string::npos) continue;
    found = true;
    // What is not mentioned is not used.
    resources.barriers = resources.shared_bytes = 0;
    ReadBefore(line, " registers", &resources.registers);
    ReadBefore(line, " barriers", &resources.barriers);
    ReadBefore(line, " bytes smem", &resources.shared_bytes);
  }
  if (!found)
    return Error{Code::kNotFound, "ptxas says nothing of the kernel " + std::string(kernel) +
                                      "; compile with -Xptxas -v and extern \"C\""};
  return resources;
}

Result<GpuResources> ParseCubin(std::string_view file, std::string_view kernel) {
  const auto elf = ParseElf(file);
  if (!elf || elf->machine != EM_CUDA)
    return Error{Code::kInvalid, "not a cubin (an ELF file for NVIDIA GPUs)"};
  const std::string name(kernel);
  const ElfSection* code = elf->Find(".text." + name);
  const ElfSection* table = elf->FindType(SHT_SYMTAB);
  if (code == nullptr || table == nullptr)
    return Error{Code::kNotFound, "the cubin has no kernel " + name};
  GpuResources resources;
  resources.code_bytes = static_cast<int>(code->size);
  resources.barriers = 0;
  const ElfSection* shared = elf->Find(".nv.shared." + name);
  resources.shared_bytes = shared == nullptr ? 0 : static_cast<int>(shared->size);
  const bool reserves = elf->Find(".nv.shared.reserved.0") != nullptr;
  if (reserves && resources.shared_bytes >= kReservedShared)
    resources.shared_bytes -= kReservedShared;
  const auto symbols = elf->Symbols(*table);
  if (const ElfSection* info = elf->Find(".nv.info")) {
    ForEachRecord(info->bytes, [&](uint8_t attribute, std::string_view payload) {
      const uint32_t symbol = Word(payload, 0);
      if (payload.size() < 8 || symbol >= symbols.size() || symbols[symbol].name != kernel) return;
      const int value = static_cast<int>(Word(payload, 4));
      if (attribute == kRegisters) resources.registers = value;
      if (attribute == kFrameSize) resources.stack_bytes = std::max(resources.stack_bytes, value);
      if (attribute == kMaxStack) resources.stack_bytes = std::max(resources.stack_bytes, value);
    });
  }
  if (const ElfSection* info = elf->Find(".nv.info." + name)) {
    ForEachRecord(info->bytes, [&](uint8_t attribute, std::string_view payload) {
      if (attribute == kBarriers) resources.barriers = static_cast<uint8_t>(payload[0]);
      if (attribute == kMaxThreads && payload.size() >= 12)
        resources.most_threads =
            static_cast<int>(Word(payload, 0) * Word(payload, 4) * Word(payload, 8));
    });
  }
  return resources;
}

GpuResources Merged(const GpuResources& told, const GpuResources& otherwise) {
  GpuResources merged;
  for (int GpuResources::* field :
       {&GpuResources::registers, &GpuResources::spill_stores, &GpuResources::spill_loads,
        &GpuResources::stack_bytes, &GpuResources::shared_bytes, &GpuResources::barriers,
        &GpuResources::most_threads, &GpuResources::code_bytes})
    merged.*field = Either(told.*field, otherwise.*field);
  return merged;
}

}  // namespace kev
