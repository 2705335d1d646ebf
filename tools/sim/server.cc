#include "tools/sim/server.h"

#include <algorithm>
#include <charconv>

namespace kev::sim {
namespace {

constexpr int64_t kUnsyncedMs = 1000;   // `normal` syncs each second
constexpr int64_t kLateEffectMs = 200;  // of what was sent over a connection that is lost

}  // namespace

uint64_t SimServer::TakeEpoch(const std::string& name, uint64_t engine) {
  Run& run = runs_[name];
  run.owner = engine;
  // An epoch is synced whatever the durability is, and with it all that was written before.
  for (Entry& entry : run.log) entry.safe = true;
  return ++run.epoch;
}

SimServer::Log SimServer::WholeLog(const std::string& name) const {
  Log log;
  const auto run = runs_.find(name);
  if (run == runs_.end()) return log;
  for (const Entry& entry : run->second.log) log.push_back(entry.commit);
  return log;
}

std::pair<uint64_t, RunCore::SnapshotFields> SimServer::Snapshot(const std::string& name) const {
  const auto run = runs_.find(name);
  if (run == runs_.end()) return {0, {}};
  return {run->second.snapshot_seq, run->second.snapshot};
}

void SimServer::SetDelays(int64_t effect_most_ms, int64_t answer_most_ms) {
  effect_most_ms_ = effect_most_ms;
  answer_most_ms_ = answer_most_ms;
}

void SimServer::Advance(int64_t now_ms) {
  while (!due_.empty() && due_.begin()->first.first <= now_ms) {
    const std::shared_ptr<Operation> operation = due_.begin()->second;
    now_ms_ = std::max(now_ms_, due_.begin()->first.first);
    due_.erase(due_.begin());
    Effect(*operation);
  }
  now_ms_ = std::max(now_ms_, now_ms);
}

int64_t SimServer::NextMs() const { return due_.empty() ? INT64_MAX : due_.begin()->first.first; }

void SimServer::Effect(Operation& op) {
  op.effected = true;
  const auto run = runs_.find(op.name);
  switch (op.kind) {
    case Operation::Kind::kCommit:
      op.completion.status = Append(op.commit, op.engine);
      if (story_->told() && !op.completion.status.ok()) {
        story_->Tell("log of " + op.name + ": a commit of engine " + std::to_string(op.engine) +
                     " is refused: " + op.completion.status.error().message);
      }
      break;
    case Operation::Kind::kBlob: {
      const auto blob = blobs_.find(op.name);
      if (blob == blobs_.end())
        op.completion.status = Error{Code::kNotFound, "there is no blob " + op.name};
      else
        op.completion.data = {blob->second};
      break;
    }
    case Operation::Kind::kLog:
      if (run == runs_.end()) break;
      for (const Entry& entry : run->second.log) {
        if (entry.commit->last_seq >= op.from && entry.commit->expected_seq < op.to)
          op.completion.data.push_back(entry.commit->body);
      }
      break;
    case Operation::Kind::kEnd:
      op.completion.data = {"0", "", "", std::to_string(runs_[op.name].epoch)};
      if (run == runs_.end() || run->second.log.empty()) break;
      op.completion.data = {std::to_string(run->second.log.back().commit->last_seq),
                            run->second.log.back().commit->digest,
                            run->second.log.back().commit->body, std::to_string(run->second.epoch)};
      break;
    case Operation::Kind::kTrim:
      break;  // the simulated server keeps everything: the ledger's folds need it
  }
}

Status SimServer::Append(const std::shared_ptr<const Commit>& commit, uint64_t engine) {
  Run& run = runs_[commit->run];
  if (commit->epoch != run.epoch) {
    return Error{Code::kConflict, "epoch is " + std::to_string(run.epoch) + ", not " +
                                      std::to_string(commit->epoch)};
  }
  const uint64_t last = run.log.empty() ? 0 : run.log.back().commit->last_seq;
  if (commit->expected_seq != last) {
    return Error{Code::kConflict, "last seq is " + std::to_string(last) + ", not " +
                                      std::to_string(commit->expected_seq)};
  }
  if (engine != run.owner) {
    story_->Violate("a commit of engine " + std::to_string(engine) + " took effect on " +
                    commit->run + " after engine " + std::to_string(run.owner) + " took it over");
  }
  if (story_->told()) {
    story_->Tell("log of " + commit->run + ": seq " + std::to_string(commit->last_seq) +
                 " by engine " + std::to_string(engine) + ": " + commit->what);
  }
  run.log.push_back({commit, now_ms_, false});
  Keep(run, *commit);
  ledger_->Appended(*commit, engine, run.records);
  return {};
}

void SimServer::Keep(Run& run, const Commit& commit) {
  for (const auto& [ref, bytes] : commit.blobs) blobs_[ref.sha256] = bytes;
  for (const Projection& p : commit.projections) {
    if (p.anew) run.records.erase(p.key);
    for (const auto& [field, value] : p.fields) run.records[p.key][field] = value;
  }
  for (const std::string& key : commit.forget) run.records.erase(key);
  if (commit.snapshot.fields.empty()) return;
  run.snapshot_seq = commit.last_seq;
  if (commit.snapshot.anew) run.snapshot.clear();
  for (const auto& [field, value] : commit.snapshot.fields) run.snapshot[field] = value;
}

// Strict: the sync comes before every answer, and before what others read.
void SimServer::Answered(const std::string& name, uint64_t seq) {
  if (!strict_) return;
  std::vector<Entry>& log = runs_[name].log;
  for (auto it = log.rbegin(); it != log.rend() && !it->safe; ++it) {
    if (it->commit->last_seq <= seq) it->safe = true;
  }
}

void SimServer::Crash(bool tail) {
  alive_ = false;
  ++life_;
  due_.clear();
  ++story_->tally.store_losses;
  bool lost_any = false;
  for (auto& [name, run] : runs_) {
    size_t safe = run.log.size();
    while (safe > 0 && !run.log[safe - 1].safe &&
           (strict_ || run.log[safe - 1].at_ms > now_ms_ - kUnsyncedMs))
      --safe;
    const size_t may = run.log.size() - safe;
    if (!tail || may == 0) continue;
    const size_t left = safe + random_.Below(may + 1);
    if (left == run.log.size()) continue;
    lost_any = true;
    if (story_->told()) {
      story_->Tell("the server loses " + std::to_string(run.log.size() - left) +
                   " entries of the log of " + name);
    }
    run.log.resize(left);
    run.records.clear();
    run.snapshot_seq = 0;
    run.snapshot.clear();
    Log entries;
    for (const Entry& entry : run.log) {
      Keep(run, *entry.commit);
      entries.push_back(entry.commit);
    }
    ledger_->Rewound(name, entries);
  }
  if (!lost_any) return;
  ++story_->tally.lost_tails;
  blobs_.clear();
  for (auto& [name, run] : runs_) {
    for (const Entry& entry : run.log) Keep(run, *entry.commit);
  }
}

uint64_t SimStore::Add(std::shared_ptr<Operation> op) {
  op->completion.ticket = ++tickets_;
  op->engine = engine_;
  open_.push_back(op);
  if (lost()) return tickets_;
  CounterRandom& random = server_->random_;
  const auto draw = [&](int64_t most) {
    return static_cast<int64_t>(random.Below(static_cast<uint64_t>(most) + 1));
  };
  op->effect_ms = std::max(last_effect_ms_, server_->now_ms_ + draw(server_->effect_most_ms_));
  op->answer_ms = std::max(last_answer_ms_, op->effect_ms + draw(server_->answer_most_ms_));
  last_effect_ms_ = op->effect_ms;
  last_answer_ms_ = op->answer_ms;
  server_->due_[{op->effect_ms, ++server_->order_}] = std::move(op);
  return tickets_;
}

uint64_t SimStore::Submit(std::shared_ptr<const Commit> commit) {
  plan_->Pass(CrashPoint::kBeforeSubmit);
  auto op = std::make_shared<Operation>();
  op->name = commit->run;
  op->commit = std::move(commit);
  const uint64_t ticket = Add(std::move(op));
  plan_->Pass(CrashPoint::kAfterSubmit);
  return ticket;
}

uint64_t SimStore::ReadBlob(const std::string& sha256) {
  auto op = std::make_shared<Operation>();
  op->kind = Operation::Kind::kBlob;
  op->name = sha256;
  return Add(std::move(op));
}

uint64_t SimStore::ReadLog(const std::string& run, uint64_t from_seq, uint64_t to_seq) {
  auto op = std::make_shared<Operation>();
  op->kind = Operation::Kind::kLog;
  op->name = run;
  op->from = from_seq;
  op->to = to_seq;
  return Add(std::move(op));
}

uint64_t SimStore::ReadEnd(const std::string& run) {
  auto op = std::make_shared<Operation>();
  op->kind = Operation::Kind::kEnd;
  op->name = run;
  return Add(std::move(op));
}

uint64_t SimStore::Trim(const std::string& run, uint64_t seq, const std::vector<std::string>&) {
  auto op = std::make_shared<Operation>();
  op->kind = Operation::Kind::kTrim;
  op->name = run;
  op->to = seq;
  return Add(std::move(op));
}

std::vector<Completion> SimStore::Poll() {
  std::vector<Completion> given;
  bool committed = false;
  const bool gone = lost();
  while (!open_.empty()) {
    Operation& op = *open_.front();
    const bool answered =
        op.effected && op.answer_ms <= server_->now_ms_ && !lost_ && life_ == server_->life_;
    if (!answered && !gone) break;
    if (!answered) {
      op.completion.status = Error{Code::kUnavailable, "the connection to the store was lost"};
      op.completion.data.clear();
    } else if (op.kind == Operation::Kind::kCommit && op.completion.status.ok()) {
      committed = true;
      Confirm(op.name, op.commit->last_seq);
      server_->Answered(op.name, op.commit->last_seq);
    } else if (op.kind == Operation::Kind::kEnd) {
      uint64_t seq = 0;
      const std::string& text = op.completion.data[0];
      std::from_chars(text.data(), text.data() + text.size(), seq);
      Confirm(op.name, seq);
      server_->Answered(op.name, seq);
    }
    given.push_back(op.completion);
    open_.pop_front();
  }
  if (committed) plan_->Pass(CrashPoint::kAfterAnswer);
  return given;
}

void SimStore::Cut() {
  if (lost_) return;
  const bool there = !lost();
  lost_ = true;
  if (!there) return;
  // The first few may be in the server's buffer already.
  size_t waiting = 0;
  for (const auto& op : open_) waiting += op->effected ? 0 : 1;
  size_t still = waiting == 0 ? 0 : server_->random_.Below(waiting + 1);
  const int64_t late = static_cast<int64_t>(
      server_->random_.Below(4) == 0 ? server_->random_.Below(kLateEffectMs) : 0);
  std::erase_if(server_->due_, [&](const auto& entry) {
    return std::find(open_.begin(), open_.end(), entry.second) != open_.end();
  });
  for (const auto& op : open_) {
    if (op->effected) continue;
    if (still-- == 0) break;
    auto ghost = std::make_shared<Operation>(*op);
    server_->due_[{server_->now_ms_ + late, ++server_->order_}] = std::move(ghost);
  }
}

uint64_t SimStore::confirmed(const std::string& run) const {
  const auto it = confirmed_.find(run);
  return it == confirmed_.end() ? 0 : it->second;
}

int64_t SimStore::NextMs() const {
  if (open_.empty()) return INT64_MAX;
  return lost() ? 0 : open_.front()->answer_ms;
}

}  // namespace kev::sim
