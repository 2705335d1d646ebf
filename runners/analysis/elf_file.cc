#include "runners/analysis/elf_file.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

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

// Gives the symbols of the dynamic table the versions and libraries that they are asked for with.
void AddVersions(const ElfFile& elf, std::vector<ElfSymbol>* symbols) {
  const ElfSection* versions = elf.FindType(SHT_GNU_versym);
  const ElfSection* needs = elf.FindType(SHT_GNU_verneed);
  if (versions == nullptr || needs == nullptr || needs->link >= elf.sections.size()) return;
  const std::string_view names = elf.sections[needs->link].bytes;
  std::map<uint16_t, std::pair<std::string_view, std::string_view>> known;
  // Each offset leads on; a chain that stands still or leaves the section ends.
  Elf64_Verneed need;
  for (uint64_t at = 0; ReadAt(needs->bytes, at, &need); at += need.vn_next) {
    Elf64_Vernaux one;
    for (uint64_t aux = at + need.vn_aux; ReadAt(needs->bytes, aux, &one); aux += one.vna_next) {
      known[one.vna_other] = {NameAt(names, one.vna_name), NameAt(names, need.vn_file)};
      if (one.vna_next == 0) break;
    }
    if (need.vn_next == 0) break;
  }
  for (size_t i = 0; i < symbols->size(); ++i) {
    Elf64_Half index = 0;
    if (!ReadAt(versions->bytes, i * sizeof index, &index)) return;
    const auto found = known.find(index);
    if (found == known.end()) continue;
    (*symbols)[i].version = found->second.first;
    (*symbols)[i].library = found->second.second;
  }
}

bool IsExportedFunction(const ElfSymbol& symbol) {
  const bool function = symbol.type == STT_FUNC || symbol.type == STT_GNU_IFUNC;
  const bool exported = symbol.bind == STB_GLOBAL || symbol.bind == STB_WEAK;
  return function && exported && symbol.section != SHN_UNDEF;
}

}  // namespace

const ElfSection* ElfFile::Find(std::string_view name) const {
  const auto it = std::find_if(sections.begin(), sections.end(),
                               [&](const ElfSection& s) { return s.name == name; });
  return it == sections.end() ? nullptr : &*it;
}

const ElfSection* ElfFile::FindType(uint32_t type) const {
  const auto it = std::find_if(sections.begin(), sections.end(),
                               [&](const ElfSection& s) { return s.type == type; });
  return it == sections.end() ? nullptr : &*it;
}

std::vector<ElfSymbol> ElfFile::Symbols(const ElfSection& table) const {
  const std::string_view names =
      table.link < sections.size() ? sections[table.link].bytes : std::string_view();
  std::vector<ElfSymbol> symbols;
  for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= table.bytes.size(); at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol;
    std::memcpy(&symbol, table.bytes.data() + at, sizeof symbol);
    symbols.push_back({NameAt(names, symbol.st_name), symbol.st_value, symbol.st_size,
                       symbol.st_shndx, static_cast<uint8_t>(ELF64_ST_TYPE(symbol.st_info)),
                       static_cast<uint8_t>(ELF64_ST_BIND(symbol.st_info)),
                       static_cast<uint8_t>(ELF64_ST_VISIBILITY(symbol.st_other))});
  }
  if (table.type == SHT_DYNSYM) AddVersions(*this, &symbols);
  return symbols;
}

std::optional<ElfFile> ParseElf(std::string_view file) {
  Elf64_Ehdr header;
  if (!ReadAt(file, 0, &header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_shentsize != sizeof(Elf64_Shdr))
    return std::nullopt;
  std::vector<Elf64_Shdr> headers(header.e_shnum);
  for (size_t i = 0; i < headers.size(); ++i)
    if (!ReadAt(file, header.e_shoff + i * sizeof(Elf64_Shdr), &headers[i])) return std::nullopt;
  if (header.e_shstrndx >= headers.size()) return std::nullopt;

  ElfFile elf;
  elf.machine = header.e_machine;
  const std::string_view names = Part(file, headers[header.e_shstrndx]);
  for (const Elf64_Shdr& s : headers)
    elf.sections.push_back({NameAt(names, s.sh_name), s.sh_type, s.sh_flags, s.sh_addr, s.sh_size,
                            s.sh_addralign, s.sh_link, s.sh_info, Part(file, s)});
  Elf64_Phdr segment;
  for (uint64_t i = 0; i < header.e_phnum; ++i)
    if (ReadAt(file, header.e_phoff + i * sizeof segment, &segment))
      elf.segments.push_back({segment.p_type, segment.p_flags});
  return elf;
}

std::optional<ElfFacts> ReadElf(std::string_view file) {
  const std::optional<ElfFile> elf = ParseElf(file);
  if (!elf) return std::nullopt;
  ElfFacts facts;
  for (const ElfSection& section : elf->sections) {
    if (section.name == ".text" || section.name.starts_with(".text."))
      facts.code_bytes += section.size;
  }
  const ElfSection* symbols = elf->FindType(SHT_DYNSYM);
  if (symbols == nullptr) symbols = elf->FindType(SHT_SYMTAB);
  if (symbols == nullptr) return facts;
  for (const ElfSymbol& symbol : elf->Symbols(*symbols)) {
    if (IsExportedFunction(symbol)) facts.functions.emplace_back(symbol.name);
  }
  return facts;
}

}  // namespace kev
