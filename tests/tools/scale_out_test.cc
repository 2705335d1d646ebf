// Workers that were started by hand: over loopback, from another network namespace, and those that
// cannot join.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>

#include "tests/tools/support/run_facts.h"

using namespace kev::test;

namespace {

constexpr std::chrono::seconds kLimit(90);
constexpr int kExitDone = 0, kExitBadInput = 2, kExitEnvironment = 5;
constexpr int kBuild = 1;  // step of fixtures/tiny.yaml

RunningCommand* StartRun(Sandbox* sandbox, const std::string& listen, bool insecure) {
  std::vector<std::string> words = {"kevolve", "run",    Fixture("tiny.yaml"), "--candidates",
                                    "8",       "--json", "--listen",           listen};
  if (insecure) words.push_back("--insecure");
  return sandbox->Start(words);
}

// The address that the run has printed for workers.
std::string Endpoint(RunningCommand* run) {
  run->WaitForOutput("workers can join", kLimit);
  const std::string out = run->OutSoFar();
  const size_t at = out.find("--connect tcp://");
  if (at == std::string::npos) return "";
  return out.substr(at + 10, out.find('"', at) - at - 10);
}

// The run's own compile processes are held before anything is compiled, so that whoever joins must
// do the work.
std::vector<pid_t> HoldOwnCompile(const Sandbox& sandbox) {
  std::vector<pid_t> own;
  REQUIRE(WaitUntil([&] { return !(own = ProcessesNamed(sandbox, "kevolve-compile")).empty(); },
                    kLimit));
  for (const pid_t pid : own) kill(pid, SIGSTOP);
  return own;
}

void CheckTakesWork(const Sandbox& sandbox, const std::vector<pid_t>& own, RunningCommand* run,
                    RunningCommand* worker) {
  const std::string id = RunIdOf(run);
  CHECK(WaitUntil([&] { return WorkersIn(LogOf(sandbox, id), {kBuild}).contains(worker->pid()); },
                  kLimit));
  for (const pid_t pid : own) kill(pid, SIGCONT);
  const CommandResult result = run->Wait(kLimit);
  CHECK_MESSAGE(result.exit_code == kExitDone, result.err);
  CHECK(DoneLine(result)["candidates"] == 8);
  CHECK(sandbox.Run({"kevolve", "replay", id}).exit_code == kExitDone);
  const CommandResult left = worker->Wait(kLimit);  // by itself, since the run has ended
  CHECK_MESSAGE(left.exit_code == kExitDone, left.err);
}

// A network namespace with a veth pair into it; both go with it.
class FarNetwork {
 public:
  FarNetwork() {
    const std::string number = std::to_string(getpid());
    name_ = "kev-far-" + number;
    link_ = "kv" + number + "a";
    const std::string peer = "kv" + number + "b";
    const std::string net = "10.213." + std::to_string(getpid() % 250) + ".";
    near_ = net + "1";
    made_ = Ip({"netns", "add", name_}) &&
            Ip({"link", "add", link_, "type", "veth", "peer", "name", peer, "netns", name_}) &&
            Ip({"addr", "add", near_ + "/24", "dev", link_}) && Ip({"link", "set", link_, "up"}) &&
            Ip({"-n", name_, "addr", "add", net + "2/24", "dev", peer}) &&
            Ip({"-n", name_, "link", "set", peer, "up"});
  }
  ~FarNetwork() {
    Ip({"link", "del", link_});
    Ip({"netns", "del", name_});
  }
  bool made() const { return made_; }
  const std::string& near() const { return near_; }
  const std::string& name() const { return name_; }

 private:
  bool Ip(std::vector<std::string> words) const {
    words.insert(words.begin(), "ip");
    RunningCommand command(words, {}, sandbox_.home());
    return command.Wait(std::chrono::seconds(20)).exit_code == 0;
  }
  Sandbox sandbox_;
  std::string name_, link_, near_;
  bool made_ = false;
};

}  // namespace

TEST_CASE("a worker that was started by hand joins a running run and takes work") {
  Sandbox sandbox;
  RunningCommand* run = StartRun(&sandbox, "tcp://127.0.0.1:0", /*insecure=*/false);
  const std::string endpoint = Endpoint(run);
  REQUIRE(endpoint.starts_with("tcp://127.0.0.1:"));
  const std::vector<pid_t> own = HoldOwnCompile(sandbox);
  RunningCommand* worker = sandbox.Start(
      {"kevolve", "worker", "--stage", "compile", "--slots", "2", "--connect", endpoint});
  CheckTakesWork(sandbox, own, run, worker);
}

// Needs root: a CTest test of its own, so that a skip is counted.
TEST_CASE("a worker joins from another network namespace" * doctest::skip()) {
  const FarNetwork far;
  if (!far.made()) {
    std::puts("SKIPPED: no network namespaces here (root and ip netns are needed)");
    return;
  }
  Sandbox sandbox;
  RunningCommand* run = StartRun(&sandbox, "tcp://" + far.near() + ":0", /*insecure=*/true);
  const std::string endpoint = Endpoint(run);
  REQUIRE(endpoint.starts_with("tcp://" + far.near() + ":"));
  const std::vector<pid_t> own = HoldOwnCompile(sandbox);
  // `ip netns exec` becomes the worker: the pid stays.
  RunningCommand worker({"ip", "netns", "exec", far.name(), BuildBin() + "/kevolve", "worker",
                         "--stage", "compile", "--slots", "2", "--connect", endpoint},
                        sandbox.environment, sandbox.home());
  CheckTakesWork(sandbox, own, run, &worker);
}

TEST_CASE("listening beyond loopback without keys is refused unless it is accepted in words") {
  Sandbox sandbox;
  const CommandResult result =
      StartRun(&sandbox, "tcp://0.0.0.0:0", /*insecure=*/false)->Wait(kLimit);
  CHECK(result.exit_code == kExitBadInput);
  for (const char* text : {"tcp://0.0.0.0:0", "without keys", "--insecure"})
    CHECK_MESSAGE(result.err.find(text) != std::string::npos, result.err);
  CHECK(sandbox.RunIds().empty());  // refused before a run was made
  CHECK(sandbox.Processes().empty());
}

TEST_CASE("who listens on every address says by which name another machine finds it") {
  char host[256] = "";
  REQUIRE(gethostname(host, sizeof(host) - 1) == 0);
  Sandbox sandbox;
  RunningCommand* run = StartRun(&sandbox, "tcp://0.0.0.0:0", /*insecure=*/true);
  const std::string endpoint = Endpoint(run);
  CHECK_MESSAGE(endpoint.starts_with("tcp://" + std::string(host) + ":"), endpoint);
  CHECK(run->OutSoFar().find("--connect tcp://0.0.0.0") == std::string::npos);
  KillEverything(sandbox);
}

TEST_CASE("an address in use is refused with its name") {
  Sandbox sandbox;
  RunningCommand* first = StartRun(&sandbox, "tcp://127.0.0.1:0", /*insecure=*/false);
  const std::string endpoint = Endpoint(first);
  REQUIRE(!endpoint.empty());
  const CommandResult second = StartRun(&sandbox, endpoint, /*insecure=*/false)->Wait(kLimit);
  CHECK(second.exit_code == kExitEnvironment);
  CHECK_MESSAGE(second.err.find(endpoint) != std::string::npos, second.err);
  KillEverything(sandbox);
}

TEST_CASE("a worker that finds no engine at its address gives up and says so") {
  Sandbox sandbox;
  const CommandResult result = sandbox.Run(
      {"kevolve-compile", "--connect", "tcp://127.0.0.1:1", "--engine-lost-grace", "500ms"});
  CHECK(result.exit_code == kExitEnvironment);
  CHECK_MESSAGE(result.err.find("tcp://127.0.0.1:1") != std::string::npos, result.err);
}

TEST_CASE("a worker refuses what is no address and what is no stage") {
  Sandbox sandbox;
  const CommandResult address =
      sandbox.Run({"kevolve", "worker", "--stage", "compile", "--connect", "nonsense"});
  CHECK(address.exit_code == kExitBadInput);
  CHECK_MESSAGE(address.err.find("nonsense") != std::string::npos, address.err);
  const CommandResult stage =
      sandbox.Run({"kevolve", "worker", "--stage", "bake", "--connect", "tcp://127.0.0.1:1"});
  CHECK(stage.exit_code == kExitBadInput);
  CHECK_MESSAGE(stage.err.find("bake") != std::string::npos, stage.err);
}
