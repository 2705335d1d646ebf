#include "stages/judge/load_for_judge.h"

#include <filesystem>
#include <utility>

namespace kev {
namespace {

constexpr const char* kPath = "judge.yaml";

// The proposer is one that asks nothing of a task; its budget of one candidate is never spent.
constexpr const char* kWorkflow =
    "kevolve: 1\n"
    "name: judge\n"
    "task: given\n"
    "targets: [given]\n"
    "budget: { candidates: 1 }\n"
    "steps:\n"
    "  given:   { uses: propose/llm }\n"
    "  build:   { uses: compile, needs: given }\n"
    "  smoke:   { uses: verify, needs: build, with: { rigor: smoke } }\n"
    "  screen:  { uses: profile, needs: smoke, with: { rigor: screen, give_up: 1000x } }\n"
    "  check:   { uses: verify, needs: screen }\n"
    "  confirm: { uses: profile, needs: check, with: { rigor: final } }\n"
    "  pick:    { uses: select, proposes: { given: fill } }\n";

// The workflow from memory, everything else from disk.
class WithWorkflow : public FileSource {
 public:
  Result<std::string> Read(const std::string& path) const override {
    return path == kPath ? Result<std::string>(std::string(kWorkflow)) : disk_.Read(path);
  }

 private:
  DiskFiles disk_;
};

}  // namespace

Result<LoadedRun> LoadForJudge(const std::string& task, const std::string& target,
                               const std::string& shipped) {
  if (task.empty())
    return Error{Code::kInvalid, "no task is named; give a shipped task or a task folder"};
  if (target.empty())
    return Error{Code::kInvalid, "no target is named; give a shipped target such as cpu"};
  Overrides overrides;
  overrides.task = task;
  overrides.target = target;
  LoadOutcome outcome = LoadRun(WithWorkflow(), kPath, shipped, overrides);
  if (!outcome.run) {
    std::string text = Format(outcome.diagnostics);
    while (text.ends_with('\n')) text.pop_back();
    return Error{Code::kInvalid, "the task or the target does not load:\n" + text};
  }
  return std::move(*outcome.run);
}

Status CheckLibraries(const LoadedRun& run, const std::vector<std::string>& libraries) {
  std::string known;
  for (const auto& [name, unused] : run.task.libraries) known += (known.empty() ? "" : ", ") + name;
  for (const std::string& name : libraries) {
    if (run.task.libraries.contains(name)) continue;
    return Error{Code::kInvalid, "task " + run.task.name + " declares no library '" + name + "'; " +
                                     (known.empty() ? "it declares none" : "it declares " + known)};
  }
  return {};
}

Status CheckLanguage(const LoadedRun& run, const std::string& source_name) {
  const Target& target = run.targets.front();
  if (target.languages.contains(std::filesystem::path(source_name).extension().string())) return {};
  std::string known;
  for (const auto& [suffix, unused] : target.languages)
    known += (known.empty() ? "" : ", ") + suffix;
  return Error{Code::kInvalid, "the target '" + target.name + "' compiles " + known +
                                   " files, and '" + source_name +
                                   "' is none; give the file the suffix of its language"};
}

}  // namespace kev
