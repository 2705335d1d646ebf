#include "runners/fleet/fleet.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

using namespace kev;
using std::chrono::milliseconds;

namespace {

ChildOptions Shell(const std::string& script) {
  ChildOptions options;
  options.program = "/bin/sh";
  options.arguments = {"-c", script};
  return options;
}
std::vector<ChildExit> ReapUntil(Fleet& fleet, size_t running) {
  std::vector<ChildExit> exits;
  while (fleet.Running() > running) {
    for (ChildExit& e : fleet.Reap()) exits.push_back(std::move(e));
    usleep(1000);
  }
  return exits;
}
std::string TempFile() {
  char path[] = "/tmp/kevtest-XXXXXX";
  close(mkstemp(path));
  return path;
}
std::string ReadAll(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("a child's exit status and signal are reported, each once") {
  Fleet fleet;
  const int exits = *fleet.Start(Shell("exit 3"));
  const int killed = *fleet.Start(Shell("kill -9 $$"));
  CHECK(exits != killed);
  for (const ChildExit& e : ReapUntil(fleet, 0)) {
    CHECK(e.status == (e.pid == exits ? 3 : 0));
    CHECK(e.signal == (e.pid == exits ? 0 : SIGKILL));
    CHECK(e.Text().find("/bin/sh") != std::string::npos);
  }
  CHECK(fleet.Reap().empty());
}

TEST_CASE(
    "a child gets arguments, environment, cores and its log, and a process group of its own") {
  const std::string log = TempFile();
  Fleet fleet;
  ChildOptions options = Shell(
      "echo $KEV_TEST_WORD; echo to-stderr >&2; taskset -cp $$ 2>/dev/null; ps -o pgid= -p $$");
  options.environment["KEV_TEST_WORD"] = "hello there";
  options.cores = {0};
  options.log = log;
  const int pid = *fleet.Start(options);
  CHECK(getpgid(pid) == pid);
  ReapUntil(fleet, 0);
  const std::string text = ReadAll(log);
  CHECK(text.find("hello there\n") != std::string::npos);
  CHECK(text.find("to-stderr\n") != std::string::npos);
  if (text.find("affinity") != std::string::npos)
    CHECK(text.find("list: 0\n") != std::string::npos);
  std::filesystem::remove(log);
}

TEST_CASE("stop asks first and kills what does not listen, with its children") {
  const std::string log = TempFile();
  Fleet fleet;
  ChildOptions stubborn = Shell("trap '' TERM; echo ready; sleep 1000 & sleep 1000; sleep 1000");
  stubborn.log = log;
  const int deaf = *fleet.Start(stubborn);
  const int polite = *fleet.Start(Shell("exec sleep 1000"));
  while (ReadAll(log).find("ready") == std::string::npos) usleep(1000);
  const std::vector<ChildExit> exits = fleet.Stop(milliseconds(100));
  REQUIRE(exits.size() == 2);
  for (const ChildExit& e : exits) CHECK(e.signal == (e.pid == polite ? SIGTERM : SIGKILL));
  CHECK(fleet.Running() == 0);
  CHECK(kill(deaf, 0) != 0);
  std::filesystem::remove(log);
}

TEST_CASE("children end when the process that started them is killed") {
  int pipes[2];
  REQUIRE(pipe(pipes) == 0);
  const pid_t engine = fork();
  if (engine == 0) {
    Fleet fleet;
    ChildOptions options = Shell("exec sleep 1000");
    const int pid = *fleet.Start(options);
    [[maybe_unused]] const ssize_t n = write(pipes[1], &pid, sizeof pid);
    pause();
  }
  int child = 0;
  REQUIRE(read(pipes[0], &child, sizeof child) == sizeof child);
  kill(engine, SIGKILL);
  waitpid(engine, nullptr, 0);
  // Gone, or a zombie that its new parent has not waited for yet: either way its memory is.
  const std::string proc = std::string("/proc/").append(std::to_string(child)).append("/cmdline");
  while (!ReadAll(proc).empty()) usleep(1000);
  CHECK(ReadAll(proc).empty());
}

TEST_CASE("a program that is not there is an error that names the path") {
  Fleet fleet;
  ChildOptions options;
  options.program = "kevolve-does-not-exist";
  const Result<int> pid = fleet.Start(options);
  REQUIRE_FALSE(pid.ok());
  CHECK(pid.error().code == Code::kNotFound);
  CHECK(pid.error().message.find("kevolve-does-not-exist") != std::string::npos);
  CHECK(pid.error().message.find("KEVOLVE_BUILD_BIN") != std::string::npos);
}

TEST_CASE("the restart delay doubles up to its cap") {
  CHECK(RestartDelay(0).count() == 0);
  CHECK(RestartDelay(1).count() == 100);
  CHECK(RestartDelay(3).count() == 400);
  CHECK(RestartDelay(50).count() == 10000);
}
