// Calls that a kernel may make, may not make, and makes in vain.
#include "runners/sandbox/syscall_filter.h"

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace kev {
namespace {

constexpr int kChannel = 40;

struct Watched {
  std::vector<std::string> caught;  // names of calls that were notified, each refused with EPERM
  int status = 0;                   // as waitpid gave it
  bool ExitedWith(int code) const { return WIFEXITED(status) && WEXITSTATUS(status) == code; }
};

void SendDescriptor(int channel, int fd) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = room;
  message.msg_controllen = sizeof room;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  if (sendmsg(channel, &message, 0) != 1) _exit(90);
}

int ReceiveDescriptor(int channel) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = room;
  message.msg_controllen = sizeof room;
  if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC) != 1 || CMSG_FIRSTHDR(&message) == nullptr)
    return -1;
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  return fd;
}

// Runs `kernel` in a process under the kernels' filter. Its result is the exit status.
template <typename Kernel>
Watched Watch(Kernel kernel) {
  const Result<std::string> filter = KernelFilter({kChannel});
  REQUIRE_MESSAGE(filter.ok(), filter.error().message);
  int pair[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGABRT, SIG_DFL);  // not the test program's
    dup2(pair[1], kChannel);
    Result<int> listener = ConfineCalls(*filter);
    if (!listener) _exit(91);
    SendDescriptor(kChannel, *listener);
    close(*listener);
    _exit(kernel());
  }
  close(pair[1]);
  const int listener = ReceiveDescriptor(pair[0]);
  close(pair[0]);
  const int ended = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  Watched watched;
  for (;;) {
    pollfd waits[2] = {{listener, POLLIN, 0}, {ended, POLLIN, 0}};
    poll(waits, 2, -1);
    if ((waits[0].revents & POLLIN) != 0)
      if (std::optional<CaughtCall> call = NextCall(listener)) {
        watched.caught.push_back(CallName(call->number));
        RefuseCall(listener, *call, EPERM);
        continue;
      }
    if (waits[1].revents != 0) break;
  }
  close(listener);
  close(ended);
  waitpid(child, &watched.status, 0);
  return watched;
}

// The one name caught when `call` is made, "" for none; the call must have failed with `error`.
template <typename Call>
std::string Caught(Call call, int error = EPERM) {
  const Watched watched = Watch([&] {
    errno = 0;
    return call() == -1 && errno == error ? 0 : 1;
  });
  CHECK(watched.ExitedWith(0));
  return watched.caught.empty() ? "" : watched.caught.front();
}

void* Return(void* argument) { return argument; }

}  // namespace

TEST_CASE("memory, threads, clocks and reading files are a kernel's own business") {
  const Watched watched = Watch([] {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    void* place =
        mmap(nullptr, 1 << 24, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED || madvise(place, 1 << 24, MADV_HUGEPAGE) != 0) return 1;
    pthread_t thread;
    if (pthread_create(&thread, nullptr, Return, nullptr) != 0) return 2;
    pthread_join(thread, nullptr);
    const int file = open("/proc/self/stat", O_RDONLY);
    char byte;
    if (file < 0 || read(file, &byte, 1) != 1) return 3;
    return sched_yield() == 0 && sysconf(_SC_NPROCESSORS_ONLN) > 0 ? 0 : 4;
  });
  CHECK(watched.caught.empty());
  CHECK(watched.ExitedWith(0));
}

TEST_CASE("OpenMP starts its threads under the filter") {
  const Watched watched = Watch([] {
    void* library = dlopen("libgomp.so.1", RTLD_NOW);
    if (library == nullptr) return 0;
    static int count = 0;
    using Body = void (*)(void*);
    const auto parallel = reinterpret_cast<void (*)(Body, void*, unsigned, unsigned)>(
        dlsym(library, "GOMP_parallel"));
    parallel([](void*) { __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED); }, nullptr, 4, 0);
    return count == 4 ? 0 : 1;
  });
  CHECK(watched.caught.empty());
  CHECK(watched.ExitedWith(0));
}

TEST_CASE("OpenBLAS loads and multiplies under the filter") {
  const Watched watched = Watch([] {
    void* library = dlopen("libopenblas.so.0", RTLD_NOW);
    if (library == nullptr) return 0;
    const auto multiply =
        reinterpret_cast<void (*)(int, int, int, int, int, int, float, const float*, int,
                                  const float*, int, float, float*, int)>(
            dlsym(library, "cblas_sgemm"));
    constexpr int n = 256;
    static float a[n * n], b[n * n], c[n * n];
    for (float& value : a) value = 1;
    for (float& value : b) value = 2;
    multiply(101, 111, 111, n, n, n, 1, a, n, b, n, 0, c, n);
    return c[n * n - 1] == 2 * n ? 0 : 1;
  });
  CHECK(watched.caught.empty());
  CHECK(watched.ExitedWith(0));
}

TEST_CASE("what libraries try without need fails without a word") {
  CHECK(Caught([] {
          cpu_set_t cores;
          CPU_ZERO(&cores);
          CPU_SET(0, &cores);
          return sched_setaffinity(0, sizeof cores, &cores);
        }).empty());
  CHECK(Caught([] { return static_cast<int>(syscall(SYS_get_mempolicy, 0, 0, 0, 0, 0)); }).empty());
  CHECK(Caught([] { return open("/tmp/planted", O_WRONLY | O_CREAT, 0600); }, EACCES).empty());
  CHECK(Caught([] { return open("/dev/null", O_RDWR); }, EACCES).empty());
}

TEST_CASE("what no kernel has a reason for is told by name and refused") {
  CHECK(Caught([] { return static_cast<int>(ptrace(PTRACE_TRACEME, 0, 0, 0)); }) == "ptrace");
  CHECK(Caught([] { return socket(AF_INET, SOCK_STREAM, 0); }) == "socket");
  CHECK(Caught([] { return fork(); }) == "clone");
  CHECK(Caught([] { return execl("/bin/true", "true", nullptr); }) == "execve");
  CHECK(Caught([] { return unlink("/tmp/nothing"); }) == "unlink");
  CHECK(Caught([] { return memfd_create("x", 0); }) == "memfd_create");
  CHECK(Caught([] { return kill(getppid(), 0); }) == "kill");
  CHECK(Caught([] { return static_cast<int>(setsid()); }) == "setsid");
  CHECK(Caught([] { return prctl(PR_SET_DUMPABLE, 0); }) == "prctl");
  CHECK(Caught([] {
          itimerval every{{0, 1000}, {0, 1000}};
          return setitimer(ITIMER_REAL, &every, nullptr);
        }) == "setitimer");
  CHECK(Caught([] {
          static char page[8192];
          return madvise(page, 4096, MADV_PAGEOUT);
        }) == "madvise");
  CHECK(Caught([] { return static_cast<int>(write(kChannel + 1, "x", 1)); }) == "write");
}

TEST_CASE("a process may signal itself, so that abort looks like abort") {
  const Watched watched = Watch([]() -> int { abort(); });
  CHECK(watched.caught.empty());
  CHECK(WIFSIGNALED(watched.status));
  CHECK(WTERMSIG(watched.status) == SIGABRT);
}

TEST_CASE("a filter that is none is refused") {
  CHECK(ConfineCalls("").error().code == Code::kInvalid);
  CHECK(ConfineCalls("short").error().code == Code::kInvalid);
}

}  // namespace kev
