// Reading what the programs print: JSON lines, a run's event log, and processes; and waiting for a
// state with a bound. Used by the end-to-end tests beside cli.h. Threads: one.
#ifndef KEV_TESTS_TOOLS_SUPPORT_RUN_FACTS_H_
#define KEV_TESTS_TOOLS_SUPPORT_RUN_FACTS_H_

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/tools/support/cli.h"

namespace kev::test {

using Json = nlohmann::json;

// Path of a workflow in tests/tools/fixtures.
std::string Fixture(const std::string& name);

// The whole lines of `text` that are JSON objects.
std::vector<Json> JsonLines(const std::string& text);
// The last line of a command's output; discarded when it is not JSON.
Json DoneLine(const CommandResult& result);

// Looks again every few milliseconds until `holds`, or until `limit` has passed: then false.
bool WaitUntil(const std::function<bool()>& holds,
               std::chrono::seconds limit = std::chrono::seconds(60));

// Id of the run that `command` (kevolve run --json) has started; "" when it started none.
std::string RunIdOf(RunningCommand* command);
bool WaitForEvent(RunningCommand* command, const std::string& event);

// Events as `kevolve log RUN --json` gives them; empty when the run cannot be read (yet).
std::vector<Json> LogOf(const Sandbox& sandbox, const std::string& run);
std::string JobOf(const Json& event);  // "c1/2/0": subject, step, index
// Pids of the workers that reported results, for the steps given (all without any).
std::set<pid_t> WorkersIn(const std::vector<Json>& log, const std::set<int>& steps = {});

pid_t ParentOf(pid_t pid);         // 0 when it is gone
double CpuSecondsOf(pid_t pid);    // user and system time so far, 0 when it is gone
std::string ProgramOf(pid_t pid);  // the process's name in /proc, "" when it is gone
// Without those that one of them has just forked.
std::vector<pid_t> ProcessesNamed(const Sandbox& sandbox, const std::string& program);
// SIGKILL to every process of this home, until none is left.
void KillEverything(const Sandbox& sandbox);

}  // namespace kev::test

#endif  // KEV_TESTS_TOOLS_SUPPORT_RUN_FACTS_H_
