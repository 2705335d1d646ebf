#include "tools/live/check_run.h"

#include <algorithm>
#include <map>

#include "engine/host/projection.h"
#include "queue/codec.h"
#include "tools/live/run_archive.h"

namespace kev {
namespace {

using Fields = RedisAdmin::Fields;

// The place where two texts part, with what stands there.
std::string Difference(const std::string& there, const std::string& expected) {
  const size_t at = static_cast<size_t>(
      std::mismatch(there.begin(), there.end(), expected.begin(), expected.end()).first -
      there.begin());
  const auto around = [&](const std::string& text) {
    const size_t from = at < 12 ? 0 : at - 12;
    return from < text.size() ? text.substr(from, 40) : std::string();
  };
  return "at byte " + std::to_string(at) + " the store has '" + around(there) +
         "', the log gives '" + around(expected) + "'";
}

std::map<std::string, Fields> Expected(const RunCore& core) {
  std::map<std::string, Fields> expected;
  for (const Projection& projection : AllProjections(core)) {
    Fields& fields = expected[projection.key];
    for (const auto& [field, value] : projection.fields) fields[field] = value;
  }
  return expected;
}

}  // namespace

std::optional<Finding> CheckLog(const StoredRun& run, RunCore* core,
                                std::map<std::string, uint64_t>* over) {
  for (const LogEntry& entry : run.log) {
    const std::string where = "log entry " + std::to_string(entry.last_seq);
    auto group = DecodeGroup(entry.body, entry.digest);
    if (!group) return Finding{"log", where + ": " + group.error().message};
    if (group->first_seq != core->last_seq() + 1 || group->last_seq() != entry.last_seq) {
      return Finding{"log", where + " holds events " + std::to_string(group->first_seq) + ".." +
                                std::to_string(group->last_seq()) + " where event " +
                                std::to_string(core->last_seq() + 1) + " must follow"};
    }
    const Digest128 derived = RunCore::DigestCommands(core->Apply(*group));
    if (derived != group->digest) {
      return Finding{"digest", where + ": the recorded commands have digest " +
                                   group->digest.Hex() + ", derived now: " + derived.Hex() +
                                   " (`kevolve replay` says more)"};
    }
    for (const RecordPart& part : core->TakeChanged()) {
      if (over == nullptr) continue;
      if (IsOver(*core, part.subject))
        (*over)[ProjectionKey(part.subject)] = entry.last_seq;
      else
        over->erase(ProjectionKey(part.subject));  // it lives again
    }
  }
  return std::nullopt;
}

Result<std::vector<Finding>> CheckProjections(RedisAdmin& admin, const RunCore& core,
                                              const std::set<std::string>& gone) {
  const auto there = admin.Projections(core.run());
  if (!there) return there.error();
  const std::map<std::string, Fields> expected = Expected(core);
  std::vector<Finding> findings;
  for (const auto& [key, fields] : expected) {
    const auto found = there->find(key);
    if (found == there->end()) {
      if (!gone.contains(key)) findings.push_back({"projection", key + " is missing"});
      continue;
    }
    for (const auto& [field, value] : fields) {
      const auto at = found->second.find(field);
      if (at == found->second.end())
        findings.push_back({"projection", key + " has no field '" + field + "'"});
      else if (at->second != value)
        findings.push_back(
            {"projection", key + ", field '" + field + "': " + Difference(at->second, value)});
    }
    for (const auto& [field, value] : found->second) {
      if (!fields.contains(field))
        findings.push_back(
            {"projection", key + " has a field '" + field + "' that the log does not give"});
    }
  }
  for (const auto& [key, fields] : *there) {
    if (!expected.contains(key))
      findings.push_back({"projection", key + " is there, and the log does not give it"});
  }
  return findings;
}

Status RepairProjections(RedisAdmin& admin, const RunCore& core,
                         const std::set<std::string>& gone) {
  const auto there = admin.Projections(core.run());
  if (!there) return there.error();
  const std::map<std::string, Fields> expected = Expected(core);
  for (const auto& [key, fields] : *there) {
    if (expected.contains(key)) continue;
    if (Status s = admin.DropProjection(core.run(), key); !s.ok()) return s;
  }
  for (const Projection& projection : AllProjections(core)) {
    const auto found = there->find(projection.key);
    if (found == there->end() ? gone.contains(projection.key)
                              : found->second == expected.at(projection.key))
      continue;
    if (Status s = admin.PutProjection(core.run(), projection); !s.ok()) return s;
  }
  return admin.Sync();
}

Result<std::vector<std::string>> MissingBlobs(StoredRun& run) {
  const auto named = BlobsNamedBy(run.log);
  if (!named) return named.error();
  std::vector<std::string> missing;
  for (const auto& [sha256, ref] : *named) {
    const auto bytes = run.Blob(sha256);
    if (bytes) continue;
    if (bytes.error().code != Code::kNotFound && bytes.error().code != Code::kCorrupt)
      return bytes.error();
    missing.push_back(bytes.error().code == Code::kCorrupt ? bytes.error().message : sha256);
  }
  return missing;
}

}  // namespace kev
