// Runs the probe (probe.cc) in a sandbox and collects what it says.
//
// Threads: one test at a time. Errors: a sandbox that cannot be started fails the test.
#ifndef KEV_TESTS_RUNNERS_SANDBOX_PROBE_RUN_H_
#define KEV_TESTS_RUNNERS_SANDBOX_PROBE_RUN_H_

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "runners/sandbox/library_closure.h"
#include "runners/sandbox/sandbox.h"
#include "runners/sandbox/syscall_filter.h"

namespace kev {

constexpr Isolation kIsolations[] = {Isolation::kBubblewrap, Isolation::kNamespaces,
                                     Isolation::kLandlock, Isolation::kNone};

// Those that this machine can do; a test runs once for each.
inline std::vector<Isolation> WorkingIsolations() {
  std::vector<Isolation> working;
  for (const Isolation isolation : kIsolations)
    if (ProbeIsolation(isolation)) working.push_back(isolation);
  return working;
}

inline std::string ProbeProgram() {
  return std::filesystem::absolute(std::string(std::getenv("KEVOLVE_BUILD_BIN")) +
                                   "/../tests/sandbox_probe")
      .lexically_normal()
      .string();
}

// A folder of its own, that goes with the test.
class TestFolder {
 public:
  TestFolder() : path_((std::filesystem::temp_directory_path() / "kev-sandbox-XXXXXX").string()) {
    REQUIRE(mkdtemp(path_.data()) != nullptr);
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ + "/" + name) << text;
    return path_ + "/" + name;
  }

 private:
  std::string path_;
};

inline SandboxPlan ProbePlan(const std::string& what, const std::string& argument = "") {
  SandboxPlan plan;
  plan.argv = {ProbeProgram(), what, argument};
  Result<PathPairs> files = RuntimeFiles(ProbeProgram(), {});
  REQUIRE_MESSAGE(files.ok(), files.error().message);
  plan.read_only = *files;
  Result<std::string> filter = CompilerFilter();
  REQUIRE_MESSAGE(filter.ok(), filter.error().message);
  plan.syscalls = *filter;
  plan.limits.cpu_seconds = 20;
  return plan;
}

struct ProbeEnd {
  SandboxEnd end;
  std::string output;
  std::string limit;
  std::string limits_in_force;
};

inline std::string ReadLine(int fd) {
  std::string line;
  char at;
  while (read(fd, &at, 1) == 1 && at != '\n') line += at;
  return line;
}

// A running probe, killed and reaped with this object.
class Probe {
 public:
  Probe(SandboxPlan plan, Isolation isolation) {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    plan.files.emplace_back(ends[1], 1);
    plan.files.emplace_back(ends[1], 2);
    Result<Launched> launched = LaunchSandboxed(plan, isolation);
    close(ends[1]);
    output_ = ends[0];
    REQUIRE_MESSAGE(launched.ok(), launched.error().message);
    launched_ = *launched;
  }
  ~Probe() {
    if (!reaped_) Kill();
    close(output_);
  }
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;
  const Launched& launched() const { return launched_; }
  std::string Line() const { return ReadLine(output_); }
  SandboxEnd Kill() {
    KillSandboxed(launched_);
    return Reap();
  }
  // Lets it end by itself.
  ProbeEnd Finish() {
    ProbeEnd end;
    char buffer[4096];
    ssize_t got;
    while ((got = read(output_, buffer, sizeof buffer)) > 0)
      end.output.append(buffer, static_cast<size_t>(got));
    pollfd wait = {launched_.pidfd, POLLIN, 0};
    poll(&wait, 1, -1);
    end.end = Kill();
    end.limit = LimitReached(launched_);
    end.limits_in_force = launched_.limits_in_force;
    return end;
  }

 private:
  SandboxEnd Reap() {
    int status = 0;
    while (waitpid(launched_.pid, &status, 0) < 0 && errno == EINTR) {
    }
    reaped_ = true;
    return EndOf(launched_, status);
  }
  Launched launched_;
  int output_ = -1;
  bool reaped_ = false;
};

inline ProbeEnd RunProbe(const SandboxPlan& plan, Isolation isolation) {
  return Probe(plan, isolation).Finish();
}

}  // namespace kev

#endif  // KEV_TESTS_RUNNERS_SANDBOX_PROBE_RUN_H_
