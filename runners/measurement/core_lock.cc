#include "runners/measurement/core_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>

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

Result<CoreLock> CoreLock::Take(int core, const std::atomic<bool>& cancelled) {
  const std::string path = LockPath(core);
  const int fd = OpenLockFile(path);
  if (fd < 0) {
    const Code code = errno == EACCES || errno == ELOOP ? Code::kPermission : Code::kInternal;
    return Error{code,
                 "cannot open " + path +
                     ", with which timings keep out of each other's way: " + std::strerror(errno)};
  }
  CoreLock lock(fd);
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return Error{Code::kInternal, "cannot lock " + path + ": " + std::strerror(errno)};
    }
    if (cancelled.load())
      return Error{Code::kUnavailable, "cancelled while waiting for CPU " + std::to_string(core)};
    const timespec pause = {0, 1000000};
    nanosleep(&pause, nullptr);
  }
  return lock;
}

CoreLock::~CoreLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace kev
