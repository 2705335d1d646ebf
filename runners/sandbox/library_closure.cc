#include "runners/sandbox/library_closure.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <set>

namespace kev {
namespace {

#if defined(__aarch64__)
constexpr int kMachine = EM_AARCH64;
constexpr char kMultiarch[] = "aarch64-linux-gnu";
#else
constexpr int kMachine = EM_X86_64;
constexpr char kMultiarch[] = "x86_64-linux-gnu";
#endif

// What compilers link in without being asked, or by one common flag.
constexpr const char* kRuntime[] = {"libc.so.6",       "libm.so.6",      "libdl.so.2",
                                    "libpthread.so.0", "librt.so.1",     "libgcc_s.so.1",
                                    "libstdc++.so.6",  "libatomic.so.1", "libgomp.so.1"};

class MappedFile {
 public:
  explicit MappedFile(const std::string& path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat info{};
    if (file >= 0 && fstat(file, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) {
      size_ = static_cast<size_t>(info.st_size);
      void* place = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
      if (place != MAP_FAILED) start_ = static_cast<const char*>(place);
    }
    if (file >= 0) close(file);
  }
  ~MappedFile() {
    if (start_ != nullptr) munmap(const_cast<char*>(start_), size_);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::string_view bytes() const {
    return start_ == nullptr ? std::string_view() : std::string_view(start_, size_);
  }

 private:
  const char* start_ = nullptr;
  size_t size_ = 0;
};

// Copies a T at `offset`; false when it is not all in the file.
template <typename T>
bool ReadAt(std::string_view file, uint64_t offset, T* out) {
  if (offset > file.size() || file.size() - offset < sizeof(T)) return false;
  std::memcpy(out, file.data() + offset, sizeof(T));
  return true;
}

// The text at `offset`, up to its zero; "" when there is none.
std::string TextAt(std::string_view file, uint64_t offset) {
  if (offset >= file.size()) return "";
  const std::string_view rest = file.substr(offset);
  const size_t end = rest.find('\0');
  return end == std::string_view::npos ? "" : std::string(rest.substr(0, end));
}

bool IsForThisMachine(std::string_view file, Elf64_Ehdr* header) {
  return ReadAt(file, 0, header) && std::memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
         header->e_ident[EI_CLASS] == ELFCLASS64 && header->e_ident[EI_DATA] == ELFDATA2LSB &&
         header->e_machine == kMachine && header->e_phentsize == sizeof(Elf64_Phdr);
}

// Where in the file lies what is loaded at `address`.
std::optional<uint64_t> OffsetOf(const std::vector<Elf64_Phdr>& segments, uint64_t address) {
  for (const Elf64_Phdr& segment : segments)
    if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
        address - segment.p_vaddr < segment.p_filesz)
      return segment.p_offset + (address - segment.p_vaddr);
  return std::nullopt;
}

void ReadDynamic(std::string_view file, const std::vector<Elf64_Phdr>& segments,
                 const Elf64_Phdr& dynamic, ElfNeeds* needs) {
  std::vector<uint64_t> names;
  std::optional<uint64_t> strings, own;
  Elf64_Dyn entry;
  for (uint64_t at = 0; at + sizeof entry <= dynamic.p_filesz; at += sizeof entry) {
    if (!ReadAt(file, dynamic.p_offset + at, &entry) || entry.d_tag == DT_NULL) break;
    if (entry.d_tag == DT_NEEDED) names.push_back(entry.d_un.d_val);
    if (entry.d_tag == DT_SONAME) own = entry.d_un.d_val;
    if (entry.d_tag == DT_STRTAB) strings = OffsetOf(segments, entry.d_un.d_ptr);
  }
  if (!strings) return;
  if (own && *own < file.size()) needs->name = TextAt(file, *strings + *own);
  for (const uint64_t name : names)
    if (name < file.size()) needs->libraries.push_back(TextAt(file, *strings + name));
}

// The loader's cache: from names to paths. Layout: glibc's dl-cache.h, "new" format.
class LoaderCache {
 public:
  explicit LoaderCache(const std::string& path) {
    constexpr std::string_view kMagic = "glibc-ld.so.cache1.1";
    const MappedFile mapped(path);
    std::string_view file = mapped.bytes();
    // Older caches have a part in an older format before it.
    const size_t start = file.find(kMagic);
    if (start == std::string_view::npos) return;
    file.remove_prefix(start);
    uint32_t count = 0;
    if (!ReadAt(file, kMagic.size(), &count)) return;
    struct Entry {
      int32_t flags;
      uint32_t name, path, version;
      uint64_t capabilities;
    } entry;
    for (uint32_t i = 0; i < count; ++i) {
      if (!ReadAt(file, kHeaderBytes + uint64_t{i} * sizeof entry, &entry)) return;
      // Copies for newer CPUs are left out: what is taken must run as it does everywhere.
      if (entry.capabilities == 0)
        paths_[TextAt(file, entry.name)].push_back(TextAt(file, entry.path));
    }
  }
  const std::vector<std::string>* Find(const std::string& name) const {
    const auto found = paths_.find(name);
    return found == paths_.end() ? nullptr : &found->second;
  }

 private:
  static constexpr uint64_t kHeaderBytes = 48;
  std::map<std::string, std::vector<std::string>> paths_;
};

bool IsLibrary(const std::string& path) {
  const MappedFile file(path);
  Elf64_Ehdr header;
  return IsForThisMachine(file.bytes(), &header);
}

// As the loader would name it, symbolic links not followed.
Result<std::string> Locate(const std::string& name) {
  static const LoaderCache cache("/etc/ld.so.cache");
  if (name.find('/') != std::string::npos) {
    if (IsLibrary(name)) return name;
    return Error{Code::kNotFound, name + " is no library for this machine"};
  }
  if (const auto* paths = cache.Find(name))
    for (const std::string& path : *paths)
      if (IsLibrary(path)) return path;
  for (const std::string& folder :
       {std::string("/lib/") + kMultiarch, std::string("/usr/lib/") + kMultiarch,
        std::string("/lib64"), std::string("/usr/lib64"), std::string("/lib"),
        std::string("/usr/lib"), std::string("/usr/local/lib")})
    if (IsLibrary(folder + "/" + name)) return folder + "/" + name;
  return Error{Code::kNotFound, "there is no library " + name +
                                    " on this machine; install the package that brings it"};
}

std::string Resolved(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  std::string text = resolved != nullptr ? resolved : path;
  std::free(resolved);
  return text;
}

std::string FolderOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

// Where the loader looks without a cache: libc itself is always in one of those folders.
std::string LoaderFolder() {
  static const std::string folder = [] {
    Result<std::string> libc = Locate("libc.so.6");
    return libc ? FolderOf(*libc) : std::string("/lib64");
  }();
  return folder;
}

Status AddClosure(std::vector<std::string> todo, std::set<std::string>* names, PathPairs* files) {
  while (!todo.empty()) {
    const std::string wanted = todo.back();
    todo.pop_back();
    const std::string name = wanted.substr(wanted.rfind('/') + 1);
    if (!names->insert(name).second) continue;
    Result<std::string> found = Locate(wanted);
    if (!found) return found.error();
    files->emplace_back(Resolved(*found), LoaderFolder() + "/" + name);
    const MappedFile file(files->back().first);
    Result<ElfNeeds> needs = ReadElfNeeds(file.bytes());
    if (!needs) return Error{needs.error().code, wanted + ": " + needs.error().message};
    // What is linked with libx.so asks for it by its own name, libx.so.0.
    const std::string own = needs->name.substr(needs->name.rfind('/') + 1);
    if (!own.empty() && names->insert(own).second)
      files->emplace_back(files->back().first, LoaderFolder() + "/" + own);
    for (const std::string& library : needs->libraries)
      todo.push_back(library.substr(library.rfind('/') + 1));
  }
  return {};
}

}  // namespace

Result<ElfNeeds> ReadElfNeeds(std::string_view file) {
  Elf64_Ehdr header;
  if (!IsForThisMachine(file, &header))
    return Error{Code::kCorrupt, "no 64-bit ELF file for this machine"};
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  for (size_t i = 0; i < segments.size(); ++i)
    if (!ReadAt(file, header.e_phoff + i * sizeof(Elf64_Phdr), &segments[i]))
      return Error{Code::kCorrupt, "an ELF file that is cut off"};
  ElfNeeds needs;
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type == PT_INTERP) needs.interpreter = TextAt(file, segment.p_offset);
    if (segment.p_type == PT_DYNAMIC) ReadDynamic(file, segments, segment, &needs);
  }
  return needs;
}

Result<std::string> FindLibrary(const std::string& name) {
  Result<std::string> found = Locate(name);
  return found ? Result<std::string>(Resolved(*found)) : found;
}

Result<PathPairs> LibraryClosure(const std::vector<std::string>& libraries) {
  PathPairs files;
  std::set<std::string> names;
  if (Status added = AddClosure(libraries, &names, &files); !added) return added.error();
  return files;
}

Result<PathPairs> RuntimeFiles(const std::string& program,
                               const std::vector<std::string>& libraries) {
  const MappedFile file(program);
  if (file.bytes().empty())
    return Error{Code::kNotFound,
                 "cannot read the program " + program + ": " + std::strerror(errno)};
  Result<ElfNeeds> needs = ReadElfNeeds(file.bytes());
  if (!needs) return Error{needs.error().code, program + ": " + needs.error().message};
  PathPairs files = {{Resolved(program), program}};
  std::set<std::string> names;
  // A program without a loader runs nothing that is loaded.
  if (needs->interpreter.empty()) return files;
  files.emplace_back(Resolved(needs->interpreter), needs->interpreter);
  names.insert(needs->interpreter.substr(needs->interpreter.rfind('/') + 1));
  std::vector<std::string> wanted = needs->libraries;
  wanted.insert(wanted.end(), libraries.begin(), libraries.end());
  for (const char* name : kRuntime)
    if (Locate(name)) wanted.emplace_back(name);
  if (Status added = AddClosure(wanted, &names, &files); !added) return added.error();
  return files;
}

}  // namespace kev
