#include "runners/sandbox/toolchain_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

namespace kev {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostFiles = 2'000;  // compilers leave a few
// Files in memory take whole pages, and the last few of a size are not always to be had.
constexpr uint64_t kMargin = 1 << 20;

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

// Names in the open folder, no more than kMostFiles.
std::vector<std::string> NamesIn(int folder) {
  std::vector<std::string> names;
  const int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(again < 0 ? nullptr : fdopendir(again),
                                                   closedir);
  while (stream && names.size() < kMostFiles) {
    const dirent* entry = readdir(stream.get());
    if (entry == nullptr) break;
    names.emplace_back(entry->d_name);
  }
  return names;
}

bool CopyBytes(int from, int to, uint64_t size) {
  std::string buffer(256 << 10, '\0');
  while (size > 0) {
    const ssize_t got = read(from, buffer.data(), std::min<uint64_t>(buffer.size(), size));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got == 0;
    for (ssize_t done = 0; done < got;) {
      const ssize_t put = write(to, buffer.data() + done, static_cast<size_t>(got - done));
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) return false;
      done += put;
    }
    size -= static_cast<uint64_t>(got);
  }
  return true;
}

// Copies the regular files at the top of one open folder to another, replacing what has their name
// there. Links are not followed. Stops at `most` bytes and says so; an error is an errno.
struct Copied {
  int error = 0;
  bool all = true;
};
Copied CopyFiles(int from, int to, uint64_t most) {
  for (const std::string& name : NamesIn(from)) {
    const File source(openat(from, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat info{};
    if (source.fd() < 0 || fstat(source.fd(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    const auto size = static_cast<uint64_t>(info.st_size);
    if (size > most) return {0, false};
    most -= size;
    if (unlinkat(to, name.c_str(), 0) != 0 && errno != ENOENT) continue;  // a folder of that name
    const File copy(openat(to, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                           0600 | (info.st_mode & 0111)));
    if (copy.fd() < 0 || !CopyBytes(source.fd(), copy.fd(), size)) return {errno, true};
  }
  return {};
}

uint64_t BytesOfFiles(int folder) {
  uint64_t bytes = 0;
  for (const std::string& name : NamesIn(folder)) {
    struct stat info{};
    if (fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode))
      bytes += static_cast<uint64_t>(info.st_size);
  }
  return bytes;
}

Error CannotCopy(const std::string& path, int error) {
  return Error{error == ENOSPC || error == EDQUOT ? Code::kDiskFull : Code::kUnavailable,
               "cannot copy the files of " + path + ": " + std::strerror(error)};
}

int OpenFolder(const std::string& path) {
  return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

}  // namespace

Status ToolchainFolder::AddTo(SandboxPlan* plan, Isolation isolation) {
  plan->folder = path_;
  const File here(OpenFolder(path_));
  if (here.fd() < 0) return CannotCopy(path_, errno);
  given_ = BytesOfFiles(here.fd());
  if (!HasNamespaces(isolation)) {
    plan->writable.emplace_back(path_, path_);
    return {};
  }
  given_ += kMargin;
  const auto fill = [path = path_, given = given_](int folder) -> Status {
    const File from(OpenFolder(path));
    const Copied copied = from.fd() < 0 ? Copied{errno} : CopyFiles(from.fd(), folder, given);
    if (copied.error != 0) return CannotCopy(path, copied.error);
    return {};
  };
  plan->in_memory = {path_, given_ + most_, fill};
  return {};
}

bool ToolchainFolder::Overfull(const Launched& launched) {
  // There the program cannot write on; only of files without bytes it could make too many.
  if (launched.in_memory >= 0) return TooManyInMemory(launched.in_memory);
  was_full_ = was_full_ || FullOnDisk();
  return was_full_;
}

bool ToolchainFolder::TooManyInMemory(int folder) {
  struct statfs info{};
  if (fstatfs(folder, &info) != 0) return false;
  const bool too_many = info.f_files - info.f_ffree > kMostFiles;
  was_full_ =
      was_full_ || too_many || info.f_bavail * static_cast<uint64_t>(info.f_bsize) < kMargin;
  return too_many;
}

bool ToolchainFolder::FullOnDisk() const {
  uint64_t bytes = 0, files = 0;
  std::error_code error;
  fs::recursive_directory_iterator at(path_, fs::directory_options::skip_permission_denied, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    struct stat info{};
    if (lstat(at->path().c_str(), &info) == 0) bytes += static_cast<uint64_t>(info.st_blocks) * 512;
    if (++files > kMostFiles || bytes > given_ + most_) return true;
  }
  return false;
}

Status ToolchainFolder::TakeBack(const Launched& launched) {
  if (Overfull(launched) || launched.in_memory < 0) return {};
  const File here(OpenFolder(path_));
  const Copied copied =
      here.fd() < 0 ? Copied{errno} : CopyFiles(launched.in_memory, here.fd(), given_ + most_);
  if (copied.error != 0) return CannotCopy(path_, copied.error);
  was_full_ = was_full_ || !copied.all;
  return {};
}

}  // namespace kev
