#include "tests/chaos/small_disk.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace kev::chaos {

Result<std::unique_ptr<SmallDisk>> SmallDisk::Mount(const std::string& folder, uint64_t bytes) {
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  const std::string data = "mode=0700,size=" + std::to_string(bytes);
  if (mount("kevolve-chaos", folder.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, data.c_str()) != 0) {
    return Error{Code::kPermission, "a small disk cannot be mounted on " + folder + ": " +
                                        std::strerror(errno) + " (run as root for full disks)"};
  }
  return std::unique_ptr<SmallDisk>(new SmallDisk(folder));
}

SmallDisk::~SmallDisk() { umount2(folder_.c_str(), MNT_DETACH); }

uint64_t SmallDisk::FreeBytes() const {
  struct statvfs disk = {};
  return statvfs(folder_.c_str(), &disk) == 0 ? disk.f_bavail * disk.f_frsize : 0;
}

Status SmallDisk::Fill(uint64_t leave_bytes) {
  const int file = open(Filler().c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) return Error{Code::kInternal, Filler() + ": " + std::strerror(errno)};
  filled_ = true;
  // Others write meanwhile; what is asked for shrinks until it fits.
  off_t size = lseek(file, 0, SEEK_END);
  for (int tries = 0; tries < 50; ++tries) {
    const uint64_t free = FreeBytes();
    if (free <= leave_bytes) break;
    const off_t more = static_cast<off_t>(free - leave_bytes);
    if (posix_fallocate(file, size, more) == 0) size += more;
  }
  close(file);
  return {};
}

void SmallDisk::Empty() {
  unlink(Filler().c_str());
  filled_ = false;
}

}  // namespace kev::chaos
