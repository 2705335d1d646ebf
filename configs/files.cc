#include <cerrno>
#include <cstdio>
#include <cstring>

#include "configs/load.h"

namespace kev {
namespace {

constexpr size_t kMostBytes = 64u << 20;

Error CannotRead(const std::string& path, int number) {
  const Code code = number == ENOENT || number == ENOTDIR ? Code::kNotFound
                    : number == EACCES                    ? Code::kPermission
                                                          : Code::kInvalid;
  return Error{code, "cannot read " + path + ": " + std::strerror(number)};
}

}  // namespace

Result<std::string> DiskFiles::Read(const std::string& path) const {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return CannotRead(path, errno);
  std::string out;
  char buffer[65536];
  size_t got = 0;
  while ((got = std::fread(buffer, 1, sizeof buffer, file)) > 0 && out.size() <= kMostBytes)
    out.append(buffer, got);
  const int number = std::ferror(file) ? errno : 0;
  std::fclose(file);
  if (number != 0) return CannotRead(path, number);
  if (out.size() > kMostBytes)
    return Error{Code::kInvalid, "cannot read " + path + ": larger than 64 MiB"};
  return out;
}

Result<std::string> MemoryFiles::Read(const std::string& path) const {
  const auto file = files_.find(path);
  if (file == files_.end())
    return Error{Code::kNotFound, "cannot read " + path + ": not in the bundle"};
  return file->second;
}

}  // namespace kev
