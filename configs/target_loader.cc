#include "configs/target_loader.h"

#include <algorithm>

#include "configs/section_reader.h"

namespace kev {
namespace {

const std::vector<std::string> kArtefacts = {"shared_library", "cubin"};

void ReadLanguage(const YamlNode& key, const YamlNode& node, Report& report, Target* target) {
  Target::Language language;
  const YamlNode* compile = nullptr;
  ReadSection(node, "a language",
              {{"compile",
                [&](const YamlNode& value, Report& r) {
                  compile = &value;
                  Texts (&language.compile)(value, r);
                },
                true},
               {"artefact", TextIn(&language.artefact, kArtefacts)}},
              report);
  if (key.text.size() < 2 || key.text.front() != '.') {
    report.Error(key.at,
                 "a language is named by the suffix of its files, like .c, not '" + key.text + "'");
  }
  for (const char* const needed : {"{source}", "{output}"}) {
    if (compile == nullptr || !compile->IsList()) break;
    const auto& words = language.compile;
    if (std::none_of(words.begin(), words.end(),
                     [&](const std::string& w) { return w.find(needed) != w.npos; })) {
      report.Error(compile->at, std::string("the compile line must contain \"") + needed + "\"");
    }
  }
  target->languages[key.text] = std::move(language);
}

// "last", or a list like 1 or 2-3,5
bool IsCores(const std::string& text) {
  if (text == "last") return true;
  bool digit = false;
  for (const char c : text) {
    const bool separator = c == ',' || c == '-';
    if ((!separator && (c < '0' || c > '9')) || (separator && !digit)) return false;
    digit = !separator;
  }
  return digit;
}

}  // namespace

LoadTargetOutcome LoadTarget(const FileSource& files, const std::string& path) {
  Result<std::string> text = files.Read(path);
  Report report(path, text ? *text : "");
  if (!text) {
    report.Error({}, text.error().message);
    return {report.Take(), nullptr};
  }
  const std::optional<YamlNode> root = ParseYaml(*text, &report);
  if (!root) return {report.Take(), nullptr};

  auto target = std::make_unique<Target>();
  const Reader languages = [&](const YamlNode& node, Report& r) {
    ReadEach(node, "`languages`", r, [&](const YamlNode& key, const YamlNode& value) {
      ReadLanguage(key, value, r, target.get());
    });
    if (node.IsMap() && node.entries.empty())
      r.Error(node.at, "a target needs at least one language");
  };
  const Reader device = [&](const YamlNode& node, Report& r) {
    ReadSection(node, "`device`",
                {{"cores",
                  [&](const YamlNode& cores, Report& inner) {
                    Text (&target->cores)(cores, inner);
                    if (!IsCores(target->cores)) {
                      inner.Error(cores.at, "must be `last` or CPU numbers like 1 or 2-3, not " +
                                                Describe(cores));
                    }
                  },
                  true}},
                r);
  };
  const Reader peaks = [&](const YamlNode& node, Report& r) {
    double flops = 0, bytes = 0;
    ReadSection(node, "`peaks`", {{"flops", Positive(&flops)}, {"bytes", Positive(&bytes)}}, r);
    if (flops > 0) target->peaks["flops"] = flops;
    if (bytes > 0) target->peaks["bytes"] = bytes;
  };
  ReadSection(*root, "a target",
              {{"kevolve_target", FormatVersion(), true},
               {"name", Text(&target->name), true},
               {"about", Text(&target->about)},
               {"artefact", TextIn(&target->artefact, kArtefacts), true},
               {"languages", languages, true},
               {"runner", TextIn(&target->runner, {"cpu", "cuda"}), true},
               {"device", device, true},
               {"peaks", peaks},
               {"environment", TextMap(&target->environment)}},
              report, {"knowledge", "resource_usage", "toolchain"});
  const auto gives_cubins = [&] {
    return target->artefact == "cubin" ||
           std::any_of(target->languages.begin(), target->languages.end(),
                       [](const auto& l) { return l.second.artefact == "cubin"; });
  };
  if (target->runner == "cpu" && gives_cubins())
    report.Error(root->at, "cubins run on a GPU: such a target needs `runner: cuda`");
  const bool good = !report.HasErrors();
  return {report.Take(), good ? std::move(target) : nullptr};
}

}  // namespace kev
