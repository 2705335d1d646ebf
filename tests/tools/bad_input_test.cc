// Bad input and a bad environment, as a user meets them: each gives its documented exit code and a
// message that says what, where and what to do; nothing is left running, and what was committed
// stays.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "tests/tools/support/run_facts.h"
#include "tests/tools/support/tiny.h"
#include "tools/live/exit_code.h"

using namespace kev;
using namespace kev::test;
namespace fs = std::filesystem;
using std::chrono::seconds;

namespace {

uint64_t FreeBytesOf(const std::string& folder) {
  struct statvfs info{};
  return statvfs(folder.c_str(), &info) == 0 ? info.f_bavail * info.f_frsize : 0;
}

// A small file system of its own as the home's place.
class SmallDisk {
 public:
  SmallDisk(const std::string& folder, const std::string& size) : folder_(folder) {
    mounted = mount("tmpfs", folder.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
    if (!mounted) MESSAGE("skipped: mounting a small disk needs root");
  }
  ~SmallDisk() {
    if (mounted) umount2(folder_.c_str(), MNT_DETACH);
  }
  void FillUpTo(uint64_t left) {
    std::ofstream file(folder_ + "/ballast", std::ios::binary | std::ios::app);
    const std::string piece(64 << 10, 'b');
    while (file && FreeBytesOf(folder_) > left) file << piece << std::flush;
  }
  void MakeRoom() { fs::remove(folder_ + "/ballast"); }
  bool mounted = false;

 private:
  std::string folder_;
};

// The folder of programs with one of them replaced (or left out, for an empty text).
std::string ProgramsWith(const Sandbox& sandbox, const std::string& replaced,
                         const std::string& script) {
  const std::string bin = sandbox.Path("bin");
  fs::create_directories(bin);
  for (const auto& entry : fs::directory_iterator(fs::absolute(BuildBin()))) {
    const std::string name = entry.path().filename();
    if (name.starts_with("kevolve") && name != replaced)
      fs::create_symlink(entry.path(), bin + "/" + name);
  }
  if (!script.empty()) {
    sandbox.Write("bin/" + replaced, script);
    fs::permissions(bin + "/" + replaced, fs::perms::owner_all);
  }
  return bin;
}

}  // namespace

TEST_CASE("the command line is refused with what is wrong in it") {
  Tiny tiny;
  CheckSays(tiny.sandbox.Run({"kevolve"}), kExitBadInput, {"subcommand", "--help"});
  CheckSays(tiny.Kevolve({"resum"}), kExitBadInput, {"'resum'", "did you mean 'resume'?"});
  CheckSays(tiny.Kevolve({"run"}), kExitBadInput, {"workflow is required"});
  CheckSays(tiny.Run({"--durability", "eternal"}), kExitBadInput, {"--durability", "eternal"});
  CheckSays(tiny.Run({"--no-such-option"}), kExitBadInput, {"--no-such-option"});
  CheckSays(tiny.Run({"--wall", "soon"}), kExitBadInput, {"--wall", "'soon'", "30s"});
  CheckSays(tiny.Run({"--wall", "-5s"}), kExitBadInput, {"--wall", "'-5s'"});
  CheckSays(tiny.Run({"--candidates", "-3"}), kExitBadInput, {"--candidates", "'-3'"});
  CheckSays(tiny.Run({"--candidates", "0"}), kExitBadInput, {"--candidates", "at least 1"});
  CheckSays(tiny.Run({"--seed", "abc"}), kExitBadInput, {"--seed", "'abc'"});
  CheckSays(tiny.Run({"--task", "sofmax"}), kExitBadInput,
            {"--task", "'sofmax'", "did you mean 'softmax'?"});
  CheckSays(tiny.Run({"--target", "cpuu"}), kExitBadInput, {"--target", "did you mean 'cpu'?"});
  CheckSays(tiny.Kevolve({"worker", "--stage", "bake", "--connect", "tcp://127.0.0.1:1"}),
            kExitBadInput, {"kevolve-bake", "propose, compile, verify, profile or select"});
  CHECK(tiny.Runs().empty());
}

TEST_CASE("a workflow that cannot be read is refused with file and position") {
  Tiny tiny;
  CheckSays(tiny.Kevolve({"run", tiny.sandbox.Path("missing.yaml")}), kExitBadInput,
            {"missing.yaml", "No such file"});
  CheckSays(tiny.Kevolve({"run", tiny.sandbox.home()}), kExitBadInput, {"directory"});
  tiny.sandbox.Write("input/broken.yaml", "kevolve: 1\nname: [tiny\ntask: tiny\n");
  CheckSays(tiny.Kevolve({"run", tiny.sandbox.Path("input/broken.yaml")}), kExitBadInput,
            {"input/broken.yaml:3:", "error"});
  tiny.Replace("tiny.yaml", "seed: 3", "sed: 3");
  CheckSays(tiny.Run(), kExitBadInput,
            {"input/tiny.yaml:5:1", "'sed'", "did you mean 'seed'?", "^"});
  tiny.Replace("tiny.yaml", "sed: 3", "seed: 3");
  tiny.Replace("tiny/task.yaml", "source: plain.c", "source: ../plain.c");
  CheckSays(tiny.Run(), kExitBadInput, {"tiny/task.yaml:", "inside the task's folder"});
  tiny.Replace("tiny/task.yaml", "source: ../plain.c", "source: gone.c");
  CheckSays(tiny.Run(), kExitBadInput, {"tiny/task.yaml:", "gone.c", "No such file"});
  CHECK(tiny.Runs().empty());
}

TEST_CASE("a missing compiler ends the run and names target file and compiler") {
  Tiny tiny;
  std::string target = ReadFile(SourceDir() + "/configs/targets/cpu.yaml");
  target.replace(target.find("[cc,"), 4, "[no-such-cc,");
  tiny.sandbox.Write("input/odd.yaml", target);
  tiny.Replace("tiny.yaml", "[cpu]", "[odd]");
  const CommandResult result = tiny.Run();
  CheckSays(result, kExitTaskBroken, {"compiler not found", "no-such-cc", "odd.yaml", "apt-get"});
  CHECK(DoneLine(result)["status"] == "failed");
  CheckNobodyLeft(tiny.sandbox);
}

TEST_CASE("a reference that does not compile is told with the compiler's first error") {
  Tiny tiny;
  tiny.sandbox.Write(tiny.Source("reference.c"), "void scale(\n");
  const CommandResult result = tiny.Run();
  CheckSays(result, kExitTaskBroken, {"reference", "no_compile", "kernel.c:1:", "error:"});
  CHECK(DoneLine(result)["best"].is_null());
  CheckNobodyLeft(tiny.sandbox);
}

TEST_CASE("a wrong baseline is told by name, with the place where it differs") {
  Tiny tiny;
  tiny.Replace("tiny/plain.c", "3.0f", "2.5f");
  const CommandResult result = tiny.Run();
  CheckSays(result, kExitTaskBroken, {"baseline 'plain'", "wrong", "y[", "expected", "workload"});
  CheckNobodyLeft(tiny.sandbox);
}

TEST_CASE("a template that never compiles ends with no best, and the run can be read") {
  Tiny tiny;
  tiny.SetTemplate("#error never\n", "BLOCK: [1, 2, 4, 8, 16, 32]");
  tiny.Replace("tiny.yaml", "candidates: 12", "candidates: 5");
  const CommandResult result = tiny.Run();
  CHECK(result.exit_code == kExitNoneStood);
  const Json done = DoneLine(result);
  CHECK(done["best"].is_null());
  CHECK(done["refused"]["no_compile"] == 5);
  CHECK(tiny.Kevolve({"show", done["run"], "c1"}).out.find("#error never") != std::string::npos);
  CheckSays(tiny.Kevolve({"best", done["run"]}), kExitNoneStood, {"no confirmed kernel", "show"});
  CheckNobodyLeft(tiny.sandbox);
}

TEST_CASE("kernels that crash, hang, write elsewhere or lie are only that candidate's verdict") {
  Tiny tiny;
  tiny.SetTemplate(
      "#include <signal.h>\n#include <stdint.h>\n#include <stdlib.h>\n#include <string.h>\n"
      "#include <unistd.h>\n"
      "void scale(const float* x, float* y, int64_t n) {\n"
      "  for (int64_t i = 0; i < n; ++i) y[i] = 3.0f * x[i];\n"
      "#if ACT == 1\n  *(volatile int*)16 = 1;\n"
      "#elif ACT == 2\n  for (;;) __asm__ volatile(\"\");\n"
      "#elif ACT == 3\n  y[n] = 1; y[n + 1] = 2;\n"
      "#elif ACT == 4\n  y[-1] = 1;\n"
      "#elif ACT == 5\n  exit(0);\n"
      "#elif ACT == 6\n  ((float*)x)[0] = 9;\n"
      "#elif ACT == 7\n"
      "  char lie[64] = \"\";\n"
      "  for (int fd = 3; fd < 64; ++fd) if (write(fd, lie, sizeof lie) < 0) continue;\n"
      "#elif ACT == 8\n"  // 1 GiB of output
      "  static char much[1 << 20];\n  memset(much, 'x', sizeof much);\n"
      "  for (int i = 0; i < 1024; ++i) if (write(1, much, sizeof much) < 0) break;\n"
      "#endif\n}\n",
      "ACT: [0, 1, 2, 3, 4, 5, 6, 7, 8]");
  tiny.Replace("tiny.yaml", "candidates: 12", "candidates: 9");
  const CommandResult result = tiny.Run();
  CHECK(result.exit_code == kExitDone);
  const Json done = DoneLine(result);
  REQUIRE(done["status"] == "done");
  const Json run = Json::parse(tiny.Kevolve({"show", done["run"], "--json"}).out);
  std::map<int, std::string> verdicts;
  for (const Json& record : run["records"])
    verdicts[record["parameters"]["ACT"].get<int>()] = record["verdict"];
  CHECK_MESSAGE(verdicts[0] == "ok", run["records"].dump());
  CHECK(verdicts[1] == "crashed");
  CHECK(verdicts[2] == "timeout");
  CHECK(verdicts[3] == "wrong");
  CHECK(verdicts[4] == "wrong");
  CHECK(verdicts[5] == "crashed");
  CHECK(verdicts[6] == "crashed");  // inputs can only be read
  CHECK(verdicts[7] == "cheated");
  CHECK(verdicts.contains(8));  // slow, at most
  uint64_t kept = 0;
  for (const auto& entry : fs::recursive_directory_iterator(tiny.sandbox.Path("home")))
    if (entry.is_regular_file()) kept += entry.file_size();
  CHECK(kept < 32u << 20);  // not what it printed
  CheckNobodyLeft(tiny.sandbox);
}

TEST_CASE("a disk that is too small at the start is told before anything runs") {
  Tiny tiny;
  SmallDisk disk(tiny.sandbox.Path("home"), "8m");
  if (!disk.mounted) return;
  CheckSays(tiny.Run(), kExitEnvironment, {"MiB are free in", "KEVOLVE_HOME"});
  CHECK(tiny.Runs().empty());
  CheckNobodyLeft(tiny.sandbox);
}

TEST_CASE("a disk that fills up holds work back, in words, until there is room") {
  Tiny tiny;
  SmallDisk disk(tiny.sandbox.Path("home"), "160m");
  if (!disk.mounted) return;
  tiny.Replace("tiny.yaml", "candidates: 12", "candidates: 30");
  RunningCommand* run = tiny.sandbox.Start({"kevolve", "run", tiny.Workflow(), "--json"});
  const std::string id = RunIdOf(run);
  REQUIRE(WaitForEvent(run, "candidate"));
  disk.FillUpTo(48 << 20);
  for (const char* text : {"the disk is nearly full", "MiB are left", "the reserve is 64 MiB"})
    CHECK(run->WaitForOutput(text, seconds(60)));
  // What was under way ends; nothing new begins.
  REQUIRE(WaitUntil([&] {
    const Json why = DoneLine(tiny.Kevolve({"explain", id, "--json"}));
    size_t busy = 0;
    for (const Json& step : why["steps"])
      busy += step["sent"].get<size_t>() + step["taken"].get<size_t>();
    return busy == 0 && why.contains("disk");
  }));
  SUBCASE("in the same run") {
    disk.MakeRoom();
    CHECK(run->WaitForOutput("there is room again", seconds(60)));
    const CommandResult result = run->Wait(seconds(120));
    CHECK(result.exit_code == kExitDone);
    CHECK(DoneLine(result)["candidates"] == 30);
  }
  SUBCASE("in one that is resumed") {
    run->Signal(SIGINT);
    CHECK(run->Wait(seconds(60)).exit_code == kExitInterrupted);
    CheckSays(tiny.Kevolve({"resume", id}), kExitEnvironment, {"MiB are free in", "make room"});
    CHECK(tiny.Runs().size() == 1);  // a resumed run that cannot begin is not thrown away
    disk.MakeRoom();
    const CommandResult resumed = tiny.Kevolve({"resume", id, "--json"});
    CHECK(resumed.exit_code == kExitDone);
    CHECK(DoneLine(resumed)["candidates"] == 30);
  }
  CheckNobodyLeft(tiny.sandbox);
}

TEST_CASE(
    "a Redis that dies of a full disk is started again once there is room, and nothing is lost") {
  Tiny tiny;
  SmallDisk disk(tiny.sandbox.Path("home"), "160m");
  if (!disk.mounted) return;
  tiny.Replace("tiny.yaml", "candidates: 12", "candidates: 30");
  RunningCommand* run =
      tiny.sandbox.Start({"kevolve", "run", tiny.Workflow(), "--json", "--durability", "strict"});
  const std::string id = RunIdOf(run);
  REQUIRE(WaitForEvent(run, "candidate"));
  disk.FillUpTo(0);
  // Each order is a commit; the first ones may still fit into the last page of its file.
  REQUIRE(WaitUntil([&] {
    if (run->OutSoFar().find("the store goes on only when there is room") != std::string::npos)
      return true;
    RunningCommand* order = tiny.sandbox.Start({"kevolve", "budget", id, "candidates=30"});
    WaitUntil(
        [&] { return order->Ended() || ProcessesNamed(tiny.sandbox, "redis-server").empty(); },
        seconds(5));
    return false;
  }));
  CHECK(run->OutSoFar().find("the store was lost") != std::string::npos);
  CHECK(ProcessesNamed(tiny.sandbox, "redis-server").empty());
  disk.MakeRoom();
  CHECK(run->WaitForOutput("the store is back", seconds(60)));
  const CommandResult result = run->Wait(seconds(120));
  CHECK_MESSAGE(result.exit_code == kExitDone, result.err);
  CHECK(DoneLine(result)["candidates"] == 30);
  CheckSays(tiny.Kevolve({"replay", id}), kExitDone, {});
  CheckNobodyLeft(tiny.sandbox);
}

TEST_CASE("a home that cannot be written, is too long or is not named is told") {
  Tiny tiny;
  tiny.sandbox.Write("file", "");
  tiny.sandbox.environment["KEVOLVE_HOME"] = tiny.sandbox.Path("file/home");
  CheckSays(tiny.Run(), kExitEnvironment, {"file/home", "Not a directory", "set KEVOLVE_HOME"});
  tiny.sandbox.environment["KEVOLVE_HOME"] = tiny.sandbox.Path("file");
  CheckSays(tiny.Kevolve({"list"}), kExitEnvironment, {"is not a folder", "set KEVOLVE_HOME"});
  tiny.sandbox.environment["KEVOLVE_HOME"] = "/proc/nosuch";
  CheckSays(tiny.Run(), kExitEnvironment, {"/proc/nosuch", "set KEVOLVE_HOME"});
  CheckSays(tiny.Kevolve({"--nosuch"}), kExitBadInput, {"--nosuch", "before the subcommand"});
  const std::string longest = tiny.sandbox.Path(std::string(100, 'a'));
  tiny.sandbox.environment["KEVOLVE_HOME"] = longest;
  CheckSays(tiny.Run(), kExitEnvironment, {"socket path", "107", "shorter path"});
  CHECK_FALSE(fs::exists(longest));
  for (const char* name : {"KEVOLVE_HOME", "XDG_STATE_HOME", "HOME"})
    tiny.sandbox.environment[name] = "";
  CheckSays(tiny.Run(), kExitEnvironment, {"neither KEVOLVE_HOME nor HOME", "set KEVOLVE_HOME"});
  CheckSays(tiny.Kevolve({"list"}), kExitEnvironment, {"neither KEVOLVE_HOME nor HOME"});
  const std::string home = tiny.sandbox.Path("home");
  tiny.sandbox.environment["KEVOLVE_HOME"] = home;
  SmallDisk disk(home, "1m");
  if (!disk.mounted) return;
  REQUIRE(mount(nullptr, home.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0);
  CheckSays(tiny.Run(), kExitEnvironment, {home, "Read-only", "set KEVOLVE_HOME"});
}

TEST_CASE("an endpoint that is malformed, open to the world or in use is told") {
  Tiny tiny;
  CheckSays(tiny.Run({"--listen", "here"}), kExitBadInput, {"--listen here", "tcp://ADDRESS:PORT"});
  CheckSays(tiny.Run({"--listen", "tcp://127.0.0.1:99999"}), kExitBadInput, {"99999", "65535"});
  CheckSays(tiny.Run({"--listen", "tcp://0.0.0.0:0"}), kExitBadInput, {"--insecure"});
  CheckSays(tiny.Run({"--listen", "tcp://127.0.0.1:0", "--insecure", "--access",
                      tiny.sandbox.Path("access")}),
            kExitBadInput, {"--insecure", "--access", "one of the two"});
  const int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  REQUIRE(bind(taken, any, size) == 0);
  REQUIRE(listen(taken, 1) == 0);
  REQUIRE(getsockname(taken, any, &size) == 0);
  const std::string endpoint = "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  CheckSays(tiny.Run({"--listen", endpoint}), kExitEnvironment,
            {endpoint, "Address already in use", "another port"});
  close(taken);
  CHECK(tiny.Runs().empty());  // what never began leaves nothing
  CheckNobodyLeft(tiny.sandbox);
}

TEST_CASE("a missing redis-server is told with its package") {
  Tiny tiny;
  tiny.sandbox.environment["PATH"] = tiny.sandbox.Path("nothing");
  CheckSays(tiny.Run(), kExitEnvironment, {"redis-server", "apt-get install redis-server"});
  CHECK(tiny.Runs().empty());
}

TEST_CASE("a stage program that is missing or keeps ending stops the run and is named") {
  SUBCASE("missing") {
    Tiny tiny;
    tiny.sandbox.environment["KEVOLVE_BUILD_BIN"] =
        ProgramsWith(tiny.sandbox, "kevolve-profile", "");
    CheckSays(tiny.Run(), kExitEnvironment, {"there is no program", "bin/kevolve-profile"});
    CheckNobodyLeft(tiny.sandbox);
  }
  SUBCASE("keeps ending") {
    Tiny tiny;
    tiny.Replace("tiny.yaml", "candidates: 12", "candidates: 3");
    tiny.sandbox.environment["KEVOLVE_BUILD_BIN"] = ProgramsWith(
        tiny.sandbox, "kevolve-verify", "#!/bin/sh\necho no library of that name\nexit 1\n");
    const CommandResult result = tiny.Run();
    CheckSays(result, kExitEnvironment,
              {"kevolve-verify", "status 1", "times in a row", "logs/verify.log", "resume"});
    REQUIRE(tiny.Runs().size() == 1);
    const std::string id = tiny.Runs()[0];
    CHECK(ReadFile(tiny.sandbox.Path("home/runs/" + id + "/logs/verify.log"))
              .find("no library of that name") != std::string::npos);
    CheckNobodyLeft(tiny.sandbox);
    tiny.sandbox.environment["KEVOLVE_BUILD_BIN"] = fs::absolute(BuildBin());
    CHECK(tiny.Kevolve({"resume", id}).exit_code == kExitDone);
  }
}

TEST_CASE("a run in use, an archive that cannot be written and a name that is none are told") {
  Tiny tiny;
  tiny.Replace("tiny.yaml", "candidates: 12", "candidates: 4");
  RunningCommand* run = tiny.sandbox.Start({"kevolve", "run", tiny.Workflow(), "--json"});
  const std::string id = RunIdOf(run);
  const std::string folder = tiny.sandbox.Path("home/runs/" + id);
  fs::create_directories(folder + "/run.kevrun.part/taken");
  REQUIRE(WaitForEvent(run, "candidate"));
  CheckSays(tiny.Kevolve({"resume", id}), kExitEnvironment, {id, "another engine"});
  CheckSays(run->Wait(seconds(90)), kExitEnvironment,
            {"cannot write the archive", "run.kevrun", "kevolve resume " + id});
  fs::remove_all(folder + "/run.kevrun.part");
  const CommandResult resumed = tiny.Kevolve({"resume", id, "--json"});
  CHECK(resumed.exit_code == kExitDone);
  CHECK(DoneLine(resumed)["candidates"] == 4);
  CheckSays(tiny.Kevolve({"resume", id}), kExitBadInput, {"has ended", "kevolve show"});

  for (const char* command : {"show", "best", "log", "replay", "resume"}) {
    CAPTURE(command);
    CheckSays(tiny.Kevolve({command, "no-such-run"}), kExitBadInput,
              {"'no-such-run'", "kevolve list"});
    CheckSays(tiny.Kevolve({command, "../runs/" + id}), kExitBadInput, {"is not a run's name"});
  }
  CheckSays(tiny.Kevolve({"show", id, "c999"}), kExitBadInput, {"'c999'", "c1 to c4"});
  CheckSays(tiny.Kevolve({"best", id, "-o", tiny.sandbox.Path("none/best.c")}), kExitEnvironment,
            {"none/best.c", "No such file"});
  CheckSays(tiny.Kevolve({"best", id, "-o", tiny.sandbox.home()}), kExitEnvironment,
            {"cannot write", "directory"});
  CHECK_FALSE(fs::exists(tiny.sandbox.home() + ".new"));

  const std::string whole = ReadFile(folder + "/run.kevrun");
  tiny.sandbox.Write("empty.kevrun", "");
  tiny.sandbox.Write("noise.kevrun", std::string(4096, '\x5a'));
  tiny.sandbox.Write("head.kevrun", whole.substr(0, 1000));
  tiny.sandbox.Write("cut.kevrun", whole.substr(0, whole.size() - 100));
  for (const char* name : {"empty.kevrun", "noise.kevrun"})
    CheckSays(tiny.Kevolve({"show", tiny.sandbox.Path(name)}), kExitBadInput,
              {name, "is not a run archive"});
  const std::string pipe = tiny.sandbox.Path("pipe.kevrun");
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  for (const char* command : {"show", "replay", "import"})
    CheckSays(tiny.Kevolve({command, pipe}), kExitBadInput, {"pipe.kevrun", "not a regular file"});
  CheckSays(tiny.Kevolve({"replay", tiny.sandbox.Path("head.kevrun")}), kExitBadInput,
            {"head.kevrun", "is cut off"});
  CheckSays(tiny.Kevolve({"show", tiny.sandbox.Path("cut.kevrun")}), kExitDone,
            {"warning", "cut.kevrun", "is cut off"});
  CheckNobodyLeft(tiny.sandbox);
}
