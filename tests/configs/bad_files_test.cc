// The files in good/ load; each file in bad/ gives exactly the messages that stand beside it in a
// .expect file.
//
// task-*.yaml is read as a task, target-*.yaml as a target of a good workflow, workflow-*.yaml as a
// workflow. KEVOLVE_WRITE_EXPECT=1 in the environment writes the .expect files anew; read them
// before committing.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "configs/load.h"

namespace kev {
namespace {

namespace fs = std::filesystem;

fs::path Here() {
  const char* source = std::getenv("KEVOLVE_SOURCE_DIR");
  return fs::path(source != nullptr ? source : ".") / "tests/configs";
}

std::vector<fs::path> YamlFiles(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string Text(const fs::path& path) {
  const Result<std::string> text = DiskFiles().Read(path.string());
  return text ? *text : "";
}

// What loading says of a bad file, with paths that are the same on every machine.
std::string Messages(const fs::path& bad) {
  const fs::path good = Here() / "good";
  const std::string name = bad.filename().string();
  const std::string kernel = Text(good / "tasks/scale/kernel.c");
  std::map<std::string, std::string> files = {
      {"shipped/tasks/scale/task.yaml", Text(good / "tasks/scale/task.yaml")},
      {"shipped/tasks/scale/kernel.c", kernel},
      {"shipped/tasks/fixed/task.yaml", Text(good / "tasks/fixed/task.yaml")},
      {"shipped/tasks/fixed/kernel.c", kernel},
      {"shipped/targets/cpu.yaml", Text(good / "targets/cpu.yaml")}};
  if (name.rfind("task-", 0) == 0) {
    files = {{"t/task.yaml", Text(bad)}, {"t/kernel.c", kernel}, {"t/kernel", kernel}};
    return Format(LoadTask(MemoryFiles(files), "t").diagnostics);
  }
  if (name.rfind("target-", 0) == 0) {
    files["shipped/targets/cpu.yaml"] = Text(bad);
    files[name] = Text(good / "workflows/null.yaml");
  } else {
    files[name] = Text(bad);
  }
  const LoadOutcome outcome = LoadRun(MemoryFiles(files), name, "shipped", {});
  CHECK(outcome.run == nullptr);
  return Format(outcome.diagnostics);
}

TEST_CASE("bad files give the messages that are expected, all of them at once") {
  const std::vector<fs::path> files = YamlFiles(Here() / "bad");
  REQUIRE(files.size() >= 40);
  for (const fs::path& bad : files) {
    fs::path expect = bad;
    expect.replace_extension(".expect");
    const std::string messages = Messages(bad);
    if (std::getenv("KEVOLVE_WRITE_EXPECT") != nullptr) std::ofstream(expect) << messages;
    CAPTURE(bad.filename().string());
    CHECK(messages == Text(expect));
    CHECK(messages.find(": error: ") != std::string::npos);
  }
}

TEST_CASE("good files load without a word") {
  const fs::path good = Here() / "good";
  for (const fs::path& workflow : YamlFiles(good / "workflows")) {
    CAPTURE(workflow.filename().string());
    const LoadOutcome outcome = LoadRun(DiskFiles(), workflow.string(), good.string(), {});
    CHECK(Format(outcome.diagnostics) == "");
    CHECK(outcome.run != nullptr);
  }
}

}  // namespace
}  // namespace kev
