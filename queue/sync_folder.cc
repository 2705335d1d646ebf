#include "queue/sync_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace kev {

Status SyncFolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path();
  const int fd = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  // Some file systems do not sync folders.
  const bool synced = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);
  const int why = errno;
  if (fd >= 0) close(fd);
  if (synced) return {};
  return Error{Code::kInternal, "cannot sync the folder " + folder + ": " + std::strerror(why)};
}

}  // namespace kev
