// kevolve judge: one kernel against a task, without engine, Redis or configuration.
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "engine/core/packed.h"
#include "engine/core/visible_text.h"
#include "stages/judge/kernel_judge.h"
#include "stages/judge/load_for_judge.h"
#include "tools/kevolve/commands.h"
#include "tools/live/exit_code.h"
#include "tools/live/home.h"
#include "tools/live/interrupts.h"
#include "tools/live/judge_folders.h"

namespace kev {
namespace {

namespace fs = std::filesystem;

// What cannot be written is found out before minutes of measuring.
Status CheckOutputFile(const std::string& option, const std::string& path) {
  if (path.empty()) return {};
  std::error_code error;
  if (fs::is_directory(path, error))
    return Error{Code::kInvalid, option + " " + path + " is a directory; name a file"};
  const fs::path folder = fs::path(path).has_parent_path() ? fs::path(path).parent_path() : ".";
  if (access(folder.c_str(), W_OK) == 0) return {};
  return Error{Code::kPermission, "cannot write " + path + ": its folder " + folder.string() +
                                      " is missing or not writable; name a file elsewhere"};
}

// Writes what the last step that measured calls `name`, and notes the file in the result; null, and
// a line, when the kernel never came to be measured. `packed`: it is MessagePack, and written as
// JSON for a name in .json.
Status WriteMeasured(const Judgement& judgement, const char* name, bool packed,
                     const std::string& path, Value* summary) {
  if (path.empty()) return {};
  summary->Set(name, Value());
  for (const char* step : {"confirm/", "screen/"}) {
    const auto found = judgement.blobs.find(std::string(step) + name);
    if (found == judgement.blobs.end()) continue;
    const bool json = packed && fs::path(path).extension() == ".json";
    if (Status written = WriteFile(
            path, json ? ToJson(PackedView(found->second).ToValue()) + "\n" : found->second);
        !written.ok())
      return written;
    summary->Set(name, path);
    return {};
  }
  std::cerr << "kevolve: no " << name << (packed ? " were" : " was") << " written to " << path
            << ": the kernel was refused before it was measured" << std::endl;
  return {};
}

Result<std::string> ReadSource(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    return Error{Code::kInvalid,
                 "the kernel " + path + " is a directory; --source takes a file such as kernel.c"};
  }
  Result<std::string> source = DiskFiles().Read(path);
  if (source.ok()) return source;
  return Error{Code::kInvalid,
               source.error().message + "; --source takes a readable file such as kernel.c"};
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
  out.Set("reason", VisibleLine(judgement.reason));
  out.Set("stage", judgement.step);
  const bool ok = judgement.verdict == Verdict::kOk;
  for (const char* name :
       {"speedup", "speedup_low", "speedup_high", "speedup_vs", "aa_band", "faster", "noisy",
        "trust", "isolation", "bottleneck", "latency_ns", "floor_ns", "suspect", "baseline",
        "fidelity", "launches", "cache", "conditions"}) {
    out.Set(name, Latest(judgement.facts, name));
  }
  if (!ok) {
    for (const char* name : {"speedup", "speedup_low", "speedup_high"}) out.Set(name, 0.0);
  }
  if (out["trust"].IsNull()) out.Set("trust", judgement.trust);
  if (out["bottleneck"].IsNull()) out.Set("bottleneck", "unknown");
  out.Set("workloads", judgement.facts["confirm"].IsMap() ? judgement.facts["confirm"]["workloads"]
                                                          : judgement.facts["screen"]["workloads"]);
  out.Set("errors", Latest(judgement.facts, "errors"));
  return out;
}

void Print(const Value& summary) {
  std::cout << summary["verdict"].AsString();
  if (summary["verdict"].AsString() == "ok") {
    char text[200];
    std::snprintf(
        text, sizeof(text), ": %.3gx [%.3gx, %.3gx] against '%s', A/A band %.2g %%, trust %s",
        summary["speedup"].AsDouble(), summary["speedup_low"].AsDouble(),
        summary["speedup_high"].AsDouble(), summary["baseline"].AsString().c_str(),
        100 * std::expm1(summary["aa_band"].AsDouble()), summary["trust"].AsString().c_str());
    std::cout << text << "\n";
    for (const auto& [name, workload] : summary["workloads"].AsMap()) {
      std::snprintf(text, sizeof(text), "  %-20s %6.3gx [%.3gx, %.3gx] %12.4g us%s\n", name.c_str(),
                    workload["speedup"].AsDouble(), workload["low"].AsDouble(),
                    workload["high"].AsDouble(), workload["latency_ns"].AsDouble() / 1e3,
                    workload["held_out"].AsBool() ? "  (held out)" : "");
      std::cout << text;
    }
    std::cout << "  bottleneck: " << summary["bottleneck"].AsString() << "\n";
    if (summary["suspect"].AsBool())
      std::cout << "  suspect: " << summary["reason"].AsString() << "\n";
  } else {
    std::cout << " (" << summary["stage"].AsString() << "): " << summary["reason"].AsString()
              << "\n";
  }
  if (!summary["isolation"].AsString().empty())
    std::cout << "  confined by " << summary["isolation"].AsString() << "\n";
  std::cout << std::flush;
}

}  // namespace

int JudgeCommand(const JudgeCommandOptions& options) {
  const auto refuse = [&](const Error& error, int exit_code) {
    return Complain(error, exit_code, options.json);
  };
  const auto bad_input = [&](const Error& error) { return refuse(error, ExitCodeOf(error)); };
  Result<std::string> source = ReadSource(options.source);
  if (!source.ok()) return bad_input(source.error());
  Result<LoadedRun> run = LoadForJudge(options.task, options.target, ShippedConfigs());
  if (!run.ok()) return bad_input(run.error());
  const std::string source_name = fs::path(options.source).filename().string();
  if (Status known = CheckLanguage(*run, source_name); !known.ok()) return bad_input(known.error());
  if (Status known = CheckLibraries(*run, options.libraries); !known.ok())
    return bad_input(known.error());
  for (const auto& [option, path] :
       {std::pair("--samples", options.samples), std::pair("--profile", options.profile)}) {
    if (Status there = CheckOutputFile(option, path); !there.ok()) return bad_input(there.error());
  }
  const InterruptFlag interrupts;  // until the folders are gone
  Result<JudgeFolders> folders = JudgeFolders::Make();
  if (!folders.ok()) return bad_input(folders.error());
  if (!folders->note().empty()) std::cerr << "kevolve: " << folders->note() << std::endl;
  JudgeOptions judge_options;
  judge_options.cache_folder = folders->cache();
  judge_options.scratch = folders->scratch();
  judge_options.launches = options.launches;
  judge_options.screen_only = options.screen;
  judge_options.libraries = options.libraries;
  judge_options.cancelled = &interrupts.flag();
  judge_options.on_note = [](const std::string& note) {
    std::cerr << "kevolve: " << note << std::endl;
  };
  Result<int64_t> secret = folders->Secret();
  if (!secret.ok()) return bad_input(secret.error());
  judge_options.secret = *secret;
  const auto failed = [&](const Error& error) {
    if (interrupts.flag())
      return refuse(Error{Code::kUnavailable, "interrupted; there is no judgement"},
                    kExitInterrupted);
    return refuse(error, JudgeExitCode(error));
  };
  auto judge = KernelJudge::Make(std::move(*run), judge_options);
  if (!judge.ok()) return failed(judge.error());
  Result<Judgement> judgement = (*judge)->Judge(*source, source_name);
  if (!judgement.ok()) return failed(judgement.error());
  Value summary = Summary(*judgement);
  Status written = WriteMeasured(*judgement, "samples", true, options.samples, &summary);
  if (written.ok())
    written = WriteMeasured(*judgement, "profile", false, options.profile, &summary);
  if (!written.ok()) return bad_input(written.error());
  if (options.json) {
    std::cout << ToJson(summary) << std::endl;
  } else {
    Print(summary);
  }
  if (judgement->verdict == Verdict::kCancelled) return kExitInterrupted;
  return judgement->verdict == Verdict::kOk ? kExitDone : kExitNoneStood;
}

}  // namespace kev
