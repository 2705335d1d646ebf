// ELF files read from their headers: sections, symbols, and what compile needs to know (whether a
// function is exported, how large the code is). The file is never loaded, so that nothing of a
// candidate runs here. Shared libraries and GPU code objects alike.
//
// Threads: functions on values; what is returned points into the file's bytes. Errors: a file that
// is not a whole 64-bit little-endian ELF file gives nullopt; a part that would lie outside the
// file is empty.
#ifndef KEV_RUNNERS_ANALYSIS_ELF_FILE_H_
#define KEV_RUNNERS_ANALYSIS_ELF_FILE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kev {

struct ElfSection {
  std::string_view name;
  uint32_t type = 0;   // SHT_*
  uint64_t flags = 0;  // SHF_*
  uint64_t address = 0;
  uint64_t size = 0;  // in memory; bytes is empty for SHT_NOBITS
  uint64_t alignment = 0;
  uint32_t link = 0, info = 0;
  std::string_view bytes;

  bool Holds(uint64_t at) const { return at >= address && at - address < size; }
};

struct ElfSymbol {
  std::string_view name;
  uint64_t value = 0, size = 0;
  uint16_t section = 0;           // 0: not defined here
  uint8_t type = 0;               // STT_*
  uint8_t bind = 0;               // STB_*
  uint8_t visibility = 0;         // STV_*
  std::string_view version = {};  // "GLIBC_2.27", of dynamic symbols; "" where none is asked for
  std::string_view library = {};  // of whom it is asked for
};

struct ElfSegment {
  uint32_t type = 0, flags = 0;  // PT_*, PF_*
};

struct ElfFile {
  uint16_t machine = 0;  // EM_*
  std::vector<ElfSection> sections;
  std::vector<ElfSegment> segments;

  const ElfSection* Find(std::string_view name) const;  // null: none of that name
  const ElfSection* FindType(uint32_t type) const;      // the first
  // Symbols of one table in its order, the empty first one included.
  std::vector<ElfSymbol> Symbols(const ElfSection& table) const;
};

std::optional<ElfFile> ParseElf(std::string_view file);

struct ElfFacts {
  uint64_t code_bytes = 0;  // of .text and .text.*
  std::vector<std::string>
      functions;  // defined global functions of the dynamic symbol table, else of the static one
};

std::optional<ElfFacts> ReadElf(std::string_view file);

}  // namespace kev

#endif  // KEV_RUNNERS_ANALYSIS_ELF_FILE_H_
