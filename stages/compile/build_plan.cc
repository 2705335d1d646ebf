#include "stages/compile/build_plan.h"

#include <algorithm>

namespace kev {
namespace {

struct BuildWords {
  std::vector<std::string> flags;
  std::vector<std::string> link;
};

std::vector<std::string> Strings(const Value& list) {
  std::vector<std::string> words;
  for (const Value& word : list.AsList()) words.push_back(word.AsString());
  return words;
}

Status AddLibraries(const std::vector<std::string>& names, const Task& task, BuildWords* words) {
  for (const std::string& name : names) {
    auto library = task.libraries.find(name);
    if (library == task.libraries.end())
      return Error{Code::kInvalid, "task " + task.name + " declares no library '" + name + "'"};
    words->link.insert(words->link.end(), library->second.link.begin(), library->second.link.end());
  }
  return {};
}

Result<BuildWords> WordsOf(const Job& job, const Task& task) {
  BuildWords words;
  const CandidateView& candidate = *job.candidate;
  if (candidate.id.kind == SubjectKind::kPrepared) {
    const Value& build = job.settings["build"];
    words.flags = Strings(build["flags"]);
    words.link = Strings(build["link"]);
    if (Status added = AddLibraries(Strings(build["libraries"]), task, &words); !added)
      return added.error();
  } else if (!candidate.variant.empty()) {
    auto variant = std::find_if(task.variants.begin(), task.variants.end(),
                                [&](const Variant& v) { return v.name == candidate.variant; });
    if (variant == task.variants.end())
      return Error{Code::kInvalid, candidate.name + " was made from variant '" + candidate.variant +
                                       "', which task " + task.name + " does not have"};
    words.flags = variant->flags;
    if (Status added = AddLibraries(variant->libraries, task, &words); !added) return added.error();
  } else if (Status added = AddLibraries(Strings(job.settings["libraries"]), task, &words);
             !added) {
    return added.error();
  }
  return words;
}

std::string Replaced(std::string word, const std::string& from, const std::string& to) {
  for (size_t at = word.find(from); at != std::string::npos; at = word.find(from, at + to.size()))
    word.replace(at, from.size(), to);
  return word;
}

}  // namespace

Result<const Target*> TargetOf(const Job& job, const LoadedRun& run) {
  for (const Target& target : run.targets)
    if (target.name == job.target) return &target;
  return Error{Code::kInvalid, "the run has no target '" + job.target + "', which " + job.label +
                                   " is to be compiled for"};
}

std::string SuffixOf(const std::string& file_name) {
  size_t dot = file_name.rfind('.');
  size_t slash = file_name.rfind('/');
  if (dot == std::string::npos || (slash != std::string::npos && dot < slash)) return "";
  return file_name.substr(dot);
}

std::string ArtefactOf(const Target& target, const std::string& file_name) {
  const auto language = target.languages.find(SuffixOf(file_name));
  const bool own = language != target.languages.end() && !language->second.artefact.empty();
  return own ? language->second.artefact : target.artefact;
}

Result<BuildPlan> PlanBuild(const Job& job, const Task& task, const Target& target) {
  std::string suffix = SuffixOf(job.candidate->source_name);
  auto language = target.languages.find(suffix);
  if (language == target.languages.end()) {
    std::string known;
    for (const auto& [name, unused] : target.languages) known += (known.empty() ? "" : ", ") + name;
    return Error{Code::kNotFound, "target " + target.name + " compiles " + known + " files, not '" +
                                      job.candidate->source_name + "'"};
  }
  Result<BuildWords> words = WordsOf(job, task);
  if (!words) return words.error();
  BuildPlan plan;
  plan.source_file = "kernel" + suffix;
  plan.output_file = "kernel.out";
  plan.artefact = ArtefactOf(target, job.candidate->source_name);
  for (const std::string& word : language->second.compile) {
    if (word == "{flags}") {
      plan.argv.insert(plan.argv.end(), words->flags.begin(), words->flags.end());
    } else if (word == "{link}") {
      plan.argv.insert(plan.argv.end(), words->link.begin(), words->link.end());
    } else {
      plan.argv.push_back(
          Replaced(Replaced(word, "{source}", plan.source_file), "{output}", plan.output_file));
    }
  }
  if (plan.argv.empty())
    return Error{Code::kInvalid, "target " + target.name + " gives no command for " + suffix};
  return plan;
}

std::string FileOf(const Target& target, const LoadedRun& run) {
  const std::string name = target.name + ".yaml";
  for (const auto& [path, text] : run.files) {
    if (text.find("kevolve_target") == std::string::npos) continue;
    // A target need not be named as its file is.
    if (path.ends_with("/" + name) || text.find("name: " + target.name + "\n") != std::string::npos)
      return path;
  }
  return name;
}

}  // namespace kev
