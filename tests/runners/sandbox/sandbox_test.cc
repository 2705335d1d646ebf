// What a program in a sandbox cannot do, in every isolation of this machine.
#include "runners/sandbox/sandbox.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>

#include "tests/runners/sandbox/probe_run.h"

namespace kev {
namespace {

// True where the file system is out of reach.
bool FilesConfined(Isolation isolation) { return isolation != Isolation::kNone; }

bool Refused(const ProbeEnd& end) { return end.output.rfind("no: ", 0) == 0; }

// A socket that listens on the loopback device.
class Listener {
 public:
  Listener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address_;
    REQUIRE(bind(fd_, reinterpret_cast<sockaddr*>(&address_), size) == 0);
    REQUIRE(listen(fd_, 1) == 0);
    REQUIRE(getsockname(fd_, reinterpret_cast<sockaddr*>(&address_), &size) == 0);
  }
  ~Listener() { close(fd_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  std::string port() const { return std::to_string(ntohs(address_.sin_port)); }

 private:
  int fd_;
  sockaddr_in address_{};
};

// Runs `test` for each isolation that works here.
template <typename Test>
void ForEach(Test test) {
  const std::vector<Isolation> working = WorkingIsolations();
  REQUIRE(!working.empty());
  for (const Isolation isolation : working) {
    CAPTURE(Name(isolation));
    test(isolation);
  }
}

}  // namespace

TEST_CASE("a program runs with its status, its signal and its folder") {
  ForEach([](Isolation isolation) {
    CHECK(RunProbe(ProbePlan("exit", "7"), isolation).end.number == 7);
    const SandboxEnd end = RunProbe(ProbePlan("abort"), isolation).end;
    CHECK(end.signalled);
    CHECK(end.number == SIGABRT);
    SandboxPlan plan = ProbePlan("read", "key");
    const TestFolder folder;
    folder.Write("key", "found");
    plan.read_only.emplace_back(folder.path(), "/data");
    plan.folder = "/data";
    CHECK(RunProbe(plan, isolation).output == "found");
  });
}

TEST_CASE("a secret file is not there") {
  const TestFolder folder;
  const std::string secret = folder.Write("key", "secret");
  ForEach([&](Isolation isolation) {
    const ProbeEnd end = RunProbe(ProbePlan("read", secret), isolation);
    if (FilesConfined(isolation)) CHECK(Refused(end));
    CHECK((end.output == "secret") == !FilesConfined(isolation));
    if (FilesConfined(isolation)) {
      CHECK(Refused(RunProbe(ProbePlan("read", "/etc/passwd"), isolation)));
      CHECK(Refused(RunProbe(ProbePlan("read", "/proc/1/environ"), isolation)));
    }
  });
}

TEST_CASE("its own files can be read and not changed; what is writable can be written") {
  const TestFolder folder;
  const std::string source = folder.Write("source", "text");
  const TestFolder scratch;
  ForEach([&](Isolation isolation) {
    if (!FilesConfined(isolation)) return;
    const auto run = [&](const char* what, const std::string& path) {
      SandboxPlan plan = ProbePlan(what, path);
      plan.read_only.emplace_back(folder.path(), folder.path());
      plan.writable.emplace_back(scratch.path(), scratch.path());
      return RunProbe(plan, isolation);
    };
    CHECK(run("read", source).output == "text");
    CHECK(Refused(run("write", source)));
    CHECK(Refused(run("unlink", source)));
    CHECK(Refused(run("write", ProbeProgram())));
    CHECK(Refused(run("write", "/planted")));
    CHECK(run("write", scratch.path() + "/mine").output == "yes\n");
  });
}

TEST_CASE("no network, not even this machine's") {
  const Listener listener;
  ForEach([&](Isolation isolation) {
    SandboxPlan plan = ProbePlan("connect", listener.port());
    CHECK(Refused(RunProbe(plan, isolation)));
    plan.syscalls.clear();  // each defence alone
    if (HasNamespaces(isolation)) CHECK(Refused(RunProbe(plan, isolation)));
  });
}

TEST_CASE("other processes are out of sight") {
  const std::string judge = std::to_string(getpid());
  ForEach([&](Isolation isolation) {
    CHECK(Refused(RunProbe(ProbePlan("ptrace", judge), isolation)));
    if (HasNamespaces(isolation)) CHECK(Refused(RunProbe(ProbePlan("signal", judge), isolation)));
  });
}

TEST_CASE("no privilege is left and none can be had") {
  ForEach([](Isolation isolation) {
    CHECK(Refused(RunProbe(ProbePlan("mount"), isolation)));
    CHECK(Refused(RunProbe(ProbePlan("unshare"), isolation)));
    SandboxPlan plan = ProbePlan("capabilities");
    plan.syscalls.clear();  // without the filter, too
    CHECK(Refused(RunProbe(plan, isolation)));
    plan = ProbePlan("mount");
    plan.syscalls.clear();
    CHECK(Refused(RunProbe(plan, isolation)));
  });
}

TEST_CASE("the environment and the descriptors are those of the plan") {
  setenv("KEV_TEST_SECRET", "secret", 1);
  ForEach([](Isolation isolation) {
    SandboxPlan plan = ProbePlan("environment");
    plan.environment = {{"GIVEN", "value"}};
    std::string seen = RunProbe(plan, isolation).output;
    CHECK(seen.find("GIVEN=value\n") != std::string::npos);
    CHECK(seen.find("SECRET") == std::string::npos);
    plan = ProbePlan("descriptors");
    const int leaked = open("/dev/null", O_RDONLY);  // without O_CLOEXEC
    plan.files = {{leaked, 7}};
    CHECK(RunProbe(plan, isolation).output == "0 1 2 7 \n");
    close(leaked);
  });
  unsetenv("KEV_TEST_SECRET");
}

TEST_CASE("a process that left session and parent is gone with the kill") {
  ForEach([](Isolation isolation) {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    SandboxPlan plan = ProbePlan("leave");
    plan.files = {{ends[1], 5}};
    Probe probe(plan, isolation);
    close(ends[1]);
    CHECK(probe.Line() == "left");
    probe.Kill();
    pollfd closed = {ends[0], 0, 0};
    CHECK(poll(&closed, 1, 5000) == 1);  // at once, where the kernel ends them with their parent
    CHECK((closed.revents & POLLHUP) != 0);
    close(ends[0]);
  });
}

TEST_CASE("the sandbox ends with the process that started it") {
  ForEach([](Isolation isolation) {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    SandboxPlan plan = ProbePlan("spin");
    plan.files = {{ends[1], 1}};
    const pid_t launcher = fork();
    if (launcher == 0) {
      const bool launched = LaunchSandboxed(plan, isolation).ok();
      if (launched) pause();
      _exit(1);
    }
    close(ends[1]);
    CHECK(ReadLine(ends[0]) == "spinning");
    kill(launcher, SIGKILL);
    waitpid(launcher, nullptr, 0);
    pollfd closed = {ends[0], 0, 0};
    CHECK(poll(&closed, 1, 5000) == 1);
    close(ends[0]);
  });
}

TEST_CASE("killing the outermost process ends the program") {
  ForEach([](Isolation isolation) {
    Probe probe(ProbePlan("spin"), isolation);
    CHECK(probe.Line() == "spinning");
    Result<pid_t> program = ProgramPid(probe.launched());
    REQUIRE(program.ok());
    const int watched = static_cast<int>(syscall(SYS_pidfd_open, *program, 0));
    REQUIRE(watched >= 0);
    kill(probe.launched().pid, SIGKILL);
    pollfd ended = {watched, POLLIN, 0};
    CHECK(poll(&ended, 1, 5000) == 1);
    close(watched);
  });
}

TEST_CASE("the private folder for temporary files has a size") {
  ForEach([](Isolation isolation) {
    if (!HasNamespaces(isolation)) return;
    SandboxPlan plan = ProbePlan("fill", "/tmp");
    plan.scratch_bytes = 8 << 20;
    const int filled = std::atoi(RunProbe(plan, isolation).output.c_str());
    CHECK(filled >= 6);
    CHECK(filled <= 8);
    CHECK(std::atoi(RunProbe(ProbePlan("fill", "/"), isolation).output.c_str()) == 0);
    CHECK(std::atoi(RunProbe(ProbePlan("fill", "/dev"), isolation).output.c_str()) == 0);
  });
}

TEST_CASE("a folder in memory has a size, and can be filled before the start and read at the end") {
  ForEach([](Isolation isolation) {
    if (!HasNamespaces(isolation)) return;
    const TestFolder folder;
    const auto plan_of = [&](const char* what, const std::string& argument) {
      SandboxPlan plan = ProbePlan(what, argument);
      plan.folder = folder.path();
      plan.in_memory = {folder.path(), 8 << 20, [](int inside) -> Status {
                          const int file = openat(inside, "key", O_WRONLY | O_CREAT, 0600);
                          const bool written = file >= 0 && write(file, "given", 5) == 5;
                          close(file);
                          if (written) return {};
                          return Error{Code::kUnavailable, "cannot fill"};
                        }};
      return plan;
    };
    CHECK(RunProbe(plan_of("read", "key"), isolation).output == "given");
    const ProbeEnd full = RunProbe(plan_of("fill", folder.path()), isolation);
    const int filled = std::atoi(full.output.c_str());
    CHECK(filled >= 6);
    CHECK(filled <= 8);
    const Probe probe(plan_of("write", folder.path() + "/made"), isolation);
    REQUIRE(probe.launched().in_memory >= 0);
    pollfd ended = {probe.launched().pidfd, POLLIN, 0};
    REQUIRE(poll(&ended, 1, 5000) == 1);
    CHECK(faccessat(probe.launched().in_memory, "made", F_OK, 0) == 0);
    CHECK_FALSE(std::filesystem::exists(folder.path() + "/made"));
    SandboxPlan refused = plan_of("exit", "0");
    refused.in_memory.fill = [](int) -> Status { return Error{Code::kDiskFull, "no room"}; };
    const Result<Launched> launched = LaunchSandboxed(refused, isolation);
    REQUIRE_FALSE(launched.ok());
    CHECK(launched.error().code == Code::kDiskFull);
  });
}

TEST_CASE("processes are limited where anything can limit them") {
  ForEach([](Isolation isolation) {
    SandboxPlan plan = ProbePlan("fork");
    plan.limits.processes = 10;
    const ProbeEnd end = RunProbe(plan, isolation);
    const int forked = std::atoi(end.output.c_str());
    const bool by_group = end.limits_in_force.find("pids") != std::string::npos;
    CHECK(forked > 0);
    // The kernel has no such limit for root, but for control groups; and outside namespaces of
    // their own others' processes count.
    if (by_group || (geteuid() != 0 && HasNamespaces(isolation))) CHECK(forked <= 10);
    if (by_group) CHECK(end.limit == "processes");
    if (geteuid() != 0) CHECK(forked < 2000);
  });
}

TEST_CASE("memory is limited, by private mappings or by what is resident") {
  ForEach([](Isolation isolation) {
    SandboxPlan plan = ProbePlan("allocate");
    plan.limits.private_bytes = 128 << 20;
    CHECK(RunProbe(plan, isolation).output == "no: ENOMEM\n");
    plan.limits.private_bytes = 0;
    plan.limits.memory_bytes = 128 << 20;
    plan.limits.address_bytes = uint64_t{1} << 30;  // where there are no control groups
    const ProbeEnd end = RunProbe(plan, isolation);
    if (end.limits_in_force.find("memory") == std::string::npos) {
      CHECK(end.output == "no: ENOMEM\n");
      return;
    }
    CHECK(end.end.signalled);
    CHECK(end.end.number == SIGKILL);
    CHECK(end.limit == "memory");
  });
}

TEST_CASE("processor time is limited") {
  ForEach([](Isolation isolation) {
    SandboxPlan plan = ProbePlan("spin");
    plan.limits.cpu_seconds = 1;
    const SandboxEnd end = RunProbe(plan, isolation).end;
    CHECK(end.signalled);
    CHECK((end.number == SIGKILL || end.number == SIGXCPU));
  });
}

TEST_CASE("what cannot be started is an error that says what") {
  SandboxPlan plan = ProbePlan("exit", "0");
  plan.read_only.emplace_back("/no/such/file", "/data");
  for (const Isolation isolation : {Isolation::kBubblewrap, Isolation::kNamespaces}) {
    const Result<Launched> launched = LaunchSandboxed(plan, isolation);
    REQUIRE_FALSE(launched.ok());
    CHECK(launched.error().code == Code::kNotFound);
    CHECK(launched.error().message.find("/no/such/file") != std::string::npos);
  }
  plan.argv = {"relative"};
  CHECK(LaunchSandboxed(plan, Isolation::kNone).error().code == Code::kInvalid);
}

TEST_CASE("an isolation can be demanded by its name") {
  for (const Isolation isolation : WorkingIsolations()) {
    setenv("KEVOLVE_ISOLATION", Name(isolation), 1);
    const Result<Isolation> best = BestIsolation();
    REQUIRE(best.ok());
    CHECK(*best == isolation);
  }
  setenv("KEVOLVE_ISOLATION", "required", 1);
  const Result<Isolation> required = BestIsolation();
  CHECK((!required.ok() || HasNamespaces(*required)));
  setenv("KEVOLVE_ISOLATION", "wishful", 1);
  const Result<Isolation> unknown = BestIsolation();
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.error().code == Code::kInvalid);
  CHECK(unknown.error().message.find("wishful") != std::string::npos);
  unsetenv("KEVOLVE_ISOLATION");
}

// Not a test: prints what a launch costs beside plain fork and exec, taken in turns.
TEST_CASE("launch cost" * doctest::skip()) {
  constexpr size_t kLaunches = 50;
  using Clock = std::chrono::steady_clock;
  const std::vector<Isolation> working = WorkingIsolations();
  const SandboxPlan plan = ProbePlan("exit", "0");
  std::map<std::string, std::vector<double>> took;
  const auto time = [&](const std::string& name, auto launch) {
    const auto begin = Clock::now();
    const pid_t pid = launch();
    waitpid(pid, nullptr, 0);
    took[name].push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  };
  for (size_t i = 0; i < kLaunches; ++i) {
    time("fork and exec", [&] {
      const pid_t pid = fork();
      if (pid == 0) execl(plan.argv[0].c_str(), plan.argv[0].c_str(), "exit", "0", nullptr);
      return pid;
    });
    for (const Isolation isolation : working) {
      Result<Launched> launched = Error{};  // kept until it has been reaped
      time(Name(isolation), [&] {
        launched = LaunchSandboxed(plan, isolation);
        return launched->pid;
      });
    }
  }
  for (auto& [name, times] : took) {
    std::sort(times.begin(), times.end());
    std::printf("%-14s median %6.2f ms, least %6.2f ms\n", name.c_str(), times[kLaunches / 2],
                times[0]);
  }
}

}  // namespace kev
