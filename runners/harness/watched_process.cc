#include "runners/harness/watched_process.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "runners/harness/lift_fd.h"

namespace kev {
namespace {

constexpr int kBusyLooks = 30;
constexpr timespec kLetIn = {0, 30'000};
constexpr int kStopAgain = 32;  // looks between two stops

std::string PathOf(pid_t pid, const char* name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

std::string ReadText(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  char text[4096];
  const ssize_t n = read(fd, text, sizeof(text));
  close(fd);
  return std::string(text, n > 0 ? static_cast<size_t>(n) : 0);
}

// The fields of a stat file behind the program's name, which may contain anything.
const char* AfterName(const char* text) {
  const char* end = std::strrchr(text, ')');
  return end == nullptr || end[1] == '\0' ? "X" : end + 2;
}

bool Halted(char state) { return state == 'T' || state == 't' || state == 'Z' || state == 'X'; }

}  // namespace

WatchedProcess::~WatchedProcess() {
  if (pidfd_ >= 0) close(pidfd_);
  if (stat_ >= 0) close(stat_);
  if (schedstat_ >= 0) close(schedstat_);
}

void WatchedProcess::Know(pid_t pid) {
  pid_ = pid;
  pidfd_ = LiftFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  stat_ = LiftFd(open(PathOf(pid, "stat").c_str(), O_RDONLY | O_CLOEXEC));
  schedstat_ = LiftFd(open(PathOf(pid, "schedstat").c_str(), O_RDONLY | O_CLOEXEC));
  clockid_t clock = 0;
  clock_getcpuclockid(pid, &clock);
  cpu_clock_ = clock;
}

bool WatchedProcess::Freeze() {
  if (pidfd_ < 0) return false;
  const auto stop = [&] { syscall(SYS_pidfd_send_signal, pidfd_, SIGSTOP, nullptr, 0); };
  stop();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  // It stops at once on a core of its own; on the caller's it needs to be let in. Whatever
  // continues it drops the stop that is pending: it is sent again.
  for (int looks = 0; !Stopped(); ++looks) {
    if (looks >= kBusyLooks) nanosleep(&kLetIn, nullptr);
    if (looks >= kBusyLooks && looks % kStopAgain == 0) stop();
    if (std::chrono::steady_clock::now() > end) return false;
  }
  return true;
}

void WatchedProcess::Thaw() {
  if (pidfd_ >= 0) syscall(SYS_pidfd_send_signal, pidfd_, SIGCONT, nullptr, 0);
}

void WatchedProcess::Kill() {
  if (pidfd_ >= 0) syscall(SYS_pidfd_send_signal, pidfd_, SIGKILL, nullptr, 0);
}

bool WatchedProcess::HasThreads() const {
  char text[1024];
  const ssize_t n = pread(stat_, text, sizeof(text) - 1, 0);
  if (n <= 0) return false;
  text[n] = '\0';
  const char* at = AfterName(text);
  for (int field = 3; field < 20 && at != nullptr; ++field) {  // num_threads is field 20
    at = std::strchr(at, ' ');
    if (at != nullptr) ++at;
  }
  return at != nullptr && std::atoi(at) > 1;
}

bool WatchedProcess::Stopped() const {
  char text[1024];
  const ssize_t n = pread(stat_, text, sizeof(text) - 1, 0);
  if (n <= 0) return true;
  text[n] = '\0';
  if (!Halted(*AfterName(text))) return false;
  if (!HasThreads()) return true;
  for (const pid_t thread : Threads()) {
    const std::string stat = ReadText(PathOf(pid_, "task/") + std::to_string(thread) + "/stat");
    if (!stat.empty() && !Halted(*AfterName(stat.c_str()))) return false;
  }
  return true;
}

double WatchedProcess::CpuNs() const {
  timespec now = {};
  if (pid_ <= 0 || clock_gettime(cpu_clock_, &now) != 0) return 0;
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

WatchedProcess::Times WatchedProcess::LeaderTimes() const {
  char text[96];
  const ssize_t n = pread(schedstat_, text, sizeof(text) - 1, 0);
  if (n <= 0) return {};
  text[n] = '\0';
  unsigned long long run = 0, delay = 0;
  std::sscanf(text, "%llu %llu", &run, &delay);
  return {static_cast<double>(run), static_cast<double>(delay)};
}

uint64_t WatchedProcess::InvoluntarySwitches() const {
  const std::string text = ReadText(PathOf(pid_, "status"));
  const char name[] = "nonvoluntary_ctxt_switches:";
  const size_t at = text.find(name);
  return at == std::string::npos ? 0
                                 : std::strtoull(text.c_str() + at + sizeof(name) - 1, nullptr, 10);
}

uint64_t WatchedProcess::ResidentBytes() const {
  unsigned long long size = 0, resident = 0;
  if (std::sscanf(ReadText(PathOf(pid_, "statm")).c_str(), "%llu %llu", &size, &resident) != 2)
    return 0;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

std::vector<pid_t> WatchedProcess::Threads() const {
  std::vector<pid_t> threads;
  DIR* folder = opendir(PathOf(pid_, "task").c_str());
  if (folder == nullptr) return threads;
  while (const dirent* entry = readdir(folder)) {
    if (entry->d_name[0] != '.') threads.push_back(static_cast<pid_t>(std::atoi(entry->d_name)));
  }
  closedir(folder);
  return threads;
}

}  // namespace kev
