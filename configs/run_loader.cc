#include "configs/run_loader.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "configs/section_reader.h"
#include "configs/suggestion.h"
#include "configs/target_loader.h"
#include "configs/workflow_graph.h"

namespace kev {
namespace {

namespace fs = std::filesystem;

// Remembers the text of every file that was read.
class Recorder : public FileSource {
 public:
  explicit Recorder(const FileSource& files) : files_(files) {}
  Result<std::string> Read(const std::string& path) const override {
    Result<std::string> text = files_.Read(path);
    if (text) read_[path] = *text;
    return text;
  }
  const std::map<std::string, std::string>& read() const { return read_; }

 private:
  const FileSource& files_;
  mutable std::map<std::string, std::string> read_;
};

std::string Normal(const fs::path& path) {
  std::string text = path.lexically_normal().generic_string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

// Where `name` may be: beside the workflow, or shipped; the command line means shipped ones first,
// then its own folder.
std::vector<std::string> Candidates(const std::string& name, const std::string& workflow_path,
                                    const std::string& shipped, bool from_command_line) {
  const bool is_path = name.find('/') != std::string::npos || name == "." || name == "..";
  const std::string here =
      Normal(from_command_line ? fs::path(name) : fs::path(workflow_path).parent_path() / name);
  const std::string there = Normal(fs::path(shipped) / name);
  if (is_path) return {here};
  if (from_command_line) return {there, here};
  return {here, there};
}

// The first of `candidates` for which `file` can be read, or "" (then `error` says what was looked
// for).
std::string FirstReadable(const FileSource& files, const std::vector<std::string>& candidates,
                          const std::string& file, std::string* error) {
  for (const std::string& candidate : candidates) {
    const Result<std::string> text = files.Read(candidate + file);
    if (text) return candidate;
    if (text.error().code != Code::kNotFound) {
      *error = text.error().message;
      return "";
    }
    *error += (error->empty() ? "" : " and no ") + candidate + file;
  }
  *error = "there is no " + *error;
  return "";
}

// What a shipped folder offers: its subfolders, and its YAML files without the suffix.
std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.is_directory(error) || entry.path().extension() == ".yaml")
      names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class RunLoader {
 public:
  RunLoader(const FileSource& files, const std::string& path, const std::string& shipped,
            const Overrides& overrides, const Places* places)
      : files_(files), path_(path), shipped_(shipped), overrides_(overrides), places_(places) {}

  LoadOutcome Load() {
    Result<std::string> text = files_.Read(path_);
    Report report(path_, text ? *text : "");
    if (!text) {
      report.Error({}, text.error().message);
      return {report.Take(), nullptr};
    }
    const std::optional<YamlNode> root = ParseYaml(*text, &report);
    if (!root) return {report.Take(), nullptr};
    run_->files[BundledName(path_)] = *text;
    run_->workflow_path = path_;
    WorkflowDraft draft = ReadWorkflow(*root, report);
    if (root->IsMap()) {
      LinkSteps(&draft, report);
      ApplyOverrides(&draft, report);
      CheckEnd(draft, report);
      LoadTarget(draft, report);
      LoadTask(draft, report);
      if (task_) CheckTogether(draft, report);
    }
    const bool good = !report.HasErrors();
    LoadOutcome outcome{report.Take(), nullptr};
    if (!good) return outcome;
    FinishPlan(std::move(draft));
    outcome.run = std::move(run_);
    return outcome;
  }

 private:
  void ApplyOverrides(WorkflowDraft* draft, Report& report) {
    for (const auto& [key, value] : overrides_.budget) {
      Report option("--" + key, "");
      OverrideBudget(key, value, &draft->plan.budget, option);
      report.Append(option.Take());
    }
    if (!overrides_.seed.empty()) {
      Report option("--seed", "");
      Count(&draft->plan.seed, 0, INT64_MAX)(
          {YamlNode::Kind::kScalar, overrides_.seed, false, {}, {}, {}}, option);
      report.Append(option.Take());
    }
  }

  // Something must end the search. Tokens and money only run out where a model is asked.
  void CheckEnd(const WorkflowDraft& draft, Report& report) {
    bool proposes = false, asks_model = false;
    for (const Step& step : draft.plan.steps) {
      proposes = proposes || (step.kind == StageKind::kPropose && !step.stage.empty());
      asks_model = asks_model || step.stage == "propose/llm";
    }
    const Budget& b = draft.plan.budget;
    const bool paid = b.tokens > 0 || b.usd > 0;
    const bool ends = b.candidates > 0 || b.evaluations > 0 || b.wall_ms > 0 || b.device_s > 0 ||
                      draft.plan.stop.plateau > 0 || (paid && asks_model);
    if (!proposes || ends || draft.limits_broken) return;
    if (paid) {
      report.Error(draft.top,
                   "this run would never end: no step spends tokens or money; give `budget` "
                   "candidates or wall");
    } else if (draft.plan.stop.speedup > 0) {
      report.Error(
          draft.top,
          "this run may never end: the speedup in `stop` may not be reached; give `budget` "
          "candidates or wall too");
    } else {
      report.Error(draft.top,
                   "this run would never end: give `budget` (candidates, wall, …) or `stop: { "
                   "plateau: N }`");
    }
  }

  void LoadTarget(const WorkflowDraft& draft, Report& report) {
    const std::string& wanted = overrides_.target.empty() ? draft.target : overrides_.target;
    std::string file = places_ != nullptr ? places_->target_file : "";
    if (file.empty()) {
      const std::string suffix = fs::path(wanted).extension() == ".yaml" ? "" : ".yaml";
      std::string error;
      file = FirstReadable(
          files_, Candidates(wanted, path_, shipped_ + "/targets", !overrides_.target.empty()),
          suffix, &error);
      if (file.empty()) {
        NotFound(
            "target", wanted, overrides_.target, draft.target_at,
            error + DidYouMean(fs::path(wanted).stem().string(), NamesIn(shipped_ + "/targets")),
            report);
        return;
      }
      file += suffix;
    }
    Recorder recorder(files_);
    LoadTargetOutcome outcome = kev::LoadTarget(recorder, file);
    report.Append(std::move(outcome.diagnostics));
    if (!outcome.target) return;
    for (const auto& [path, text] : recorder.read()) {
      run_->files[std::string(kTargetFolder) + "/" + fs::path(path).filename().generic_string()] =
          text;
    }
    run_->targets.push_back(std::move(*outcome.target));
  }

  void LoadTask(const WorkflowDraft& draft, Report& report) {
    const std::string& wanted = overrides_.task.empty() ? draft.task : overrides_.task;
    std::string folder = places_ != nullptr ? places_->task_folder : "";
    if (folder.empty() && wanted.empty()) return;  // reported as a missing key
    if (folder.empty()) {
      std::string error;
      folder = FirstReadable(
          files_, Candidates(wanted, path_, shipped_ + "/tasks", !overrides_.task.empty()),
          "/task.yaml", &error);
      if (folder.empty()) {
        NotFound("task", wanted, overrides_.task, draft.task_at,
                 error + DidYouMean(wanted, NamesIn(shipped_ + "/tasks")), report);
        return;
      }
    }
    Recorder recorder(files_);
    LoadTaskOutcome outcome = kev::LoadTask(recorder, folder);
    report.Append(std::move(outcome.diagnostics));
    if (!outcome.task) return;
    task_file_ = folder + "/task.yaml";
    for (const auto& [path, text] : recorder.read())
      run_->files[kTaskFolder + path.substr(folder.size())] = text;
    run_->task = std::move(*outcome.task);
    task_ = true;
  }

  static void NotFound(const char* what, const std::string& wanted, const std::string& override,
                       Position at, const std::string& error, Report& report) {
    const std::string message = std::string(what) + " '" + wanted + "' is not found: " + error;
    if (override.empty()) {
      report.Error(at, message);
      return;
    }
    Report option(std::string("--") + what, "");
    option.Error({}, message);
    report.Append(option.Take());
  }

  // What only workflow, task and target together can show.
  void CheckTogether(const WorkflowDraft& draft, Report& report) {
    for (size_t i = 0; i < draft.steps.size(); ++i) {
      if (draft.plan.steps[i].stage == "propose/tune" && run_->task.variants.empty()) {
        report.Error(draft.steps[i].at, "propose/tune needs templates, and the task '" +
                                            run_->task.name + "' has no `variants`");
      }
    }
    if (run_->targets.empty()) return;
    Report task_report(task_file_, "");
    std::set<std::string> seen;
    const auto check = [&](const std::string& path) {
      const std::string suffix = fs::path(path).extension().generic_string();
      if (run_->targets[0].languages.count(suffix) || !seen.insert(suffix).second) return;
      task_report.Error({}, path + ": the target '" + run_->targets[0].name +
                                "' has no language for " + suffix + " files");
    };
    check(run_->task.reference.path);
    for (const SourceSpec& baseline : run_->task.baselines) check(baseline.path);
    for (const Variant& variant : run_->task.variants) check(variant.path);
    report.Append(task_report.Take());
  }

  Prepared Prepare(const SourceSpec& source, bool reference) const {
    Prepared prepared;
    prepared.name = source.name;
    prepared.reference = reference;
    prepared.source_name = fs::path(source.path).filename().generic_string();
    Value::List flags(source.flags.begin(), source.flags.end());
    Value::List link;
    for (const std::string& library : source.libraries) {
      const auto& words = run_->task.libraries.at(library).link;
      link.insert(link.end(), words.begin(), words.end());
    }
    prepared.build.Set("flags", std::move(flags));
    prepared.build.Set("link", std::move(link));
    return prepared;
  }

  void FinishPlan(WorkflowDraft draft) {
    Plan& plan = run_->plan;
    plan = std::move(draft.plan);
    if (plan.workflow.empty()) plan.workflow = fs::path(path_).stem().generic_string();
    plan.task = run_->task.name;
    plan.target = run_->targets[0].name;
    plan.prepared.push_back(Prepare(run_->task.reference, true));
    for (const SourceSpec& baseline : run_->task.baselines)
      plan.prepared.push_back(Prepare(baseline, false));
  }

  const FileSource& files_;
  const std::string& path_;
  const std::string& shipped_;
  const Overrides& overrides_;
  const Places* places_;
  std::unique_ptr<LoadedRun> run_ = std::make_unique<LoadedRun>();
  bool task_ = false;
  std::string task_file_;
};

}  // namespace

std::string BundledName(const std::string& workflow_path) {
  return fs::path(workflow_path).filename().generic_string();
}

LoadOutcome LoadRunAt(const FileSource& files, const std::string& path, const std::string& shipped,
                      const Overrides& overrides, const Places* places) {
  return RunLoader(files, path, shipped, overrides, places).Load();
}

LoadOutcome LoadRun(const FileSource& files, const std::string& path, const std::string& shipped,
                    const Overrides& overrides) {
  return LoadRunAt(files, path, shipped, overrides, nullptr);
}

}  // namespace kev
