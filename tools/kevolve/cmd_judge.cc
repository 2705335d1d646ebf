// kevolve judge: one kernel against a task, without engine, Redis or configuration.
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "engine/core/random.h"
#include "stages/judge/kernel_judge.h"
#include "tools/kevolve/commands.h"
#include "tools/live/exit_code.h"
#include "tools/live/home.h"

namespace kev {
namespace {

namespace fs = std::filesystem;

std::atomic<bool> g_interrupted{false};
void Interrupt(int) { g_interrupted = true; }

// The judge's workflow in memory, everything else from disk.
class WithWorkflow : public FileSource {
 public:
  WithWorkflow(std::string path, std::string text)
      : path_(std::move(path)), text_(std::move(text)) {}
  Result<std::string> Read(const std::string& path) const override {
    return path == path_ ? Result<std::string>(text_) : disk_.Read(path);
  }

 private:
  std::string path_, text_;
  DiskFiles disk_;
};

Result<LoadedRun> LoadForJudge(const JudgeCommandOptions& options) {
  const std::string path = "judge.yaml";
  // Task and target come from the command line, as with `run --task`.
  const WithWorkflow files(path, JudgeWorkflow("given", "given"));
  Overrides overrides;
  overrides.task = options.task;
  overrides.target = options.target;
  LoadOutcome outcome = LoadRun(files, path, ShippedConfigs(), overrides);
  if (!outcome.run)
    return Error{Code::kInvalid, "the task or target does not load:\n" + Format(outcome.diagnostics)};
  return std::move(*outcome.run);
}

// The seed of inputs and held-out shapes: made once per cache folder, for its owner's eyes only.
Result<int64_t> SecretIn(const std::string& folder) {
  const std::string path = folder + "/secret";
  std::error_code ignored;
  fs::create_directories(folder, ignored);
  {
    std::ifstream file(path);
    int64_t secret = 0;
    if (file >> secret) return secret;
  }
  uint64_t bits = 0;
  std::ifstream random("/dev/urandom", std::ios::binary);
  random.read(reinterpret_cast<char*>(&bits), sizeof(bits));
  const auto secret = static_cast<int64_t>(bits >> 1);
  const std::string draft = path + "." + std::to_string(getpid());
  std::ofstream file(draft);
  fs::permissions(draft, fs::perms::owner_read | fs::perms::owner_write, ignored);
  file << secret << "\n";
  file.close();
  if (file) fs::rename(draft, path, ignored);
  if (!file || ignored)
    return Error{Code::kPermission, "cannot write " + path + "; set KEVOLVE_HOME to a folder of yours"};
  return secret;
}

// A field of the result object: what the last step that has it said.
const Value& Latest(const Value& facts, const char* name) {
  static const Value none;
  for (const char* step : {"confirm", "screen", "check", "smoke", "build"}) {
    if (facts[step].Has(name)) return facts[step][name];
  }
  return none;
}

Value Summary(const Judgement& judgement) {
  Value out;
  out.Set("verdict", Name(judgement.verdict));
  out.Set("reason", judgement.reason);
  out.Set("stage", judgement.stage);
  const bool ok = judgement.verdict == Verdict::kOk;
  for (const char* name : {"speedup", "speedup_low", "speedup_high", "speedup_vs", "aa_band",
                           "faster", "noisy", "trust", "isolation", "bottleneck", "latency_ns",
                           "baseline", "fidelity", "launches", "cache", "conditions"}) {
    out.Set(name, Latest(judgement.facts, name));
  }
  if (!ok) {
    for (const char* name : {"speedup", "speedup_low", "speedup_high"}) out.Set(name, 0.0);
  }
  if (out["trust"].IsNull()) out.Set("trust", "B");
  out.Set("workloads", judgement.facts["confirm"].IsMap() ? judgement.facts["confirm"]["workloads"]
                                                         : judgement.facts["screen"]["workloads"]);
  out.Set("errors", Latest(judgement.facts, "errors"));
  return out;
}

void Print(const Value& summary) {
  std::cout << summary["verdict"].AsString();
  if (summary["verdict"].AsString() == "ok") {
    char text[200];
    std::snprintf(text, sizeof(text), ": %.3gx [%.3gx, %.3gx] against '%s', A/A band %.2g %%, trust %s",
                  summary["speedup"].AsDouble(), summary["speedup_low"].AsDouble(),
                  summary["speedup_high"].AsDouble(), summary["baseline"].AsString().c_str(),
                  100 * std::expm1(summary["aa_band"].AsDouble()),
                  summary["trust"].AsString().c_str());
    std::cout << text << "\n";
    for (const auto& [name, workload] : summary["workloads"].AsMap()) {
      std::snprintf(text, sizeof(text), "  %-20s %6.3gx [%.3gx, %.3gx] %12.4g us%s\n", name.c_str(),
                    workload["speedup"].AsDouble(), workload["low"].AsDouble(),
                    workload["high"].AsDouble(), workload["latency_ns"].AsDouble() / 1e3,
                    workload["held_out"].AsBool() ? "  (held out)" : "");
      std::cout << text;
    }
    if (!summary["bottleneck"].AsString().empty())
      std::cout << "  bottleneck: " << summary["bottleneck"].AsString() << "\n";
  } else {
    std::cout << " (" << summary["stage"].AsString() << "): " << summary["reason"].AsString() << "\n";
  }
  std::cout << "  confined by " << summary["isolation"].AsString() << std::endl;
}

}  // namespace

int JudgeCommand(const JudgeCommandOptions& options) {
  std::ifstream file(options.source, std::ios::binary);
  if (!file) {
    return Complain(Error{Code::kNotFound, "cannot read the kernel " + options.source +
                                               "; --source takes a file such as kernel.c"});
  }
  const std::string source(std::istreambuf_iterator<char>(file), {});
  Result<LoadedRun> run = LoadForJudge(options);
  if (!run.ok()) return Complain(run.error());
  if (const Status s = CheckHome(); !s.ok()) return Complain(s.error());
  JudgeOptions judge_options;
  judge_options.cache_folder = HomeFolder() + "/cache/judge";
  judge_options.scratch =
      (fs::temp_directory_path() / ("kevolve-judge-" + std::to_string(getpid()))).string();
  judge_options.launches = options.launches;
  judge_options.screen_only = options.screen;
  judge_options.cancelled = &g_interrupted;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) std::signal(number, Interrupt);
  Result<int64_t> secret = SecretIn(judge_options.cache_folder);
  if (!secret.ok()) return Complain(secret.error());
  judge_options.secret = *secret;
  std::error_code ignored;
  const auto clean = [&] { fs::remove_all(judge_options.scratch, ignored); };
  auto judge = KernelJudge::Make(std::move(*run), judge_options);
  if (!judge.ok()) {
    clean();
    Complain(judge.error());
    return judge.error().code == Code::kInvalid ? kExitTaskBroken : kExitEnvironment;
  }
  Result<Judgement> judgement =
      (*judge)->Judge(source, fs::path(options.source).filename().string());
  judge->reset();
  clean();
  if (!judgement.ok()) return Complain(judgement.error());
  const Value summary = Summary(*judgement);
  if (options.json) {
    std::cout << ToJson(summary) << std::endl;
  } else {
    Print(summary);
  }
  if (g_interrupted) return kExitInterrupted;
  return judgement->verdict == Verdict::kOk ? kExitDone : kExitNoneStood;
}

}  // namespace kev
