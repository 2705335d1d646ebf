#include "runners/sandbox/syscall_filter.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <utility>

#include "runners/sandbox/own_process_mark.h"

namespace kev {
namespace {

using Names = std::initializer_list<const char*>;
constexpr scmp_datum_t kOpenForWriting[] = {O_WRONLY, O_RDWR,   O_CREAT,
                                            O_TRUNC,  O_APPEND, O_TMPFILE & ~O_DIRECTORY};
constexpr scmp_datum_t kNamespaceFlags[] = {CLONE_NEWNS,    CLONE_NEWUTS, CLONE_NEWIPC,
                                            CLONE_NEWUSER,  CLONE_NEWPID, CLONE_NEWNET,
                                            CLONE_NEWCGROUP};
constexpr scmp_datum_t kThreadFlags = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
// libseccomp takes no notification as the default, so another action stands for it until export.
constexpr uint32_t kPlaceholder = SCMP_ACT_TRACE(0x6b65);

scmp_arg_cmp Equals(unsigned argument, scmp_datum_t value) {
  return {argument, SCMP_CMP_EQ, value, 0};
}
scmp_arg_cmp Masked(unsigned argument, scmp_datum_t mask, scmp_datum_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

// Collects rules; the first that cannot be added makes the whole filter an error.
class FilterBuilder {
 public:
  explicit FilterBuilder(uint32_t others) : filter_(seccomp_init(others), seccomp_release) {
    if (!filter_) error_ = ENOMEM;
    if (filter_) seccomp_attr_set(filter_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  }
  void Add(uint32_t action, Names names) {
    for (const char* name : names) Add(action, name, {});
  }
  // All of `conditions` must hold. Names that this architecture does not have are passed over.
  void Add(uint32_t action, const char* name, std::initializer_list<scmp_arg_cmp> conditions) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number < 0 || error_ != 0) return;
    const int failed =
        seccomp_rule_add_array(filter_.get(), action, number,
                               static_cast<unsigned>(conditions.size()), conditions.begin());
    if (failed != 0) {
      error_ = -failed;
      at_ = name;
    }
  }
  Result<std::string> Export() const {
    if (error_ != 0)
      return Error{Code::kUnavailable, "cannot build a system call filter" +
                                           (at_.empty() ? "" : " for " + at_) + ": " +
                                           std::strerror(error_)};
    const int file = memfd_create("filter", MFD_CLOEXEC);
    const int failed = file < 0 ? -errno : seccomp_export_bpf(filter_.get(), file);
    std::string program;
    if (failed == 0) {
      program.resize(static_cast<size_t>(lseek(file, 0, SEEK_END)));
      if (pread(file, program.data(), program.size(), 0) != static_cast<ssize_t>(program.size()))
        program.clear();
    }
    if (file >= 0) close(file);
    if (program.empty())
      return Error{Code::kUnavailable,
                   std::string("cannot export a system call filter: ") + std::strerror(-failed)};
    return program;
  }

 private:
  std::unique_ptr<void, void (*)(void*)> filter_;
  int error_ = 0;
  std::string at_;
};

Result<std::string> BuildCompilerFilter(bool forks) {
  const uint32_t refused = SCMP_ACT_ERRNO(EPERM);
  FilterBuilder filter(SCMP_ACT_ALLOW);
  filter.Add(refused, {"socket", "socketpair", "connect", "bind", "listen", "accept", "accept4"});
  filter.Add(refused, {"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise",
                       "pidfd_getfd", "kcmp", "perf_event_open", "bpf", "userfaultfd"});
  filter.Add(refused, {"io_uring_setup", "io_uring_enter", "io_uring_register"});
  filter.Add(refused, {"keyctl", "add_key", "request_key"});
  filter.Add(refused, {"mount", "umount", "umount2", "pivot_root", "chroot", "unshare", "setns",
                       "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick",
                       "mount_setattr", "open_by_handle_at", "name_to_handle_at", "quotactl"});
  filter.Add(refused, {"kexec_load", "kexec_file_load", "init_module", "finit_module",
                       "delete_module", "reboot", "swapon", "swapoff", "syslog", "acct"});
  // Who cannot leave the group cannot outlive its kill.
  filter.Add(refused, {"setsid", "setpgid"});
  // Its flags lie in memory, where a filter cannot look; libraries then use clone.
  filter.Add(SCMP_ACT_ERRNO(ENOSYS), {"clone3"});
  for (const scmp_datum_t flag : kNamespaceFlags)
    filter.Add(refused, "clone", {Masked(0, flag, flag)});
  if (!forks) {
    filter.Add(refused, {"fork", "vfork"});
    filter.Add(refused, "clone", {Masked(0, CLONE_THREAD, 0)});
  }
  return filter.Export();
}

void AllowMemory(FilterBuilder* filter) {
  filter->Add(SCMP_ACT_ALLOW, {"brk", "mmap", "munmap", "mprotect", "mremap", "msync"});
  // Not the barriers of the whole machine, in which a process sleeps as long as it likes and cannot
  // be stopped.
  for (const scmp_datum_t command :
       {MEMBARRIER_CMD_QUERY, MEMBARRIER_CMD_PRIVATE_EXPEDITED,
        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE})
    filter->Add(SCMP_ACT_ALLOW, "membarrier", {Equals(0, command)});
  for (const scmp_datum_t advice :
       {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE,
        MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_POPULATE_READ, MADV_POPULATE_WRITE})
    filter->Add(SCMP_ACT_ALLOW, "madvise", {Equals(2, advice)});
}

void AllowReading(FilterBuilder* filter) {
  filter->Add(SCMP_ACT_ALLOW, {"read",       "readv",    "pread64",    "preadv",     "lseek",
                               "close",      "fstat",    "newfstatat", "stat",       "lstat",
                               "statx",      "statfs",   "fstatfs",    "access",     "faccessat",
                               "faccessat2", "readlink", "readlinkat", "getdents64", "getcwd"});
  scmp_datum_t any = 0;
  for (const scmp_datum_t flag : kOpenForWriting) {
    any |= flag;
    filter->Add(SCMP_ACT_ERRNO(EACCES), "open", {Masked(1, flag, flag)});
    filter->Add(SCMP_ACT_ERRNO(EACCES), "openat", {Masked(2, flag, flag)});
  }
  filter->Add(SCMP_ACT_ALLOW, "open", {Masked(1, any, 0)});
  filter->Add(SCMP_ACT_ALLOW, "openat", {Masked(2, any, 0)});
  for (const scmp_datum_t command : {F_GETFD, F_SETFD, F_GETFL})
    filter->Add(SCMP_ACT_ALLOW, "fcntl", {Equals(1, command)});
}

void AllowThreads(FilterBuilder* filter) {
  filter->Add(SCMP_ACT_ALLOW, "clone", {Masked(0, kThreadFlags | CLONE_VFORK, kThreadFlags)});
  filter->Add(SCMP_ACT_ERRNO(ENOSYS), {"clone3"});
  filter->Add(SCMP_ACT_ALLOW, {"futex", "futex_waitv", "set_robust_list", "get_robust_list", "rseq",
                               "set_tid_address", "sched_yield", "gettid", "getpid", "getppid",
                               "exit", "exit_group", "restart_syscall"});
  filter->Add(SCMP_ACT_ALLOW,
              {"sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_getattr",
               "sched_get_priority_max", "sched_get_priority_min", "getpriority", "getcpu"});
  filter->Add(SCMP_ACT_ALLOW,
              {"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "rt_sigpending"});
  // abort() and raise() signal the process itself; ConfineCalls puts its number in. Not with what
  // stops and continues it: that is the judge's.
  for (const auto& [call, signal] : {std::pair("tgkill", 2u), std::pair("kill", 1u)}) {
    filter->Add(SCMP_ACT_ALLOW, call,
                {Equals(0, kOwnProcessMark), {signal, SCMP_CMP_LT, SIGCONT, 0}});
    filter->Add(SCMP_ACT_ALLOW, call,
                {Equals(0, kOwnProcessMark), {signal, SCMP_CMP_GT, SIGTTOU, 0}});
  }
}

void AllowQuestions(FilterBuilder* filter) {
  filter->Add(SCMP_ACT_ALLOW,
              {"clock_gettime", "clock_getres", "gettimeofday", "time", "times", "getrusage",
               "nanosleep", "clock_nanosleep", "poll", "ppoll", "select", "pselect6"});
  filter->Add(SCMP_ACT_ALLOW,
              {"getrandom", "uname", "sysinfo", "getrlimit", "getuid", "geteuid", "getgid",
               "getegid", "getresuid", "getresgid", "getgroups", "getpgrp", "getpgid", "getsid"});
  filter->Add(SCMP_ACT_ALLOW, "prlimit64", {Equals(2, 0)});
  filter->Add(SCMP_ACT_ERRNO(EPERM), "prlimit64", {scmp_arg_cmp{2, SCMP_CMP_NE, 0, 0}});
  for (const scmp_datum_t question : {PR_SET_NAME, PR_GET_NAME, PR_SET_VMA})
    filter->Add(SCMP_ACT_ALLOW, "prctl", {Equals(0, question)});
  // Permission to use AMX tiles is asked for by the program that uses them (ARCH_GET_XCOMP_SUPP,
  // ARCH_GET_XCOMP_PERM, ARCH_REQ_XCOMP_PERM).
  for (const scmp_datum_t code : {0x1021, 0x1022, 0x1023})
    filter->Add(SCMP_ACT_ALLOW, "arch_prctl", {Equals(0, code)});
}

// What OpenMP runtimes, BLAS libraries and the C library try and can do without.
void RefuseQuietly(FilterBuilder* filter) {
  filter->Add(SCMP_ACT_ERRNO(EPERM),
              {"sched_setaffinity", "sched_setscheduler", "sched_setparam", "setpriority",
               "set_mempolicy", "get_mempolicy", "mbind", "mlock", "mlock2", "munlock", "mlockall",
               "munlockall", "setrlimit"});
  filter->Add(SCMP_ACT_ERRNO(ENOTTY), {"ioctl"});
  filter->Add(SCMP_ACT_ERRNO(ENOSYS), {"openat2", "shmget"});
}

void AllowChannels(FilterBuilder* filter, const std::vector<int>& channels) {
  for (const int output : {STDOUT_FILENO, STDERR_FILENO})
    for (const char* call : {"write", "writev"})
      filter->Add(SCMP_ACT_ALLOW, call, {Equals(0, static_cast<scmp_datum_t>(output))});
  for (const int channel : channels)
    for (const char* call : {"write", "writev", "sendto", "sendmsg", "recvfrom", "recvmsg"})
      filter->Add(SCMP_ACT_ALLOW, call, {Equals(0, static_cast<scmp_datum_t>(channel))});
}

std::string WithNotifications(std::string program) {
  sock_filter step;
  for (size_t at = 0; at + sizeof step <= program.size(); at += sizeof step) {
    std::memcpy(&step, program.data() + at, sizeof step);
    if (step.code != (BPF_RET | BPF_K) || step.k != kPlaceholder) continue;
    step.k = SECCOMP_RET_USER_NOTIF;
    std::memcpy(program.data() + at, &step, sizeof step);
  }
  return program;
}

}  // namespace

Result<std::string> CompilerFilter() {
  static const Result<std::string> filter = BuildCompilerFilter(true);
  return filter;
}

Result<std::string> CountedFilter() {
  static const Result<std::string> filter = BuildCompilerFilter(false);
  return filter;
}

Result<std::string> KernelFilter(const std::vector<int>& channels) {
  FilterBuilder filter(kPlaceholder);
  AllowMemory(&filter);
  AllowReading(&filter);
  AllowThreads(&filter);
  AllowQuestions(&filter);
  AllowChannels(&filter, channels);
  RefuseQuietly(&filter);
  Result<std::string> program = filter.Export();
  if (!program) return program;
  return WithNotifications(std::move(*program));
}

std::optional<CaughtCall> NextCall(int listener) {
  seccomp_notif call;
  std::memset(&call, 0, sizeof call);  // the kernel insists
  int failed;
  do failed = ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call);
  while (failed != 0 && errno == EINTR);
  if (failed != 0) return std::nullopt;
  CaughtCall caught;
  caught.id = call.id;
  caught.thread = static_cast<pid_t>(call.pid);
  caught.number = call.data.nr;
  for (size_t i = 0; i < caught.arguments.size(); ++i) caught.arguments[i] = call.data.args[i];
  return caught;
}

void RefuseCall(int listener, const CaughtCall& call, int error) {
  seccomp_notif_resp answer{};
  answer.id = call.id;
  answer.error = -error;
  // The caller may have been killed meanwhile, and then nobody waits.
  ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

std::string CallName(int number) {
  char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
  if (name == nullptr) return "call " + std::to_string(number);
  std::string text = name;
  std::free(name);
  return text;
}

}  // namespace kev
