#include "tools/live/folder_lock.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <utility>

namespace kev {
namespace {

constexpr int kLookAgainMs = 20;
constexpr int kNoticeMs = 1000;
constexpr int kReadersLimitMs = 120'000;

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

Result<std::unique_ptr<FolderLock>> FolderLock::Read(const std::string& folder,
                                                     const std::string& what) {
  auto lock = Open(Path(folder));
  if (!lock) return lock;
  const auto got = (*lock)->Try(LOCK_SH);
  if (!got) return got.error();
  if (*got) return lock;
  const std::string holder = Holder(folder);
  return Error{Code::kExists, what + " is being driven by another engine (" +
                                  (holder.empty() ? "it" : holder + ", which") + " holds " +
                                  Path(folder) + ")"};
}

Result<std::unique_ptr<FolderLock>> FolderLock::Take(const std::string& folder,
                                                     const std::string& what,
                                                     const Notice& notice) {
  auto lock = Open(Path(folder));
  if (!lock) return lock;
  const auto no_engine = [&]() -> Status {
    auto read = Read(folder, what);
    return read ? Status() : Status(read.error());
  };
  if (Status s = (*lock)->Wait(what, no_engine, notice); !s.ok()) return s.error();
  const std::string words = OwnWords();
  // A disk without room for a line keeps nobody from working: the lock itself is held.
  if (ftruncate((*lock)->fd_, 0) == 0) [[maybe_unused]]
    const ssize_t n = pwrite((*lock)->fd_, words.data(), words.size(), 0);
  return lock;
}

Result<std::unique_ptr<FolderLock>> FolderLock::TakeTurn(const std::string& folder,
                                                         const std::string& what,
                                                         const Notice& notice) {
  auto lock = Open(folder + "/reading");
  if (!lock) return lock;
  if (Status s = (*lock)->Wait(what, [] { return Status(); }, notice); !s.ok()) return s.error();
  return lock;
}

Result<std::unique_ptr<FolderLock>> FolderLock::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    const int error = errno;
    return Error{error == ENOENT ? Code::kNotFound : Code::kPermission,
                 "cannot open " + path + ": " + std::strerror(error)};
  }
  return std::unique_ptr<FolderLock>(new FolderLock(fd));
}

Result<bool> FolderLock::Try(int kind) {
  if (flock(fd_, kind | LOCK_NB) == 0) return true;
  if (errno == EWOULDBLOCK) return false;
  return Error{Code::kInternal, std::string("cannot lock a run's folder: ") + std::strerror(errno)};
}

// Until it has the lock alone; `may_wait` says, each time that somebody has it, whether that is one
// to wait for.
Status FolderLock::Wait(const std::string& what, const std::function<Status()>& may_wait,
                        const Notice& notice) {
  bool told = false;
  for (int waited_ms = 0;; waited_ms += kLookAgainMs) {
    const auto got = Try(LOCK_EX);
    if (!got) return got.error();
    if (*got) return {};
    if (Status s = may_wait(); !s.ok()) return s;
    if (waited_ms >= kReadersLimitMs) {
      return Error{Code::kExists, what + " has been read by another command for " +
                                      std::to_string(kReadersLimitMs / 1000) +
                                      " s; end that, or wait for it, and try again"};
    }
    if (waited_ms >= kNoticeMs && !std::exchange(told, true) && notice)
      notice("waiting for another command that reads " + what);
    poll(nullptr, 0, kLookAgainMs);
  }
}

}  // namespace kev
