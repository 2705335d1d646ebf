// Jobs that kill their workers, told of and kept as dead letters.
//
// No kernel can end its worker: it is confined. What can is the machine (memory that runs out, an
// operator), which the test plays: it ends the worker of whatever kernel does not come back.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "tests/tools/support/run_facts.h"
#include "tests/tools/support/tiny.h"
#include "tools/live/exit_code.h"

using namespace kev;
using namespace kev::test;
namespace fs = std::filesystem;

namespace {

// Kills, as long as it lives, each verify worker of a home whose kernel has computed for a while.
class WorkerKiller {
 public:
  explicit WorkerKiller(const Sandbox& sandbox)
      : thread_([this, &sandbox] {
          while (!stop_) {
            for (const pid_t worker : ProcessesNamed(sandbox, "kevolve-verify")) {
              if (IsBusyBelow(worker)) kill(worker, SIGKILL);
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(30));
          }
        }) {}
  ~WorkerKiller() {
    stop_ = true;
    thread_.join();
  }

 private:
  static constexpr double kBusySeconds = 0.1;  // of the 2 s after which it is a time-out

  static bool IsBusyBelow(pid_t worker) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
      const pid_t pid =
          static_cast<pid_t>(std::strtol(entry.path().filename().c_str(), nullptr, 10));
      if (pid <= 1 || ProgramOf(pid) != "kevolve-runner" || CpuSecondsOf(pid) < kBusySeconds)
        continue;
      for (pid_t above = ParentOf(pid); above > 1; above = ParentOf(above)) {
        if (above == worker) return true;
      }
    }
    return false;
  }

  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace

TEST_CASE(
    "a job that kills worker after worker becomes a dead letter, which has another try or is "
    "dropped") {
  Tiny tiny;
  tiny.SetTemplate(
      "#include <stdint.h>\n"
      "const int kPad = PAD;\n"  // else all of one ACT are one machine code
      "void scale(const float* x, float* y, int64_t n) {\n"
      "#if ACT == 1\n  for (;;) __asm__ volatile(\"\");\n#endif\n"
      "  for (int64_t i = 0; i < n; ++i) y[i] = 3.0f * x[i];\n}\n",
      "ACT: [0, 1], PAD: [0, 1, 2, 3, 4, 5, 6, 7]");
  tiny.Replace("tiny.yaml", "candidates: 12", "candidates: 16");
  const WorkerKiller killer(tiny.sandbox);
  const CommandResult result = tiny.Run({"--json"});
  CHECK(result.exit_code == kExitDone);
  const std::string run = DoneLine(result)["run"];
  const auto letters = [&] { return JsonLines(tiny.Kevolve({"dlq", "list", run, "--json"}).out); };
  const std::vector<Json> before = letters();
  REQUIRE(!before.empty());
  const std::string job = before[0]["job"];
  CHECK(before[0]["why"].get<std::string>().find("worker") != std::string::npos);
  // Who died of it, and how, is told; the others' verdicts are their own.
  const Json letter = DoneLine(tiny.Kevolve({"dlq", "show", run, job, "--json"}));
  CHECK(letter["evidence"].size() >= 2);
  size_t good = 0, poisoned = 0;
  const Json shown = Json::parse(tiny.Kevolve({"show", run, "--json"}).out);
  for (const Json& record : shown["records"]) {
    const bool kills = record["parameters"]["ACT"] == 1;
    CHECK(record["verdict"] == (kills ? "poison" : "ok"));
    ++(kills ? poisoned : good);
  }
  CHECK(good > 0);
  CHECK(poisoned == before.size());
  // An ended run is not driven: it says how the job gets its other try, of which it dies again.
  CheckSays(tiny.Kevolve({"dlq", "retry", run, job}), kExitBadInput,
            {"resume " + run + " --retry " + job});
  CheckSays(tiny.Kevolve({"dlq", "retry", run, "c1/nosuch"}), kExitBadInput,
            {"no dead letter 'c1/nosuch'"});
  CheckSays(tiny.Kevolve({"resume", run, "--retry", "c1/nosuch"}), kExitBadInput,
            {"no dead letter 'c1/nosuch'"});
  const CommandResult again = tiny.Kevolve({"resume", run, "--retry", job, "--json"});
  CHECK_MESSAGE(again.exit_code == kExitDone, again.err);
  CHECK(letters().size() == before.size());
  const Json later = DoneLine(tiny.Kevolve({"dlq", "show", run, job, "--json"}));
  CHECK(later["attempt"] > letter["attempt"]);
  CheckSays(tiny.Kevolve({"replay", run}), kExitDone, {});
  CheckNobodyLeft(tiny.sandbox);
}
