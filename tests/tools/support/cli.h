// Running the built programs in tests: a home of its own for each test, commands with captured
// output, and a deadline. Threads: one. Everything that a test started is ended with it.
#ifndef KEV_TESTS_TOOLS_SUPPORT_CLI_H_
#define KEV_TESTS_TOOLS_SUPPORT_CLI_H_

#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace kev::test {

struct CommandResult {
  int exit_code = -1;  // 128 + signal when a signal ended it
  bool timed_out = false;
  std::string out;
  std::string err;
  // The lines of `out`; and the last one, which --json makes the result.
  std::vector<std::string> Lines() const;
  std::string LastLine() const;
};

// A command that is running. Ended (SIGKILL to its group) when destroyed before Wait.
class RunningCommand {
 public:
  RunningCommand(const std::vector<std::string>& argv,
                 const std::map<std::string, std::string>& environment, const std::string& folder);
  ~RunningCommand();
  RunningCommand(const RunningCommand&) = delete;
  RunningCommand& operator=(const RunningCommand&) = delete;
  pid_t pid() const { return pid_; }
  std::string OutSoFar() const;
  std::string ErrSoFar() const;
  bool Ended() const;
  // Waits until `text` stands in the output; false when the command ended or the deadline passed
  // without it.
  bool WaitForOutput(const std::string& text, std::chrono::seconds limit);
  void Signal(int number);
  CommandResult Wait(std::chrono::seconds limit);

 private:
  pid_t pid_ = -1;
  std::string out_path_;
  std::string err_path_;
  bool waited_ = false;
};

// A fresh KEVOLVE_HOME under /tmp, removed at the end together with processes that still use it.
class Sandbox {
 public:
  Sandbox();
  ~Sandbox();
  const std::string& home() const { return home_; }
  std::map<std::string, std::string> environment;  // added to the programs' environment
  std::string Path(const std::string& name) const { return home_ + "/" + name; }
  void Write(const std::string& name, const std::string& text) const;  // relative to home()
  // Runs build/bin/<argv[0]>.
  CommandResult Run(std::vector<std::string> argv,
                    std::chrono::seconds limit = std::chrono::seconds(60)) const;
  RunningCommand* Start(std::vector<std::string> argv);  // owned by the sandbox
  std::vector<std::string> RunIds() const;               // folders in home()/runs
  // Pids of processes whose command line or working folder names this home.
  std::vector<pid_t> Processes() const;

 private:
  std::string home_;
  std::vector<RunningCommand*> started_;
};

std::string BuildBin();   // build/bin
std::string SourceDir();  // root of the sources
std::string ReadFile(const std::string& path);

}  // namespace kev::test

#endif  // KEV_TESTS_TOOLS_SUPPORT_CLI_H_
