#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runners/analysis/call_counts.h"

namespace kev {
namespace {

constexpr uint64_t kEvents[] = {PERF_COUNT_HW_INSTRUCTIONS, PERF_COUNT_HW_CPU_CYCLES,
                                PERF_COUNT_HW_CACHE_MISSES, PERF_COUNT_HW_BRANCH_MISSES};
constexpr size_t kEventCount = std::size(kEvents);

int OpenEvent(uint64_t event, pid_t pid, int leader) {
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_HARDWARE;
  attributes.config = event;
  attributes.exclude_kernel = 1;
  attributes.exclude_hv = 1;
  attributes.read_format =
      PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
  return static_cast<int>(
      syscall(SYS_perf_event_open, &attributes, pid, -1, leader, PERF_FLAG_FD_CLOEXEC));
}

std::string Reason(int error) {
  switch (error) {
    case ENOENT:
    case EOPNOTSUPP:
    case ENODEV:
      return "this machine shows no hardware counters (a virtual machine without a PMU)";
    case EACCES:
    case EPERM:
      return "hardware counters are not allowed: set kernel.perf_event_paranoid to 2 or less, or "
             "give CAP_PERFMON";
    case ENOSYS:
      return "this kernel has no perf_event_open";
    case ESRCH:
      return "there is no such process";
    default:
      return std::string("perf_event_open: ") + std::strerror(error);
  }
}

}  // namespace

PerfCounters::PerfCounters(PerfCounters&& other) noexcept : fds_(std::move(other.fds_)) {
  other.fds_.clear();
}

PerfCounters::~PerfCounters() {
  for (const int fd : fds_) close(fd);
}

Result<PerfCounters> PerfCounters::Open(pid_t pid) {
  PerfCounters counters;
  for (const uint64_t event : kEvents) {
    const int fd = OpenEvent(event, pid, counters.fds_.empty() ? -1 : counters.fds_.front());
    if (fd < 0) return Error{Code::kUnavailable, Reason(errno)};
    counters.fds_.push_back(fd);
  }
  return counters;
}

Result<CounterValues> PerfCounters::Read() const {
  struct {
    uint64_t count, enabled, running, values[kEventCount];
  } group{};
  if (read(fds_.front(), &group, sizeof group) != static_cast<ssize_t>(sizeof group))
    return Error{Code::kUnavailable,
                 std::string("cannot read the hardware counters: ") + std::strerror(errno)};
  CounterValues values;
  if (group.enabled == 0 || group.running == 0) return values;
  values.coverage = static_cast<double>(group.running) / static_cast<double>(group.enabled);
  uint64_t* const out[] = {&values.instructions, &values.cycles, &values.cache_misses,
                           &values.branch_misses};
  for (size_t i = 0; i < kEventCount; ++i)
    *out[i] = static_cast<uint64_t>(static_cast<double>(group.values[i]) / values.coverage);
  return values;
}

std::string NoCountersBecause() {
  const auto counters = PerfCounters::Open(0);
  return counters ? "" : counters.error().message;
}

}  // namespace kev
