#include "tools/live/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>

namespace kev {
namespace {

std::string Path(const std::string& folder) { return folder + "/lock"; }

std::string OwnWords() {
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char when[32];
  std::strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return "pid " + std::to_string(getpid()) + " on host " + host + ", since " + when + "\n";
}

}  // namespace

FolderLock::~FolderLock() { close(fd_); }

std::string FolderLock::Holder(const std::string& folder) {
  std::ifstream in(Path(folder));
  std::string line;
  std::getline(in, line);
  return line;
}

Result<std::unique_ptr<FolderLock>> FolderLock::Borrow(const std::string& folder,
                                                       const std::string& what) {
  const std::string path = Path(folder);
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    const int error = errno;
    return Error{error == ENOENT ? Code::kNotFound : Code::kPermission,
                 "cannot open " + path + ": " + std::strerror(error)};
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    close(fd);
    if (error != EWOULDBLOCK)
      return Error{Code::kInternal, "cannot lock " + path + ": " + std::strerror(error)};
    const std::string holder = Holder(folder);
    return Error{Code::kExists, what + " is being driven by another engine (" +
                                    (holder.empty() ? "it" : holder + ", which") + " holds " +
                                    path + ")"};
  }
  return std::unique_ptr<FolderLock>(new FolderLock(fd));
}

Result<std::unique_ptr<FolderLock>> FolderLock::Take(const std::string& folder,
                                                     const std::string& what) {
  auto lock = Borrow(folder, what);
  if (!lock) return lock;
  const std::string words = OwnWords();
  // A disk without room for a line keeps nobody from working: the lock itself is held.
  if (ftruncate((*lock)->fd_, 0) == 0) [[maybe_unused]]
    const ssize_t n = pwrite((*lock)->fd_, words.data(), words.size(), 0);
  return lock;
}

}  // namespace kev
