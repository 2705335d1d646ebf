#include "tools/live/run_log.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "queue/codec.h"
#include "tools/live/named_blobs.h"

namespace kev {
namespace {

constexpr size_t kMovedAtOnce = 16;  // with each commit

// Folds one entry and compares what it gave with what is written beside it; adds the blobs that it
// names, where somebody wants them.
Status FoldEntry(const LogEntry& entry, RunCore* core, std::vector<std::string>* blobs) {
  auto group = DecodeGroup(entry.body, entry.digest);
  if (!group) return group.error();
  if (group->first_seq != core->last_seq() + 1 || group->last_seq() != entry.last_seq) {
    return Error{Code::kCorrupt, "the log of run " + core->run() + " has a gap: event " +
                                     std::to_string(core->last_seq() + 1) + " is missing"};
  }
  if (RunCore::DigestCommands(core->Apply(*group)) != group->digest) {
    return Error{Code::kCorrupt,
                 "event " + std::to_string(entry.last_seq) + " of run " + core->run() +
                     " gives other commands now than when it was committed: another version of "
                     "kevolve wrote it, or the log was changed"};
  }
  if (blobs != nullptr)
    ForEachNamedBlob(*group, [&](const BlobRef& ref) { blobs->push_back(ref.sha256); });
  return {};
}

}  // namespace

Status ForEachEntry(const std::string& run, const std::string& path, RedisStore& store,
                    const std::function<Status(LogEntry)>& each) {
  uint64_t last = 0;
  const Error gap{Code::kExists, "a gap"};
  const auto is_gap = [&](const Status& s) {
    return !s.ok() && s.error().code == gap.code && s.error().message == gap.message;
  };
  const auto once = [&](LogEntry entry) {
    if (entry.last_seq <= last) return Status();
    const auto group = CheckPacked(entry.body, kLogLimits);
    // What cannot be read is for `each` to say.
    if (group && (*group)["seq"].AsInt() > static_cast<int64_t>(last) + 1) return Status(gap);
    last = entry.last_seq;
    return each(std::move(entry));
  };
  // A live engine may move entries from the store to the file between two looks.
  constexpr int kLooks = 5;
  for (int look = 1;; ++look) {
    const auto first = store.FirstSeq(run);
    if (!first) return first.error();
    // What the store has is the store's to say: the file may be ahead of one that lost its tail.
    const uint64_t to = *first == 0 ? UINT64_MAX : *first - 1;
    std::error_code ignored;
    if (to > last && std::filesystem::exists(path, ignored)) {
      auto file = LogFile::Read(path, *first == 0 ? UINT64_MAX : to);
      if (!file) return file.error();
      const Status s = (*file)->ForEach(last + 1, to, once);
      if (!s.ok() && !is_gap(s)) return s;
    }
    Status s = *first > last + 1 ? Status(gap) : store.ForEachEntry(run, last + 1, once);
    if (!is_gap(s)) return s;
    if (look == kLooks) {
      return Error{Code::kConflict,
                   "events from " + std::to_string(last + 1) + " of run " + run +
                       " are neither in its store nor in " + path +
                       ", for which they have left it: give the folder that file back, whole"};
    }
  }
}

RunLog::RunLog(std::string run, std::string path) : run_(std::move(run)), path_(std::move(path)) {}

Result<std::unique_ptr<RunCore>> RunLog::Load(RedisStore& store, RunCore::Options options) {
  std::unique_ptr<RunCore> core;
  if (!options.keep_ended) {
    auto snapshot = store.Snapshot(run_);
    if (!snapshot) return snapshot.error();
    if (snapshot->seq != 0) {
      // Another version's snapshot is no error: the log says all of it.
      auto restored = RunCore::FromSnapshot(snapshot->fields, options);
      if (restored && (*restored)->last_seq() == snapshot->seq && (*restored)->run() == run_)
        core = std::move(*restored);
      if (core)
        snapshot_seq_ = snapshot->seq;
      else
        refused_ = restored ? "it is not of event " + std::to_string(snapshot->seq)
                            : restored.error().message;
    }
  }
  left_.clear();
  const auto first = store.FirstSeq(run_);
  if (!first) return first.error();
  const auto fold = [&](LogEntry entry) {
    // What only the file has of the log has no blobs in the store any more.
    return FoldEntry(entry, core.get(), entry.last_seq >= *first ? &left_ : nullptr);
  };
  Status s;
  if (core) {
    // The store keeps entries before its newest snapshot until the next one: an engine that was
    // killed upon the snapshot had not moved their blobs.
    const auto named = [&](LogEntry entry) {
      if (entry.last_seq > snapshot_seq_) return fold(std::move(entry));
      if (const auto group = DecodeGroup(entry.body, entry.digest)) {
        ForEachNamedBlob(*group, [&](const BlobRef& ref) { left_.push_back(ref.sha256); });
      }  // else it is for fsck to tell of
      return Status();
    };
    s = store.ForEachEntry(run_, *first, named);
  } else {
    core = std::make_unique<RunCore>(run_, options);
    s = ForEachEntry(run_, path_, store, fold);
  }
  if (!s.ok()) return s.error();
  core->TakeChanged();
  return core;
}

Status RunLog::Follow(RedisStore& store, HostedRun* run, BlobFile* blobs, ReadBlob read_blob,
                      Trim trim) {
  blobs_ = blobs;
  trim_ = std::move(trim);
  read_blob_ = std::move(read_blob);
  std::sort(left_.begin(), left_.end());
  left_.erase(std::unique(left_.begin(), left_.end()), left_.end());
  if (blobs_ == nullptr) left_.clear();
  Value header;
  header.Set("run", run_);
  header.Set("format", "kevrun");
  header.Set("decision_version", kDecisionVersion);
  auto first = store.FirstSeq(run_);
  if (!first) return first.error();
  trimmed_to_ = *first == 0 ? 0 : *first - 1;
  // The store says what comes from there on, whatever the file had of it: it may be behind the file
  // (a power failure took its newest part), and what the file had then has never been.
  auto file = LogFile::Open(path_, header, trimmed_to_);
  if (!file) return file.error();
  file_ = std::move(*file);
  const Status s = store.ForEachEntry(run_, trimmed_to_ + 1,
                                      [&](LogEntry entry) { return file_->Append(entry); });
  if (!s.ok()) return s;
  auto before = std::move(run->on_committed);
  run->on_committed = [this, before](const EventGroup& events, const Commit& commit) {
    Committed(commit);
    if (before) before(events, commit);
  };
  return {};
}

// Blobs that an engine before this one committed and did not move any more, a few at a time: a long
// run has many.
void RunLog::MoveLeft(size_t most) {
  while (!left_.empty() && most-- > 0) {
    const std::string& sha256 = left_.back();
    const auto bytes = read_blob_(sha256);
    if (bytes.ok()) {
      if (Status s = blobs_->Append(sha256, *bytes); !s.ok()) {
        failed_ = s.error();
        return;
      }
      moved_.push_back(sha256);
    } else if (bytes.error().code != Code::kNotFound && bytes.error().code != Code::kCorrupt) {
      return;  // the store is away: they wait
    }  // else it has left the store already, or is for fsck to tell of
    left_.pop_back();
  }
}

void RunLog::Committed(const Commit& commit) {
  if (failed_ || commit.last_seq <= file_->last_seq()) return;
  // A snapshot's own entry stays in the store: it is cut off the file when the file is taken up.
  Status s = commit.snapshot.fields.empty() ? Status() : file_->EndRecord();
  if (s.ok()) s = file_->Append({commit.last_seq, commit.body, commit.digest, commit.what});
  if (blobs_ != nullptr) {
    for (const auto& [ref, bytes] : commit.blobs) {
      if (s.ok()) s = blobs_->Append(ref.sha256, bytes);
      moved_.push_back(ref.sha256);
    }
    // All of them with the next snapshot at the latest, after which nobody knows of them any more.
    if (s.ok()) MoveLeft(commit.snapshot.fields.empty() ? kMovedAtOnce : left_.size());
  }
  if (failed_) return;
  if (s.ok() && !commit.snapshot.fields.empty()) {
    s = file_->Sync();
    if (s.ok() && blobs_ != nullptr) s = blobs_->Sync();
    // The entry of the snapshot itself stays: an empty stream would not say where the log ends.
    if (s.ok() && commit.expected_seq > 0) {
      trim_(commit.expected_seq, std::exchange(moved_, {}));
      trimmed_to_ = commit.expected_seq;
    }
  }
  if (!s.ok()) failed_ = s.error();
}

std::optional<std::vector<std::string>> RunLog::Trimmed(uint64_t from, uint64_t to) {
  if (!file_ || from > trimmed_to_) return std::nullopt;
  std::vector<std::string> bodies;
  size_t bytes = 0;
  const Error enough{Code::kExists, "enough"};
  const Status s = file_->ForEach(from, to, [&](LogEntry entry) {
    bytes += entry.body.size();
    bodies.push_back(std::move(entry.body));
    return bytes < kMostLogBytes ? Status() : Status(enough);
  });
  if (!s.ok() && s.error().code != enough.code) {
    failed_ = s.error();
    return std::nullopt;
  }
  return bodies;
}

}  // namespace kev
