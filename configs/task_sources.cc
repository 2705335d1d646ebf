#include <algorithm>
#include <utility>

#include "configs/suggestion.h"
#include "configs/task_sections.h"

namespace kev {
namespace {

bool StaysInside(const std::string& path) {
  if (path.empty() || path.front() == '/') return false;
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    if (path.compare(at, end - at, "..") == 0) return false;
    at = end + 1;
  }
  return true;
}

void ReadSource(const YamlNode& node, const std::string& what, TaskContext& context,
                SourceSpec* source, const std::vector<Field>& more = {}) {
  const YamlNode* libraries = nullptr;
  std::vector<Field> fields = {{"source",
                                [&](const YamlNode& file, Report&) {
                                  ReadSourceFile(file, context, &source->path, &source->text);
                                },
                                true},
                               {"flags", Texts(&source->flags)},
                               {"libraries", [&](const YamlNode& list, Report& r) {
                                  libraries = &list;
                                  Texts (&source->libraries)(list, r);
                                }}};
  fields.insert(fields.end(), more.begin(), more.end());
  ReadSection(node, what, fields, context.report);
  if (libraries != nullptr) CheckLibraries(*libraries, context);
}

}  // namespace

bool ReadSourceFile(const YamlNode& node, TaskContext& context, std::string* path,
                    std::string* text) {
  Text(path)(node, context.report);
  if (path->empty()) return false;
  if (!StaysInside(*path)) {
    context.report.Error(node.at,
                         "a source lies inside the task's folder; this path leads out of it");
    return false;
  }
  if (path->find('.') == std::string::npos) {
    context.report.Error(node.at, "the file's suffix says its language; this one has none");
  }
  Result<std::string> content = context.files.Read(context.folder + "/" + *path);
  if (!content) {
    context.report.Error(node.at, content.error().message);
    return false;
  }
  *text = std::move(*content);
  return true;
}

void CheckLibraries(const YamlNode& list, TaskContext& context) {
  std::vector<std::string> known;
  for (const auto& [name, library] : context.task.libraries) known.push_back(name);
  for (const YamlNode& item : list.items) {
    if (item.IsScalar() && !context.task.libraries.count(item.text)) {
      context.report.Error(item.at, "unknown library '" + item.text +
                                        "'; libraries are declared in `libraries`" +
                                        DidYouMean(item.text, known));
    }
  }
}

void ReadLibraries(const YamlNode& node, TaskContext& context) {
  ReadEach(node, "`libraries`", context.report, [&](const YamlNode& key, const YamlNode& value) {
    Library library;
    ReadSection(value, "a library",
                {{"link", Texts(&library.link), true},
                 {"loads", Texts(&library.loads)},
                 {"environment", TextMap(&library.environment)}},
                context.report);
    context.task.libraries[key.text] = std::move(library);
  });
}

void ReadReference(const YamlNode& node, TaskContext& context) {
  SourceSpec source;
  std::string precision;
  source.name = "reference";
  ReadSource(node, "`reference`", context, &source, {{"precision", TextIn(&precision, {"f64"})}});
  context.task.reference_in_f64 = precision == "f64";
  context.task.reference = std::move(source);
}

void ReadBaselines(const YamlNode& node, TaskContext& context) {
  ReadEach(node, "`baselines`", context.report, [&](const YamlNode& key, const YamlNode& value) {
    SourceSpec baseline;
    baseline.name = key.text;
    if (!IsIdentifier(key.text))
      context.report.Error(key.at, "a baseline's name must be an identifier");
    if (key.text == "reference")
      context.report.Error(key.at, "'reference' is the name of the reference");
    ReadSource(value, "a baseline", context, &baseline);
    context.task.baselines.push_back(std::move(baseline));
  });
  if (node.IsMap() && node.entries.empty()) {
    context.report.Error(node.at, "a task needs at least one baseline to be faster than");
  }
}

}  // namespace kev
