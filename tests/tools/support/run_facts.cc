#include "tests/tools/support/run_facts.h"

#include <poll.h>
#include <signal.h>

#include <cstdlib>
#include <sstream>

namespace kev::test {

std::string Fixture(const std::string& name) {
  return SourceDir() + "/tests/tools/fixtures/" + name;
}

std::vector<Json> JsonLines(const std::string& text) {
  std::vector<Json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line) && !in.eof();) {
    Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (json.is_object()) lines.push_back(std::move(json));
  }
  return lines;
}

Json DoneLine(const CommandResult& result) {
  return Json::parse(result.LastLine(), nullptr, /*allow_exceptions=*/false);
}

bool WaitUntil(const std::function<bool()>& holds, std::chrono::seconds limit) {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > until) return false;
    poll(nullptr, 0, 10);
  }
  return true;
}

std::string RunIdOf(RunningCommand* command) {
  command->WaitForOutput("\"event\":\"started\"", std::chrono::seconds(60));
  for (const Json& line : JsonLines(command->OutSoFar())) {
    if (line["event"] == "started") return line["run"];
  }
  return "";
}

bool WaitForEvent(RunningCommand* command, const std::string& event) {
  return command->WaitForOutput("\"event\":\"" + event + "\"", std::chrono::seconds(60));
}

std::vector<Json> LogOf(const Sandbox& sandbox, const std::string& run) {
  return JsonLines(sandbox.Run({"kevolve", "log", run, "--json"}).out);
}

std::string JobOf(const Json& event) {
  return event.value("job", "") + "/" + std::to_string(event.value("step", 0)) + "/" +
         std::to_string(event.value("index", 0));
}

std::set<pid_t> WorkersIn(const std::vector<Json>& log, const std::set<int>& steps) {
  std::set<pid_t> pids;
  for (const Json& event : log) {
    if (event["event"] != "result" || !event.contains("worker")) continue;
    if (!steps.empty() && !steps.contains(event.value("step", 0))) continue;
    const std::string worker = event["worker"];
    pids.insert(std::atoi(worker.c_str() + worker.rfind(':') + 1));
  }
  return pids;
}

std::string ProgramOf(pid_t pid) {
  std::string name = ReadFile("/proc/" + std::to_string(pid) + "/comm");
  if (!name.empty()) name.pop_back();
  return name;
}

double CpuSecondsOf(pid_t pid) {
  const std::string stat = ReadFile("/proc/" + std::to_string(pid) + "/stat");
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(stat.substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;  // utime and stime are 14 and 15
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

pid_t ParentOf(pid_t pid) {
  const std::string status = ReadFile("/proc/" + std::to_string(pid) + "/status");
  const size_t at = status.find("\nPPid:");
  return at == std::string::npos ? 0 : std::atoi(status.c_str() + at + 6);
}

std::vector<pid_t> ProcessesNamed(const Sandbox& sandbox, const std::string& program) {
  std::set<pid_t> pids;
  for (const pid_t pid : sandbox.Processes()) {
    if (ProgramOf(pid) == program) pids.insert(pid);
  }
  // What it starts looks like itself until its exec.
  std::vector<pid_t> parents;
  for (const pid_t pid : pids) {
    if (!pids.contains(ParentOf(pid))) parents.push_back(pid);
  }
  return parents;
}

void KillEverything(const Sandbox& sandbox) {
  WaitUntil([&] {
    const std::vector<pid_t> pids = sandbox.Processes();
    for (const pid_t pid : pids) kill(pid, SIGKILL);
    return pids.empty();
  });
}

}  // namespace kev::test
