#include "runners/analysis/code_digest.h"

#include <elf.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "runners/analysis/elf_file.h"
#include "runners/analysis/x86_decode.h"

namespace kev {
namespace {

bool StartsWithAny(std::string_view name, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

// A build id as linkers write it: a header, "GNU", 16 or 20 bytes of digest and nothing else.
bool IsBuildId(const ElfSection& section) {
  return section.type == SHT_NOTE && section.name == ".note.gnu.build-id" &&
         (section.size == 32 || section.size == 36);
}

// Whether a section is compared by its bytes. Names of symbols, hash tables over them and the build
// id are not; relocations and the dynamic section are read by meaning.
bool Counts(const ElfFile& elf, const ElfSection& section) {
  // Sections of a cubin have no addresses and belong to kernels by name: all is taken as it is.
  if (elf.machine == EM_CUDA)
    return !StartsWithAny(section.name, {".debug", ".nv_debug", ".rela.debug", ".note"});
  if ((section.flags & SHF_ALLOC) == 0 || IsBuildId(section)) return false;
  switch (section.type) {
    case SHT_DYNSYM:
    case SHT_STRTAB:
    case SHT_HASH:
    case SHT_GNU_HASH:
    case SHT_GNU_versym:
    case SHT_GNU_verneed:
    case SHT_GNU_verdef:
    case SHT_RELA:
    case SHT_DYNAMIC:
      return false;
    default:
      return true;
  }
}

// Whether the loader writes all eight bytes that a relocation of this type stands for; then what
// the file has there does not matter.
bool FillsEightBytes(uint64_t type) {
  switch (type) {
    case R_X86_64_64:
    case R_X86_64_GLOB_DAT:
    case R_X86_64_JUMP_SLOT:
    case R_X86_64_RELATIVE:
    case R_X86_64_IRELATIVE:
    case R_X86_64_DTPMOD64:
    case R_X86_64_DTPOFF64:
    case R_X86_64_TPOFF64:
      return true;
    default:
      return false;
  }
}

class Normaliser {
 public:
  Normaliser(const ElfFile& elf, const std::vector<std::string>& entries)
      : elf_(elf), entries_(entries) {}

  Result<std::string> Run() {
    for (const ElfSection& s : elf_.sections) {
      if (s.type == SHT_DYNSYM || s.type == SHT_SYMTAB) AddFunctions(s);
    }
    for (const std::string& entry : entries_) {
      if (Versions(entry) > 1)
        return Error{Code::kInvalid, "the library defines several versions of " + entry};
      const ElfSymbol* symbol = FunctionOf(entry);
      if (symbol == nullptr)
        return Error{Code::kInvalid, "the library does not define the function " + entry};
      if (elf_.machine == EM_CUDA) Put(entry);
      Put(uint64_t{symbol->type});  // code that is called, or that says what is
      PutPlace(symbol->value);
    }
    Put(uint64_t{elf_.machine});
    PutSegments();
    PutDynamic();
    if (elf_.machine != EM_CUDA) Relocations();
    if (loads_others_) PutExports();
    for (const ElfSection& s : elf_.sections) {
      if (Counts(elf_, s)) PutSection(s);
    }
    if (elf_.machine != EM_X86_64 && elf_.machine != EM_CUDA) layout_counts_ = true;
    if (layout_counts_) {
      for (const ElfSection& s : elf_.sections) Put(s.address);
    }
    return std::move(out_);
  }

 private:
  void Put(uint64_t number) { out_.append(reinterpret_cast<const char*>(&number), sizeof number); }
  void Put(std::string_view text) {
    Put(uint64_t{text.size()});
    out_ += text;
  }

  // The section that an address lies in, or ends at when it lies in none.
  const ElfSection* SectionOf(uint64_t address) const {
    const ElfSection* ends = nullptr;
    for (const ElfSection& s : elf_.sections) {
      if ((s.flags & SHF_ALLOC) == 0 || (s.flags & SHF_TLS) != 0) continue;
      if (s.Holds(address)) return &s;
      if (s.size > 0 && s.address + s.size == address) ends = &s;
    }
    return ends;
  }

  void PutPlace(uint64_t address) {
    const ElfSection* section = SectionOf(address);
    if (section == nullptr || !Counts(elf_, *section)) {
      // It points at what is not compared: where that lies is all that is known of it.
      layout_counts_ = layout_counts_ || section != nullptr;
      Put("absolute");
      Put(address);
      if (section != nullptr) Put(section->bytes);
      return;
    }
    Put(section->name);
    Put(address - section->address);
  }

  const ElfSymbol* FunctionOf(const std::string& name) const {
    for (const ElfSymbol& symbol : functions_) {
      if (symbol.name == name) return &symbol;
    }
    return nullptr;
  }

  // Which of several the loader takes is not for us to say.
  size_t Versions(const std::string& name) const {
    size_t defined = 0;
    for (const ElfSection& s : elf_.sections) {
      if (s.type != SHT_DYNSYM) continue;
      for (const ElfSymbol& symbol : elf_.Symbols(s))
        defined += symbol.section != SHN_UNDEF && symbol.name == name;
    }
    return defined;
  }

  void AddFunctions(const ElfSection& table) {
    for (const ElfSymbol& symbol : elf_.Symbols(table)) {
      const bool function = symbol.type == STT_FUNC || symbol.type == STT_GNU_IFUNC;
      if (function && symbol.section != SHN_UNDEF) functions_.push_back(symbol);
    }
  }

  // What may be done with memory: a stack that can be executed makes all of it so.
  void PutSegments() {
    for (const ElfSegment& segment : elf_.segments) {
      if (segment.type != PT_LOAD && segment.type != PT_GNU_STACK) continue;
      Put(uint64_t{segment.type});
      Put(uint64_t{segment.flags});
    }
  }

  // Libraries that are loaded along, where they are looked for, and how symbols are bound.
  void PutDynamic() {
    const ElfSection* dynamic = elf_.FindType(SHT_DYNAMIC);
    if (dynamic == nullptr) return;
    const std::string_view names = dynamic->link < elf_.sections.size()
                                       ? elf_.sections[dynamic->link].bytes
                                       : std::string_view();
    for (size_t at = 0; at + sizeof(Elf64_Dyn) <= dynamic->bytes.size(); at += sizeof(Elf64_Dyn)) {
      Elf64_Dyn entry;
      std::memcpy(&entry, dynamic->bytes.data() + at, sizeof entry);
      switch (entry.d_tag) {
        case DT_NEEDED:
        case DT_RPATH:
        case DT_RUNPATH:
        case DT_AUDIT:
        case DT_DEPAUDIT:
        case static_cast<Elf64_Sxword>(DT_AUXILIARY):
        case static_cast<Elf64_Sxword>(DT_FILTER):
          loads_others_ =
              loads_others_ || entry.d_tag != DT_NEEDED || !IsThere(NameOf(entry, names));
          Put(static_cast<uint64_t>(entry.d_tag));
          Put(NameOf(entry, names));
          break;
        case DT_FLAGS:
        case DT_FLAGS_1:
        case DT_SYMBOLIC:
          Put(static_cast<uint64_t>(entry.d_tag));
          Put(uint64_t{entry.d_un.d_val});
          break;
        case DT_INIT:
        case DT_FINI:
          Put(static_cast<uint64_t>(entry.d_tag));
          PutPlace(entry.d_un.d_ptr);
          break;
        case DT_PLTGOT:
          got_ = entry.d_un.d_ptr;
          break;
        default:
          break;
      }
    }
  }

  static std::string_view NameOf(const Elf64_Dyn& entry, std::string_view names) {
    if (entry.d_un.d_val >= names.size()) return {};
    const std::string_view rest = names.substr(entry.d_un.d_val);
    return rest.substr(0, rest.find('\0'));
  }

  // A library that every process has bound before this one is loaded.
  static bool IsThere(std::string_view library) {
    return StartsWithAny(library, {"libc.so.", "libm.so.", "ld-linux"});
  }

  // Libraries that are loaded along look for their functions here, too.
  void PutExports() {
    std::vector<std::pair<std::string_view, uint64_t>> exports;
    for (const ElfSection& s : elf_.sections) {
      if (s.type != SHT_DYNSYM) continue;
      for (const ElfSymbol& symbol : elf_.Symbols(s))
        if (symbol.section != SHN_UNDEF) exports.emplace_back(symbol.name, symbol.value);
    }
    std::sort(exports.begin(), exports.end());
    for (const auto& [name, value] : exports) {
      Put(name);
      PutPlace(value);
    }
  }

  void Relocations() {
    struct Entry {
      Elf64_Rela rela;
      ElfSymbol symbol;
    };
    std::vector<Entry> all;
    for (const ElfSection& s : elf_.sections) {
      if (s.type != SHT_RELA || (s.flags & SHF_ALLOC) == 0) continue;
      if (s.link >= elf_.sections.size()) continue;
      const std::vector<ElfSymbol> symbols = elf_.Symbols(elf_.sections[s.link]);
      for (size_t at = 0; at + sizeof(Elf64_Rela) <= s.bytes.size(); at += sizeof(Elf64_Rela)) {
        Entry entry{};
        std::memcpy(&entry.rela, s.bytes.data() + at, sizeof entry.rela);
        const uint64_t index = ELF64_R_SYM(entry.rela.r_info);
        if (index < symbols.size()) entry.symbol = symbols[index];
        all.push_back(entry);
      }
    }
    // The linker sorts them by the symbol table, whose order follows from names.
    std::sort(all.begin(), all.end(), [](const Entry& a, const Entry& b) {
      return std::pair(a.rela.r_offset, a.rela.r_info) < std::pair(b.rela.r_offset, b.rela.r_info);
    });
    for (const Entry& entry : all) PutRelocation(entry.rela, entry.symbol);
  }

  void PutRelocation(const Elf64_Rela& rela, const ElfSymbol& symbol) {
    const uint64_t type = ELF64_R_TYPE(rela.r_info);
    PutPlace(rela.r_offset);
    Put(type);
    // A name stays even where the symbol is defined here: the loader may bind it elsewhere.
    // So do how it is looked for and of whom: versions of one name are several functions.
    Put(symbol.name);
    Put(symbol.version);
    Put(symbol.library);
    for (const uint8_t kind : {symbol.type, symbol.bind, symbol.visibility}) Put(uint64_t{kind});
    if (symbol.section != SHN_UNDEF) PutPlace(symbol.value);
    const bool address =
        elf_.machine == EM_X86_64 && (type == R_X86_64_RELATIVE || type == R_X86_64_IRELATIVE);
    if (address)
      PutPlace(static_cast<uint64_t>(rela.r_addend));
    else
      Put(static_cast<uint64_t>(rela.r_addend));
    if (elf_.machine == EM_X86_64 && FillsEightBytes(type))
      filled_by_loader_.push_back(rela.r_offset);
  }

  void PutSection(const ElfSection& section) {
    Put(section.name);
    for (const uint64_t number :
         {uint64_t{section.type}, section.flags, section.alignment, section.size})
      Put(number);
    std::string bytes(section.bytes);
    for (const uint64_t address : filled_by_loader_) Clear(section, address, &bytes);
    if (HoldsDynamic(section)) Clear(section, got_, &bytes);
    const bool code = (section.flags & SHF_EXECINSTR) != 0 && elf_.machine == EM_X86_64;
    if (code && !NormaliseCode(section, &bytes)) {
      layout_counts_ = true;
      bytes = section.bytes;
    }
    Put(bytes);
  }

  // The first entry of the offset table is the address of the dynamic section.
  bool HoldsDynamic(const ElfSection& section) const {
    const ElfSection* dynamic = elf_.FindType(SHT_DYNAMIC);
    uint64_t entry = 0;
    if (dynamic == nullptr || !section.Holds(got_) ||
        got_ - section.address + sizeof entry > section.bytes.size())
      return false;
    std::memcpy(&entry, section.bytes.data() + (got_ - section.address), sizeof entry);
    return entry == dynamic->address;
  }

  static void Clear(const ElfSection& section, uint64_t address, std::string* bytes) {
    if (!section.Holds(address) || address - section.address + 8 > bytes->size()) return;
    std::memset(bytes->data() + (address - section.address), 0, 8);
  }

  // Replaces references to other sections by what they refer to. False when the bytes do not
  // decode as code all through; then nothing may be replaced.
  bool NormaliseCode(const ElfSection& section, std::string* bytes) {
    std::vector<bool> starts(bytes->size() + 1, false);
    std::vector<uint64_t> targets;  // of branches inside
    struct Reference {
      size_t at;
      uint64_t target;
    };
    std::vector<Reference> references;
    const std::string_view code = section.bytes;
    size_t at = 0;
    while (at < code.size()) {
      const std::optional<X86Instruction> instruction = DecodeX86(code.substr(at));
      if (!instruction) return false;
      starts[at] = true;
      const uint64_t target = section.address + at + static_cast<uint64_t>(instruction->target);
      const bool inside = section.Holds(target);
      if (instruction->branch && inside) targets.push_back(target - section.address);
      if (instruction->relative_at != 0 && !inside)
        references.push_back({at + instruction->relative_at, target});
      at += instruction->length;
    }
    const auto is_start = [&](uint64_t offset) { return offset < starts.size() && starts[offset]; };
    if (!std::all_of(targets.begin(), targets.end(), is_start)) return false;
    for (const ElfSymbol& function : functions_) {
      if (section.Holds(function.value) && !is_start(function.value - section.address))
        return false;
    }
    for (const Reference& reference : references) {
      std::memset(bytes->data() + reference.at, 0, 4);
      PutPlace(reference.target);
    }
    return true;
  }

  const ElfFile& elf_;
  const std::vector<std::string>& entries_;
  std::vector<ElfSymbol> functions_;
  std::vector<uint64_t> filled_by_loader_;
  uint64_t got_ = 0;
  bool layout_counts_ = false;
  bool loads_others_ = false;
  std::string out_;
};

std::string Sha256(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr);
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex += kDigits[digest[i] >> 4];
    hex += kDigits[digest[i] & 15];
  }
  return hex;
}

}  // namespace

Result<std::string> NormalisedCode(std::string_view file, const std::vector<std::string>& entries) {
  const std::optional<ElfFile> elf = ParseElf(file);
  if (!elf) return Error{Code::kInvalid, "not a whole 64-bit little-endian ELF file"};
  return Normaliser(*elf, entries).Run();
}

Result<std::string> CodeDigest(std::string_view file, const std::vector<std::string>& entries) {
  Result<std::string> code = NormalisedCode(file, entries);
  if (!code) return code;
  return Sha256(*code);
}

}  // namespace kev
