#include "tools/live/file_system.h"

#include <fcntl.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "queue/sync_folder.h"

namespace kev {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSocketPathMost = 107;  // sockaddr_un::sun_path with its final zero

// statfs(2), and the headers of the file systems that are not in it.
constexpr std::array<std::pair<uint64_t, const char*>, 12> kNetwork{{
    {0x6969, "NFS"},
    {0x0BD00BD0, "Lustre"},
    {0xFF534D42, "CIFS"},
    {0xFE534D42, "SMB"},
    {0x517B, "SMB"},
    {0x65735546, "FUSE (sshfs and the like)"},
    {0x01021997, "9p"},
    {0x47504653, "GPFS"},
    {0x00C36400, "Ceph"},
    {0x19830326, "BeeGFS"},
    {0x5346414F, "AFS"},
    {0xAAD7AAEA, "PanFS"},
}};

Error FromErrno(int error, const std::string& what) {
  const Code code = error == ENOSPC || error == EDQUOT                    ? Code::kDiskFull
                    : error == EACCES || error == EPERM || error == EROFS ? Code::kPermission
                    : error == ENOENT                                     ? Code::kNotFound
                                                                          : Code::kUnavailable;
  return {code, what + ": " + std::strerror(error)};
}

}  // namespace

Result<uint64_t> FreeBytes(const std::string& path) {
  struct statvfs info{};
  if (statvfs(path.c_str(), &info) != 0)
    return FromErrno(errno, "cannot read the free space of " + path);
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

uint64_t FolderBytes(const std::string& path) {
  uint64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code ignored;
    if (it->is_symlink(ignored) || !it->is_regular_file(ignored)) continue;
    const uint64_t size = it->file_size(ignored);
    if (!ignored) bytes += size;
  }
  return bytes;
}

std::optional<std::string> NetworkFileSystemOf(uint64_t magic) {
  for (const auto& [number, name] : kNetwork) {
    if (number == (magic & 0xFFFFFFFF)) return name;
  }
  return std::nullopt;
}

std::optional<std::string> NetworkFileSystem(const std::string& path) {
  struct statfs info{};
  if (statfs(path.c_str(), &info) != 0) return std::nullopt;
  return NetworkFileSystemOf(static_cast<uint64_t>(info.f_type));
}

std::optional<uint64_t> BytesFrom(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (end == text.c_str() || !(number >= 0) || number > 1e18) return std::nullopt;
  std::string unit = end;
  if (unit.ends_with("iB")) unit.resize(unit.size() - 2);
  if (unit == "B") unit.clear();
  const size_t power = unit.empty() ? 0 : std::string("KMGT").find(unit) + 1;
  if (unit.size() > 1 || power > 4 || (!unit.empty() && power == 0)) return std::nullopt;
  return static_cast<uint64_t>(number * std::pow(1024.0, static_cast<double>(power)));
}

std::string BytesText(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit < 4; ++unit) value /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text;
}

Status WriteDurably(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".new";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return FromErrno(errno, "cannot write " + path);
  const bool written =
      write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  int error = errno;
  close(fd);
  if (!written || std::rename(temporary.c_str(), path.c_str()) != 0) {
    if (written) error = errno;
    unlink(temporary.c_str());
    return FromErrno(error, "cannot write " + path);
  }
  return SyncFolderOf(path);
}

std::string FirstWordOf(const std::string& path) {
  std::ifstream in(path);
  std::string word;
  in >> word;
  return word;
}

Status CheckSocketPath(const std::string& path) {
  if (path.size() <= kSocketPathMost) return {};
  return Error{Code::kUnavailable,
               "the socket path " + path + " has " + std::to_string(path.size()) +
                   " characters, and the system allows " + std::to_string(kSocketPathMost) +
                   ": set KEVOLVE_HOME to a shorter path"};
}

}  // namespace kev
