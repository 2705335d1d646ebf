#include "engine/host/fake/fake_store.h"

#include <algorithm>
#include <utility>

namespace kev {

void FakeStore::Release(size_t answers) {
  released_ = std::min(answers_.size(), released_ + answers);
}

void FakeStore::ReleaseAll() { holding_ = false; }

uint64_t FakeStore::Answer(Status status, std::vector<std::string> data) {
  answers_.push_back({++tickets_, std::move(status), std::move(data)});
  return tickets_;
}

uint64_t FakeStore::Submit(std::shared_ptr<const Commit> commit) {
  ++commits_;
  if (fail_next_) {
    return Answer(
        Error{*std::exchange(fail_next_, std::nullopt), "the fake store was told to fail"});
  }
  Status status = Keep(*commit);
  if (std::exchange(lose_next_, false)) {
    status = Error{Code::kUnavailable, "the fake store lost the answer"};
  }
  return Answer(std::move(status));
}

Status FakeStore::Keep(const Commit& commit) {
  Run& run = runs_[commit.run];
  if (epoch_ != 0 && commit.epoch != epoch_) {
    return Error{Code::kConflict, "epoch " + std::to_string(commit.epoch) + " of run " +
                                      commit.run + " has been taken over"};
  }
  const uint64_t last = run.log.empty() ? 0 : run.log.back().last_seq;
  if (commit.expected_seq != last) {
    return Error{Code::kConflict, "run " + commit.run + " is at seq " + std::to_string(last) +
                                      ", not " + std::to_string(commit.expected_seq)};
  }
  for (const auto& [ref, bytes] : commit.blobs) blobs_[ref.sha256] = bytes;
  run.log.push_back(
      {commit.expected_seq + 1, commit.last_seq, commit.body, commit.digest, commit.what});
  const auto write = [&](const Projection& p) {
    if (p.anew) run.projections.erase(p.key);
    for (const auto& [field, value] : p.fields) run.projections[p.key][field] = value;
  };
  for (const Projection& p : commit.projections) write(p);
  for (const std::string& key : commit.forget) run.projections.erase(key);
  if (!commit.snapshot.fields.empty()) write(commit.snapshot);
  return {};
}

uint64_t FakeStore::ReadBlob(const std::string& sha256) {
  const auto it = blobs_.find(sha256);
  if (it == blobs_.end()) return Answer(Error{Code::kNotFound, "no blob " + sha256});
  return Answer({}, {it->second});
}

uint64_t FakeStore::ReadLog(const std::string& run, uint64_t from_seq, uint64_t to_seq) {
  std::vector<std::string> bodies;
  for (const Entry& entry : log(run)) {
    if (entry.last_seq >= from_seq && entry.first_seq <= to_seq) bodies.push_back(entry.body);
  }
  return Answer({}, std::move(bodies));
}

uint64_t FakeStore::ReadEnd(const std::string& run) {
  const std::vector<Entry>& entries = log(run);
  if (entries.empty()) return Answer({}, {"0", "", "", std::to_string(epoch_)});
  const Entry& last = entries.back();
  return Answer({},
                {std::to_string(last.last_seq), last.digest, last.body, std::to_string(epoch_)});
}

uint64_t FakeStore::Trim(const std::string& run, uint64_t seq,
                         const std::vector<std::string>& blobs) {
  for (const std::string& sha256 : blobs) blobs_.erase(sha256);
  std::erase_if(runs_[run].log, [&](const Entry& e) { return e.last_seq <= seq; });
  return Answer({});
}

void FakeStore::LoseTail(const std::string& run, size_t entries) {
  auto& entries_of = runs_[run].log;
  entries_of.resize(entries_of.size() - std::min(entries, entries_of.size()));
}

std::vector<Completion> FakeStore::Poll() {
  if (!holding_) released_ = answers_.size();
  std::vector<Completion> given;
  for (; released_ > 0; --released_) {
    given.push_back(std::move(answers_.front()));
    answers_.pop_front();
  }
  return given;
}

const std::vector<FakeStore::Entry>& FakeStore::log(const std::string& run) const {
  static const std::vector<Entry> kNone;
  const auto it = runs_.find(run);
  return it == runs_.end() ? kNone : it->second.log;
}

std::map<std::string, std::string> FakeStore::projection(const std::string& run,
                                                         const std::string& key) const {
  const auto it = runs_.find(run);
  if (it == runs_.end() || !it->second.projections.contains(key)) return {};
  return it->second.projections.at(key);
}

}  // namespace kev
