#include "runners/measurement/core_lock.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <set>

namespace kev {
namespace {

// A folder that all users and runs of the machine share; the file holds nothing, the lock dies with
// its holder.
std::string LockPath(int core) { return "/tmp/kevolve-core-" + std::to_string(core) + ".lock"; }

int OpenLockFile(const std::string& path) {
  // Without O_CREAT first: in a sticky folder the kernel refuses O_CREAT on another user's file.
  const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW;
  int fd = open(path.c_str(), flags);
  if (fd < 0 && errno == ENOENT) fd = open(path.c_str(), flags | O_CREAT, 0644);
  return fd;
}

std::string QueuePath(int core) { return "/tmp/kevolve-core-" + std::to_string(core) + ".queue"; }

constexpr std::chrono::seconds kFirstNotice{1};
constexpr std::chrono::seconds kNextNotice{30};

// A place in the line: a file that is named after the time at which it was made, and locked by its
// process for as long as it waits.
class Ticket {
 public:
  explicit Ticket(const std::string& folder) {
    if (mkdir(folder.c_str(), 0777) == 0) chmod(folder.c_str(), 01777);  // whatever the umask is
    folder_ = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (folder_ < 0) return;
    timespec now = {};
    clock_gettime(CLOCK_MONOTONIC, &now);
    static std::atomic<uint32_t> tickets{0};
    char name[64];
    std::snprintf(name, sizeof(name), "%012lld.%09ld-%d-%u", static_cast<long long>(now.tv_sec),
                  now.tv_nsec, static_cast<int>(getpid()), tickets++);
    // Locked before it has a name that is read: an unlocked ticket is nobody's.
    const std::string hidden = std::string(".") + name;
    file_ = openat(folder_, hidden.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file_ < 0) return;
    if (flock(file_, LOCK_EX | LOCK_NB) == 0 &&
        renameat(folder_, hidden.c_str(), folder_, name) == 0) {
      name_ = name;
    } else {
      unlinkat(folder_, hidden.c_str(), 0);
    }
  }
  ~Ticket() {
    if (ahead_ >= 0) close(ahead_);
    if (!name_.empty()) unlinkat(folder_, name_.c_str(), 0);
    if (file_ >= 0) close(file_);
    if (folder_ >= 0) close(folder_);
  }
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;

  // Whether nobody who still waits came before.
  bool IsFirst() {
    if (name_.empty()) return true;
    while (!StillAhead()) {
      const std::string before = Before();
      if (before.empty()) return true;
      ahead_ = openat(folder_, before.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
      // Whoever hides a ticket has none, and without descriptors nobody can be looked at.
      if (ahead_ < 0 && errno != ENOENT) return true;
      if (ahead_ >= 0 && flock(ahead_, LOCK_SH | LOCK_NB) == 0) {  // its process is gone
        close(std::exchange(ahead_, -1));
        if (unlinkat(folder_, before.c_str(), 0) != 0 && errno != ENOENT) ignored_.insert(before);
      }
    }
    return false;
  }

 private:
  // Whether the one that was waited for the last time still waits.
  bool StillAhead() {
    if (ahead_ < 0) return false;
    struct stat status = {};
    if (flock(ahead_, LOCK_SH | LOCK_NB) != 0 && fstat(ahead_, &status) == 0 && status.st_nlink > 0)
      return true;
    close(std::exchange(ahead_, -1));
    return false;
  }

  // The last ticket before this one, or "".
  std::string Before() const {
    std::string before;
    const int copy = openat(folder_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* listing = copy < 0 ? nullptr : fdopendir(copy);
    if (listing == nullptr) return before;
    while (const dirent* entry = readdir(listing)) {
      const std::string name = entry->d_name;
      if (name.front() != '.' && name < name_ && name > before && !ignored_.contains(name))
        before = name;
    }
    closedir(listing);
    return before;
  }

  int folder_ = -1;
  int file_ = -1;
  std::string name_;
  int ahead_ = -1;
  std::set<std::string> ignored_;  // dead ones of other users, who alone may take them away
};

// The process that holds the lock of an open file; 0: not known.
int HolderOf(int fd) {
  struct stat status = {};
  if (fstat(fd, &status) != 0) return 0;
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    // 1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF
    int pid = 0;
    unsigned long long inode = 0;
    if (std::sscanf(line.c_str(), "%*d: FLOCK %*s WRITE %d %*[^:]:%*[^:]:%llu", &pid, &inode) ==
            2 &&
        inode == status.st_ino)
      return pid;
  }
  return 0;
}

std::string WaitText(int core, int fd, std::chrono::steady_clock::duration so_far) {
  const int holder = HolderOf(fd);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(so_far).count();
  return "waiting for CPU " + std::to_string(core) + ", on which one measurement runs at a time" +
         (holder > 0 ? "; process " + std::to_string(holder) + " has it" : "") + " (" +
         std::to_string(seconds) + " s so far)";
}

}  // namespace

int LastCpu(std::string_view list) {
  const size_t end = list.find_last_of("0123456789");
  if (end == std::string_view::npos) return -1;
  size_t begin = end;
  while (begin > 0 && list[begin - 1] >= '0' && list[begin - 1] <= '9') --begin;
  int cpu = -1;
  std::from_chars(list.data() + begin, list.data() + end + 1, cpu);
  return cpu;
}

Result<int> TimingCore(std::string_view cores) {
  if (cores.empty() || cores == "last") {
    std::ifstream file("/sys/devices/system/cpu/online");
    std::string list;
    std::getline(file, list);
    const int cpu = LastCpu(list);
    return cpu >= 0 ? cpu : static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)) - 1;
  }
  int cpu = -1;
  const auto [end, error] = std::from_chars(cores.data(), cores.data() + cores.size(), cpu);
  const bool list =
      error == std::errc() && (end == cores.data() + cores.size() || *end == '-' || *end == ',');
  if (!list || cpu < 0) {
    return Error{Code::kInvalid, "the target's device.cores is \"" + std::string(cores) +
                                     "\"; write last, or CPU numbers such as 1 or 2-3"};
  }
  return cpu;
}

Result<CoreLock> CoreLock::Take(int core, const std::atomic<bool>& cancelled,
                                const std::function<void(const std::string&)>& waits) {
  const std::string path = LockPath(core);
  const int fd = OpenLockFile(path);
  if (fd < 0) {
    const Code code = errno == EACCES || errno == ELOOP ? Code::kPermission : Code::kInternal;
    return Error{code,
                 "cannot open " + path +
                     ", with which timings keep out of each other's way: " + std::strerror(errno)};
  }
  CoreLock lock(fd);
  Ticket ticket(QueuePath(core));
  const auto begin = std::chrono::steady_clock::now();
  auto tell_at = begin + kFirstNotice;
  for (;;) {
    if (ticket.IsFirst()) {
      if (flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
      if (errno != EWOULDBLOCK && errno != EINTR)
        return Error{Code::kInternal, "cannot lock " + path + ": " + std::strerror(errno)};
    }
    if (cancelled.load())
      return Error{Code::kUnavailable, "cancelled while waiting for CPU " + std::to_string(core)};
    const auto now = std::chrono::steady_clock::now();
    if (waits && now >= tell_at) {
      waits(WaitText(core, fd, now - begin));
      tell_at = now + kNextNotice;
    }
    const timespec pause = {0, 1000000};
    nanosleep(&pause, nullptr);
  }
}

CoreLock::~CoreLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace kev
