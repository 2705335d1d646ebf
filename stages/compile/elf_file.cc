#include "stages/compile/elf_file.h"

#include <elf.h>

#include <cstring>

namespace kev {
namespace {

// Copies a T at `offset`; false when it is not all in the file.
template <typename T>
bool ReadAt(std::string_view file, uint64_t offset, T* out) {
  if (offset > file.size() || file.size() - offset < sizeof(T)) return false;
  std::memcpy(out, file.data() + offset, sizeof(T));
  return true;
}

std::string_view Part(std::string_view file, const Elf64_Shdr& section) {
  if (section.sh_type == SHT_NOBITS || section.sh_offset > file.size() ||
      section.sh_size > file.size() - section.sh_offset)
    return {};
  return file.substr(section.sh_offset, section.sh_size);
}

std::string_view NameAt(std::string_view names, uint64_t offset) {
  if (offset >= names.size()) return {};
  std::string_view rest = names.substr(offset);
  size_t end = rest.find('\0');
  return end == std::string_view::npos ? std::string_view() : rest.substr(0, end);
}

std::vector<std::string> DefinedFunctions(std::string_view file, const Elf64_Shdr& table,
                                          std::string_view names) {
  std::vector<std::string> functions;
  std::string_view symbols = Part(file, table);
  for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= symbols.size(); at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol;
    std::memcpy(&symbol, symbols.data() + at, sizeof symbol);
    int type = ELF64_ST_TYPE(symbol.st_info), bind = ELF64_ST_BIND(symbol.st_info);
    bool function = type == STT_FUNC || type == STT_GNU_IFUNC;
    bool exported = bind == STB_GLOBAL || bind == STB_WEAK;
    if (function && exported && symbol.st_shndx != SHN_UNDEF)
      functions.emplace_back(NameAt(names, symbol.st_name));
  }
  return functions;
}

}  // namespace

std::optional<ElfFacts> ReadElf(std::string_view file) {
  Elf64_Ehdr header;
  if (!ReadAt(file, 0, &header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_shentsize != sizeof(Elf64_Shdr))
    return std::nullopt;
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  for (size_t i = 0; i < sections.size(); ++i)
    if (!ReadAt(file, header.e_shoff + i * sizeof(Elf64_Shdr), &sections[i])) return std::nullopt;
  if (header.e_shstrndx >= sections.size()) return std::nullopt;

  std::string_view section_names = Part(file, sections[header.e_shstrndx]);
  ElfFacts facts;
  const Elf64_Shdr* symbols = nullptr;
  for (const Elf64_Shdr& section : sections) {
    std::string_view name = NameAt(section_names, section.sh_name);
    if (name == ".text" || name.substr(0, 6) == ".text.") facts.code_bytes += section.sh_size;
    bool table = section.sh_type == SHT_DYNSYM || (section.sh_type == SHT_SYMTAB && !symbols);
    if (table && section.sh_link < sections.size()) symbols = &section;
  }
  if (symbols)
    facts.functions = DefinedFunctions(file, *symbols, Part(file, sections[symbols->sh_link]));
  return facts;
}

}  // namespace kev
