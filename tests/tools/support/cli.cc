#include "tests/tools/support/cli.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace kev::test {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

void Pause() { poll(nullptr, 0, 5); }

std::string FromEnvironment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : value;
}

}  // namespace

std::string BuildBin() { return FromEnvironment("KEVOLVE_BUILD_BIN", "build/bin"); }
std::string SourceDir() { return FromEnvironment("KEVOLVE_SOURCE_DIR", "."); }

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<std::string> CommandResult::Lines() const {
  std::vector<std::string> lines;
  std::istringstream in(out);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string CommandResult::LastLine() const {
  const auto lines = Lines();
  return lines.empty() ? "" : lines.back();
}

RunningCommand::RunningCommand(const std::vector<std::string>& argv,
                               const std::map<std::string, std::string>& environment,
                               const std::string& folder) {
  static int number = 0;
  const std::string base =
      folder + "/cmd-" + std::to_string(getpid()) + "-" + std::to_string(++number);
  out_path_ = base + ".out";
  err_path_ = base + ".err";
  pid_ = fork();
  if (pid_ == 0) {
    setpgid(0, 0);
    const int out = open(out_path_.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
    const int err = open(err_path_.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
    const int in = open("/dev/null", O_RDONLY);
    dup2(in, 0);
    dup2(out, 1);
    dup2(err, 2);
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    std::vector<char*> words;
    for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    execvp(words[0], words.data());
    _exit(127);
  }
}

RunningCommand::~RunningCommand() {
  if (waited_ || pid_ <= 0) return;
  kill(-pid_, SIGKILL);
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

std::string RunningCommand::OutSoFar() const { return ReadFile(out_path_); }
std::string RunningCommand::ErrSoFar() const { return ReadFile(err_path_); }
void RunningCommand::Signal(int number) { kill(pid_, number); }

bool RunningCommand::Ended() const {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == pid_;
}

bool RunningCommand::WaitForOutput(const std::string& text, std::chrono::seconds limit) {
  const auto until = Clock::now() + limit;
  while (Clock::now() < until) {
    if (OutSoFar().find(text) != std::string::npos) return true;
    if (Ended()) return OutSoFar().find(text) != std::string::npos;
    Pause();
  }
  return false;
}

CommandResult RunningCommand::Wait(std::chrono::seconds limit) {
  CommandResult result;
  const auto until = Clock::now() + limit;
  int status = 0;
  while (waitpid(pid_, &status, WNOHANG) == 0) {
    if (Clock::now() > until) {
      result.timed_out = true;
      kill(-pid_, SIGKILL);
      kill(pid_, SIGKILL);
      waitpid(pid_, &status, 0);
      break;
    }
    Pause();
  }
  waited_ = true;
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = OutSoFar();
  result.err = ErrSoFar();
  return result;
}

Sandbox::Sandbox() {
  char folder[] = "/tmp/kev-test-XXXXXX";
  home_ = mkdtemp(folder);
  environment["KEVOLVE_HOME"] = home_;
  for (const char* name : {"KEVOLVE_LLM_URL", "KEVOLVE_LLM_MODEL", "KEVOLVE_LLM_API_KEY"})
    environment[name] = "";
}

Sandbox::~Sandbox() {
  for (RunningCommand* command : started_) delete command;
  for (const pid_t pid : Processes()) kill(pid, SIGKILL);
  std::error_code ignored;
  fs::remove_all(home_, ignored);
}

void Sandbox::Write(const std::string& name, const std::string& text) const {
  const fs::path path = fs::path(home_) / name;
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

CommandResult Sandbox::Run(std::vector<std::string> argv, std::chrono::seconds limit) const {
  argv[0] = BuildBin() + "/" + argv[0];
  RunningCommand command(argv, environment, home_);
  return command.Wait(limit);
}

RunningCommand* Sandbox::Start(std::vector<std::string> argv) {
  argv[0] = BuildBin() + "/" + argv[0];
  started_.push_back(new RunningCommand(argv, environment, home_));
  return started_.back();
}

std::vector<std::string> Sandbox::RunIds() const {
  std::vector<std::string> ids;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(home_ + "/runs", ignored))
    ids.push_back(entry.path().filename().string());
  return ids;
}

std::vector<pid_t> Sandbox::Processes() const {
  std::vector<pid_t> pids;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const pid_t pid = static_cast<pid_t>(std::strtol(entry.path().filename().c_str(), nullptr, 10));
    if (pid <= 1 || pid == getpid()) continue;
    const std::string command = ReadFile(entry.path() / "cmdline");
    const fs::path folder = fs::read_symlink(entry.path() / "cwd", ignored);
    const std::string environ = ReadFile(entry.path() / "environ");
    if (command.find(home_) != std::string::npos || folder.string().starts_with(home_) ||
        environ.find("KEVOLVE_HOME=" + home_) != std::string::npos) {
      pids.push_back(pid);
    }
  }
  return pids;
}

}  // namespace kev::test
