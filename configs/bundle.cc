#include <utility>

#include "configs/diagnostics.h"
#include "configs/run_loader.h"

namespace kev {
namespace {

constexpr int64_t kBundleVersion = 1;

std::string TargetFile(const LoadedRun& run) {
  const std::string folder = std::string(kTargetFolder) + "/";
  const auto file = run.files.lower_bound(folder);
  return file != run.files.end() && file->first.rfind(folder, 0) == 0 ? file->first : "";
}

}  // namespace

Value MakeBundle(const LoadedRun& run, const Overrides& overrides) {
  Value files{Value::Map{}};
  for (const auto& [path, text] : run.files) files.Set(path, Value(Value::Bytes{text}));
  Value budget{Value::Map{}};
  for (const auto& [key, text] : overrides.budget) budget.Set(key, text);
  Value bundle;
  bundle.Set("version", kBundleVersion);
  bundle.Set("workflow", BundledName(run.workflow_path));
  bundle.Set("target", TargetFile(run));
  bundle.Set("files", std::move(files));
  bundle.Set("budget", std::move(budget));
  bundle.Set("seed", overrides.seed);
  return bundle;
}

Result<LoadedRun> OpenBundle(const Value& bundle) {
  if (bundle["version"].AsInt() != kBundleVersion || !bundle["files"].IsMap()) {
    return Error{Code::kCorrupt,
                 "the run's bundle has version " + ToJson(bundle["version"]) +
                     ", this program reads 1: use the same version of kevolve everywhere"};
  }
  std::map<std::string, std::string> files;
  for (const auto& [path, text] : bundle["files"].AsMap()) files[path] = text.AsBytes();
  Overrides overrides;
  for (const auto& [key, text] : bundle["budget"].AsMap()) overrides.budget[key] = text.AsString();
  overrides.seed = bundle["seed"].AsString();
  const Places places{kTaskFolder, bundle["target"].AsString()};
  LoadOutcome outcome = LoadRunAt(MemoryFiles(std::move(files)), bundle["workflow"].AsString(), "",
                                  overrides, &places);
  if (!outcome.run) {
    return Error{Code::kCorrupt, "the run's bundle does not load:\n" + Format(outcome.diagnostics)};
  }
  return std::move(*outcome.run);
}

}  // namespace kev
