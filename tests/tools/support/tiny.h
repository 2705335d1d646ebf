// A home of its own with a task to be spoilt, and what a command must say of it.
#ifndef KEV_TESTS_TOOLS_SUPPORT_TINY_H_
#define KEV_TESTS_TOOLS_SUPPORT_TINY_H_

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/tools/support/run_facts.h"

namespace kev::test {

// A home with a copy of the tiny task beside it, to be spoilt.
class Tiny {
 public:
  Tiny() {
    std::filesystem::create_directories(sandbox.Path("input"));
    std::filesystem::copy(Fixture("tiny"), sandbox.Path("input/tiny"));
    std::filesystem::copy(Fixture("tiny.yaml"), sandbox.Path("input/tiny.yaml"));
    std::filesystem::create_directories(sandbox.Path("home"));
    sandbox.environment["KEVOLVE_HOME"] = sandbox.Path("home");
  }
  std::string Workflow() const { return sandbox.Path("input/tiny.yaml"); }
  std::string Source(const std::string& name) const { return "input/tiny/" + name; }
  void Replace(const std::string& name, const std::string& from, const std::string& to) {
    std::string text = ReadFile(sandbox.Path("input/" + name));
    const size_t at = text.find(from);
    REQUIRE_MESSAGE(at != std::string::npos, name << " holds no " << from);
    sandbox.Write("input/" + name, text.replace(at, from.size(), to));
  }
  // Gives every candidate something to do that `parameters` select.
  void SetTemplate(const std::string& source, const std::string& parameters) {
    sandbox.Write(Source("blocks.c"), source);
    const std::string task = ReadFile(sandbox.Path(Source("task.yaml")));
    sandbox.Write(Source("task.yaml"), task.substr(0, task.find("variants:")) +
                                           "variants:\n  - name: blocks\n    source: blocks.c\n"
                                           "    parameters: { " +
                                           parameters + " }\n");
  }
  CommandResult Run(std::vector<std::string> more = {"--json"}) {
    more.insert(more.begin(), {"kevolve", "run", Workflow()});
    return sandbox.Run(more, std::chrono::seconds(90));
  }
  CommandResult Kevolve(std::vector<std::string> words) {
    words.insert(words.begin(), "kevolve");
    return sandbox.Run(words, std::chrono::seconds(90));
  }
  std::vector<std::string> Runs() const {
    std::vector<std::string> ids;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(sandbox.Path("home/runs"), none))
      ids.push_back(entry.path().filename());
    return ids;
  }
  Sandbox sandbox;
};

inline void CheckSays(const CommandResult& result, int exit_code,
                      const std::vector<std::string>& words) {
  CHECK_FALSE(result.timed_out);
  CHECK(result.exit_code == exit_code);
  for (const std::string& word : words) {
    CHECK_MESSAGE(result.err.find(word) != std::string::npos,
                  "no '" << word << "' in: " << result.err);
  }
}

// Nothing of the home runs any more; what the programs end last may still be dying.
inline void CheckNobodyLeft(const Sandbox& sandbox) {
  CHECK(WaitUntil([&] { return sandbox.Processes().empty(); }, std::chrono::seconds(10)));
}

}  // namespace kev::test

#endif  // KEV_TESTS_TOOLS_SUPPORT_TINY_H_
