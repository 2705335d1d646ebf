// kevolve gc: makes room: removes ended runs and cached files, oldest first.
#include <algorithm>
#include <filesystem>
#include <iostream>

#include "configs/units.h"
#include "tools/kevolve/commands.h"
#include "tools/live/exit_code.h"
#include "tools/live/file_system.h"
#include "tools/live/run_removal.h"

namespace kev {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kDayMs = 24ull * 3600 * 1000;

// "30d", or a duration as in a workflow.
std::optional<uint64_t> AgeFrom(const std::string& text) {
  if (text.ends_with("d")) {
    const auto days = ParseNumber(text.substr(0, text.size() - 1));
    if (!days || *days < 0 || *days > 1e5) return std::nullopt;
    return static_cast<uint64_t>(*days * static_cast<double>(kDayMs));
  }
  return ParseDurationMs(text);
}

Status Remove(const Removable& thing) {
  if (!thing.run.empty()) {
    const auto removed = RemoveRun({thing.run, thing.path});
    return removed ? Status() : Status(removed.error());
  }
  std::error_code error;
  fs::remove(thing.path, error);
  if (!error) return {};
  return Error{Code::kPermission, "cannot remove " + thing.path + ": " + error.message()};
}

struct Limits {
  size_t keep = 0;
  std::optional<uint64_t> older_than_ms;
  std::optional<uint64_t> quota;
  bool keep_given = false;
};

std::vector<Removable> Choose(const Limits& limits) {
  std::vector<Removable> runs = EndedRuns();
  runs.resize(runs.size() - std::min(runs.size(), limits.keep));  // the newest stay
  std::vector<Removable> files = CachedFiles();
  std::vector<Removable> chosen;
  const auto old = [&](const Removable& thing) {
    return fs::file_time_type::clock::now() - thing.when >
           std::chrono::milliseconds(limits.older_than_ms.value_or(0));
  };
  if (!limits.quota) {
    for (const Removable& run : runs) {
      if (old(run)) chosen.push_back(run);
    }
    for (const Removable& file : files) {  // --keep alone says nothing of them
      if (limits.older_than_ms && old(file)) chosen.push_back(file);
    }
    return chosen;
  }
  uint64_t total = FolderBytes(RunsFolder()) + FolderBytes(HomeFolder() + "/cache");
  std::vector<Removable> all = std::move(runs);
  all.insert(all.end(), files.begin(), files.end());
  std::sort(all.begin(), all.end(),
            [](const Removable& a, const Removable& b) { return a.when < b.when; });
  for (const Removable& thing : all) {
    if (total <= *limits.quota) break;
    if (limits.older_than_ms && !old(thing)) continue;
    total -= std::min(total, thing.bytes);
    chosen.push_back(thing);
  }
  return chosen;
}

}  // namespace

int GcCommand(const KeepOptions& options) {
  if (const Status s = CheckHome(); !s.ok()) return Complain(s.error());
  Limits limits;
  limits.keep_given = options.keep >= 0;
  limits.keep = static_cast<size_t>(std::max(0, options.keep));
  if (!options.older_than.empty()) {
    limits.older_than_ms = AgeFrom(options.older_than);
    if (!limits.older_than_ms) {
      return Complain({Code::kInvalid, "--older-than " + options.older_than +
                                           ": write an age, such as 30d or 12h"});
    }
  }
  if (!options.quota.empty()) {
    limits.quota = BytesFrom(options.quota);
    if (!limits.quota) {
      return Complain(
          {Code::kInvalid, "--quota " + options.quota + ": write a size, such as 20G or 500M"});
    }
  }
  if (!limits.keep_given && !limits.older_than_ms && !limits.quota) {
    return Complain(
        {Code::kInvalid,
         "say what may go: --keep N, --older-than 30d or --quota 20G (with --dry-run it "
         "is only listed)"});
  }
  uint64_t freed = 0;
  size_t runs = 0, files = 0;
  int exit_code = kExitDone;
  for (const Removable& thing : Choose(limits)) {
    if (!options.dry_run) {
      if (const Status s = Remove(thing); !s.ok()) {
        exit_code = Complain(s.error());
        continue;
      }
    }
    freed += thing.bytes;
    ++(thing.run.empty() ? files : runs);
    if (!thing.run.empty() && !options.json)
      std::cout << (options.dry_run ? "would remove " : "removed ") << thing.run << " ("
                << BytesText(thing.bytes) << ")\n";
  }
  if (options.json) {
    Value v;
    v.Set("runs", static_cast<uint64_t>(runs));
    v.Set("cached_files", static_cast<uint64_t>(files));
    v.Set("bytes", freed);
    v.Set("dry_run", options.dry_run);
    std::cout << ToJson(v) << std::endl;
  } else {
    std::cout << (options.dry_run ? "would free " : "freed ") << BytesText(freed) << ": " << runs
              << " run(s), " << files << " cached file(s)\n";
  }
  return exit_code;
}

}  // namespace kev
