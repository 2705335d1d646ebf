// kevolve fsck: checks what is stored of a run against its log; --repair writes the projections
// anew.
#include <algorithm>
#include <iostream>

#include "queue/redis_store.h"
#include "tools/kevolve/commands.h"
#include "tools/live/check_run.h"
#include "tools/live/confirmed_mark.h"
#include "tools/live/exit_code.h"

namespace kev {
namespace {

struct Check {
  std::vector<Finding> findings;
  size_t events = 0;
  size_t missing_blobs = 0;
  std::string skipped;  // what was not checked, and why
  size_t repaired = 0;
};

// What is wrong with the newest snapshot; nullopt: nothing, or there is none, or it is of another
// version, which folds the log instead.
Result<std::optional<Finding>> CheckSnapshot(RedisStore& store, const RunCore& core) {
  const auto snapshot = store.Snapshot(core.run());
  if (!snapshot) return snapshot.error();
  const auto& fields = snapshot->fields;
  const bool any = std::any_of(fields.begin(), fields.end(),
                               [](const auto& field) { return !field.second.empty(); });
  if (!any) return std::optional<Finding>();
  RunCore::Options lean;
  lean.keep_ended = false;
  const auto restored = RunCore::FromSnapshot(fields, lean);
  const auto bad = [](const std::string& what) {
    return std::optional<Finding>(Finding{"snapshot", what});
  };
  if (!restored && restored.error().code == Code::kCorrupt) return bad(restored.error().message);
  if (restored && (*restored)->last_seq() != snapshot->seq)
    return bad("it says that it is of event " + std::to_string(snapshot->seq) +
               ", and is of event " + std::to_string((*restored)->last_seq()));
  if (snapshot->seq > core.last_seq())
    return bad("it is of event " + std::to_string(snapshot->seq) + ", and the log ends at event " +
               std::to_string(core.last_seq()));
  return std::optional<Finding>();
}

// Keys of records that were over when the newest snapshot was taken; when that is damaged, when
// events last left the store.
Result<std::set<std::string>> TakenByCompaction(RedisStore& store, const std::string& run,
                                                bool snapshot_is_good,
                                                const std::map<std::string, uint64_t>& over) {
  const auto first = store.FirstSeq(run);
  if (!first) return first.error();
  uint64_t until = *first;
  if (snapshot_is_good) {
    const auto snapshot = store.Snapshot(run);
    if (!snapshot) return snapshot.error();
    until = std::max(until, snapshot->seq);
  }
  std::set<std::string> gone;
  for (const auto& [key, seq] : over) {
    if (seq <= until) gone.insert(key);
  }
  return gone;
}

Result<Check> CheckStored(const KeepOptions& options) {
  auto opened = StoredRun::OpenUnfolded(options.runs.front());
  Check check;
  if (!opened && opened.error().code == Code::kCorrupt) {
    check.findings.push_back({"log", opened.error().message});
    check.skipped = "projections and blobs (the log comes first)";
    return check;
  }
  if (!opened) return opened.error();
  StoredRun& run = **opened;
  Warn(run);
  if (run.store_address.empty()) {
    auto reader = ArchiveReader::Open(run.where);
    if (!reader) return reader.error();
    if (const Status s = (*reader)->Verify(); !s.ok())
      check.findings.push_back({"file", s.error().message});
    if (!run.warning.empty()) check.findings.push_back({"file", run.warning});
  }
  RunCore core(run.id);
  std::map<std::string, uint64_t> over;
  if (auto finding = CheckLog(run, &core, &over)) {
    check.findings.push_back(std::move(*finding));
    check.skipped = "projections and blobs (the log comes first)";
    check.events = core.last_seq();
    return check;
  }
  check.events = core.last_seq();
  if (!run.store_address.empty() && run.state != StoredRun::State::kLive) {
    const auto folder = FindRunFolder(run.id);
    if (!folder) return folder.error();
    const auto lost = [&](const std::string& what) { check.findings.push_back({"log", what}); };
    if (const Status s = CheckConfirmedMark(*folder, core.last_seq(), lost); !s.ok())
      lost(s.error().message);
    if (!check.findings.empty()) {
      check.skipped = "projections and blobs (the log comes first)";
      return check;
    }
  }
  const auto missing = MissingBlobs(run);
  if (!missing) return missing.error();
  check.missing_blobs = missing->size();
  if (!missing->empty()) {
    check.findings.push_back(
        {"blobs", std::to_string(missing->size()) +
                      " that the log names are not there or damaged, first: " + missing->front()});
  }
  if (run.store_address.empty()) {
    if (options.repair) check.skipped = "repair (an archive has no projections)";
    return check;
  }
  if (run.state == StoredRun::State::kLive) {
    check.skipped = "projections (the run is live, and they change meanwhile)";
    if (options.repair) {
      return Error{Code::kExists, "run " + run.id +
                                      " is live; its projections are repaired when no engine "
                                      "drives it"};
    }
    return check;
  }
  auto admin = RedisAdmin::Connect(run.store_address);
  if (!admin) return admin.error();
  auto store = RedisStore::Connect(run.store_address);
  if (!store) return store.error();
  const auto snapshot = CheckSnapshot(**store, core);
  if (!snapshot) return snapshot.error();
  if (*snapshot && options.repair) {
    // An engine does without it, from the log.
    if (Status s = (*admin)->DropProjection(run.id, "snap"); !s.ok()) return s.error();
    ++check.repaired;
  } else if (*snapshot) {
    check.findings.push_back(**snapshot);
  }
  const auto gone = TakenByCompaction(**store, run.id, !*snapshot, over);
  if (!gone) return gone.error();
  auto differences = CheckProjections(**admin, core, *gone);
  if (!differences) return differences.error();
  if (options.repair && !differences->empty()) {
    if (Status s = RepairProjections(**admin, core, *gone); !s.ok()) return s.error();
    auto left = CheckProjections(**admin, core, *gone);
    if (!left) return left.error();
    check.repaired += differences->size();
    differences = std::move(left);
  }
  for (Finding& finding : *differences) check.findings.push_back(std::move(finding));
  return check;
}

}  // namespace

int FsckCommand(const KeepOptions& options) {
  const std::string& name = options.runs.front();
  const auto check = CheckStored(options);
  if (!check) return Complain(check.error());
  const bool good = check->findings.empty();
  if (options.json) {
    Value v;
    v.Set("run", name);
    v.Set("good", good);
    v.Set("events", static_cast<uint64_t>(check->events));
    v.Set("differences", static_cast<uint64_t>(check->findings.size()));
    v.Set("missing_blobs", static_cast<uint64_t>(check->missing_blobs));
    v.Set("repaired", static_cast<uint64_t>(check->repaired));
    if (!good) {
      v.Set("first_part", check->findings.front().part);
      v.Set("first_difference", check->findings.front().what);
    }
    if (!check->skipped.empty()) v.Set("skipped", check->skipped);
    std::cout << ToJson(v) << std::endl;
  } else {
    std::cout << "run " << name << ": " << check->events << " events, " << check->missing_blobs
              << " blob(s) named and not there, or damaged\n";
    if (!check->skipped.empty()) std::cout << "  not checked: " << check->skipped << "\n";
    if (check->repaired > 0)
      std::cout << "  repaired " << check->repaired << " difference(s) in the projections\n";
    if (good) std::cout << "  everything agrees with the log\n";
  }
  if (good) return kExitDone;
  std::cerr << "kevolve: run " << name << " differs first in its " << check->findings.front().part
            << ": " << check->findings.front().what;
  if (check->findings.size() > 1)
    std::cerr << " (and " << check->findings.size() - 1 << " more differences)";
  if (check->findings.front().part == "projection")
    std::cerr << "; --repair writes the projections anew from the log";
  std::cerr << std::endl;
  return kExitDiffers;
}

}  // namespace kev
