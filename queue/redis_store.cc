#include "queue/redis_store.h"

#include <charconv>
#include <deque>
#include <unordered_set>
#include <utility>

#include "queue/blob_id.h"
#include "queue/codec.h"
#include "queue/redis_connection.h"
#include "queue/redis_log.h"

namespace kev {
namespace {

// Checks first, then XADD (which refuses an id that is not above the last one), then the
// projections. There is no rollback in Lua: whatever can fail comes before the first write that
// matters.
constexpr std::string_view kCommitScript = R"lua(
if (redis.call('GET', KEYS[1]) or '0') ~= ARGV[1] then
  if redis.call('EXISTS', KEYS[1]) == 0 then return redis.error_reply('CONFLICT gone') end
  return redis.error_reply('CONFLICT epoch is ' .. (redis.call('GET', KEYS[1]) or '0') .. ', not ' .. ARGV[1])
end
local top = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
local seq = '0'
if #top > 0 then seq = string.match(top[1][1], '^%d+') end
if seq ~= ARGV[2] then
  return redis.error_reply('CONFLICT last seq is ' .. seq .. ', not ' .. ARGV[2])
end
redis.call('XADD', KEYS[2], ARGV[3] .. '-0', 'body', ARGV[4], 'digest', ARGV[5], 'what', ARGV[6], 'sum', ARGV[7])
local a = 8
for k = 3, #KEYS do
  local n = tonumber(ARGV[a])
  if string.sub(ARGV[a], 1, 1) == '-' then
    redis.call('DEL', KEYS[k])
    n = -n
  end
  -- unpack has a limit
  for i = a + 1, a + n, 2000 do
    redis.call('HSET', KEYS[k], unpack(ARGV, i, math.min(i + 1999, a + n)))
  end
  a = a + 1 + n
end
return 'OK'
)lua";

constexpr size_t kPage = 1000;     // log entries per XRANGE
constexpr size_t kReadPage = 100;  // the same for ReadLog, which reads no further than it must
constexpr size_t kKnownBlobs = 1 << 16;  // names remembered so that a blob is written once
constexpr std::string_view kEpochScript = R"lua(
local epoch = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), tonumber(ARGV[1])) + 1
redis.call('SET', KEYS[1], epoch)
return epoch
)lua";

std::string BlobKey(const std::string& sha256) { return "kev:blob:" + sha256; }

class Pipelined final : public RedisStore {
 public:
  explicit Pipelined(RedisConnection connection) : connection_(std::move(connection)) {}
  Status LoadScript() {
    Result<RedisReply> sha = connection_.Call({"SCRIPT", "LOAD", kCommitScript});
    if (!sha) return sha.error();
    script_ = sha->text;
    return {};
  }

  uint64_t Submit(std::shared_ptr<const Commit> commit) override;
  uint64_t ReadBlob(const std::string& sha256) override;
  uint64_t ReadLog(const std::string& run, uint64_t from_seq, uint64_t to_seq) override;
  uint64_t ReadEnd(const std::string& run) override;
  uint64_t Trim(const std::string& run, uint64_t seq,
                const std::vector<std::string>& blobs) override;
  std::vector<Completion> Poll() override;
  int Descriptor() const override { return connection_.descriptor(); }
  bool WantsWrite() const override { return connection_.wants_write(); }

  Result<uint64_t> TakeEpoch(const std::string& run, uint64_t known) override;
  Result<std::vector<LogEntry>> WholeLog(const std::string& run) override;
  Status ForEachEntry(const std::string& run, uint64_t from_seq,
                      const std::function<Status(LogEntry)>& each) override;
  Result<uint64_t> FirstSeq(const std::string& run) override;
  Result<StoredSnapshot> Snapshot(const std::string& run) override;
  Result<std::string> Blob(const std::string& sha256) override;
  Status PutBlob(const BlobRef& ref, const std::string& bytes) override;
  Status Ping() override {
    Result<RedisReply> pong = connection_.Call({"PING"});
    return pong ? Status() : Status(pong.error());
  }
  bool lost() const override { return connection_.lost(); }

 private:
  struct Operation {
    enum class Kind { kCommit, kBlob, kLog, kEnd, kTrim } kind = Kind::kCommit;
    Completion completion;
    std::shared_ptr<const Commit> commit;
    std::string run, sha256;
    std::vector<std::string> blobs;  // kTrim
    uint64_t from = 0, to = 0;
    bool beyond = false;  // reads the entry after those whose ids are up to `to`
    size_t bytes = 0;     // read so far
    bool done = false;
    bool again = false;  // the server had forgotten the script
  };
  enum class Role { kPutBlob, kForget, kCommit, kRead, kEpoch, kScript };
  struct Expected {
    Role role;
    uint64_t ticket;
    std::string sha256;  // kPutBlob
  };

  Operation& Begin(Operation::Kind kind);
  Operation& At(uint64_t ticket) {
    return operations_[ticket - operations_.front().completion.ticket];
  }
  void Issue(Operation& operation);
  void IssueCommit(Operation& operation);
  void IssueRead(Operation& operation);
  void Absorb(RedisReply reply);
  void AbsorbRead(Operation& operation, RedisReply& reply);
  void FailAll();

  RedisConnection connection_;
  std::string script_;
  uint64_t last_ticket_ = 0;
  std::deque<Operation> operations_;  // by ticket, without gaps
  std::deque<Expected> expected_;     // replies on their way
  bool stalled_ =
      false;  // NOSCRIPT: nothing new leaves until all replies are in, so that order holds
  std::unordered_set<std::string> known_;
};

Pipelined::Operation& Pipelined::Begin(Operation::Kind kind) {
  Operation& op = operations_.emplace_back();
  op.kind = kind;
  op.completion.ticket = ++last_ticket_;
  return op;
}

uint64_t Pipelined::ReadEnd(const std::string& run) {
  Operation& op = Begin(Operation::Kind::kEnd);
  op.run = run;
  Issue(op);
  return op.completion.ticket;
}

uint64_t Pipelined::Trim(const std::string& run, uint64_t seq,
                         const std::vector<std::string>& blobs) {
  for (const std::string& sha256 : blobs) known_.erase(sha256);
  Operation& op = Begin(Operation::Kind::kTrim);
  op.run = run;
  op.to = seq;
  op.blobs = blobs;
  Issue(op);
  return op.completion.ticket;
}

uint64_t Pipelined::Submit(std::shared_ptr<const Commit> commit) {
  Operation& op = Begin(Operation::Kind::kCommit);
  op.commit = std::move(commit);
  Issue(op);
  return op.completion.ticket;
}

uint64_t Pipelined::ReadBlob(const std::string& sha256) {
  Operation& op = Begin(Operation::Kind::kBlob);
  op.sha256 = sha256;
  Issue(op);
  return op.completion.ticket;
}

uint64_t Pipelined::ReadLog(const std::string& run, uint64_t from_seq, uint64_t to_seq) {
  Operation& op = Begin(Operation::Kind::kLog);
  op.run = run;
  op.from = from_seq;
  op.to = to_seq;
  Issue(op);
  return op.completion.ticket;
}

void Pipelined::Issue(Operation& op) {
  if (stalled_) {
    op.again = true;
    return;
  }
  if (op.kind == Operation::Kind::kCommit)
    IssueCommit(op);
  else
    IssueRead(op);
  connection_.PumpOut();
}

void Pipelined::IssueCommit(Operation& op) {
  const Commit& c = *op.commit;
  for (const auto& [ref, bytes] : c.blobs) {
    if (known_.contains(ref.sha256)) continue;
    const std::string key = BlobKey(ref.sha256);
    connection_.Append({"SET", key, bytes});
    expected_.push_back({Role::kPutBlob, op.completion.ticket, ref.sha256});
  }
  std::vector<std::string> keys{RunKey(c.run, "epoch"), RunKey(c.run, "log")};
  std::deque<std::string> numbers{std::to_string(c.epoch), std::to_string(c.expected_seq),
                                  std::to_string(c.last_seq)};
  for (const Projection& p : c.projections) keys.push_back(RunKey(c.run, p.key));
  for (const std::string& key : c.forget) keys.push_back(RunKey(c.run, key));
  if (!c.snapshot.fields.empty()) keys.push_back(RunKey(c.run, c.snapshot.key));
  const std::string count = std::to_string(keys.size());
  std::vector<std::string_view> words{"EVALSHA", script_, count};
  words.insert(words.end(), keys.begin(), keys.end());
  const std::string sum = LogSum(c.last_seq, c.body, c.digest, c.what);
  words.insert(words.end(), {numbers[0], numbers[1], numbers[2], c.body, c.digest, c.what, sum});
  const auto put = [&](const Projection& p) {
    words.push_back(
        numbers.emplace_back((p.anew ? "-" : "") + std::to_string(2 * p.fields.size())));
    for (const auto& [field, value] : p.fields) {
      words.push_back(field);
      words.push_back(value);
    }
  };
  for (const Projection& p : c.projections) put(p);
  for (size_t i = 0; i < c.forget.size(); ++i) words.push_back("-0");  // anew, and nothing
  if (!c.snapshot.fields.empty()) put(c.snapshot);
  connection_.Append(words);
  expected_.push_back({Role::kCommit, op.completion.ticket, {}});
}

void Pipelined::IssueRead(Operation& op) {
  if (op.kind == Operation::Kind::kBlob) {
    const std::string key = BlobKey(op.sha256);
    connection_.Append({"GET", key});
  } else if (op.kind == Operation::Kind::kEnd) {
    const std::string key = RunKey(op.run, "log");
    connection_.Append({"XREVRANGE", key, "+", "-", "COUNT", "1"});
  } else if (op.kind == Operation::Kind::kTrim) {
    for (size_t at = 0; at < op.blobs.size(); at += kPage) {
      std::vector<std::string> gone{"UNLINK"};
      for (size_t i = at; i < op.blobs.size() && i < at + kPage; ++i)
        gone.push_back(BlobKey(op.blobs[i]));
      const std::vector<std::string_view> command(gone.begin(), gone.end());
      connection_.Append(command);
      expected_.push_back({Role::kForget, op.completion.ticket, {}});
    }
    const std::string key = RunKey(op.run, "log"), first = std::to_string(op.to + 1);
    connection_.Append({"XTRIM", key, "MINID", first});
  } else {
    const std::string key = RunKey(op.run, "log"), from = std::to_string(op.from),
                      to = op.beyond ? std::string("+") : std::to_string(op.to);
    const std::string page = std::to_string(op.beyond ? 1 : kReadPage);
    connection_.Append({"XRANGE", key, from, to, "COUNT", page});
  }
  expected_.push_back({Role::kRead, op.completion.ticket, {}});
  if (op.kind != Operation::Kind::kEnd) return;
  const std::string epoch = RunKey(op.run, "epoch");
  connection_.Append({"GET", epoch});
  expected_.push_back({Role::kEpoch, op.completion.ticket, {}});
}

std::vector<Completion> Pipelined::Poll() {
  connection_.Pump();
  while (!expected_.empty()) {
    std::optional<RedisReply> reply = connection_.Next();
    if (!reply) break;
    Absorb(std::move(*reply));
  }
  if (connection_.lost()) FailAll();
  if (stalled_ && expected_.empty()) {
    stalled_ = false;
    connection_.Append({"SCRIPT", "LOAD", kCommitScript});
    expected_.push_back({Role::kScript, 0, {}});
    for (Operation& op : operations_) {
      if (std::exchange(op.again, false)) Issue(op);
    }
  }
  connection_.PumpOut();
  std::vector<Completion> out;
  while (!operations_.empty() && operations_.front().done) {
    out.push_back(std::move(operations_.front().completion));
    operations_.pop_front();
  }
  return out;
}

void Pipelined::Absorb(RedisReply reply) {
  const Expected expected = std::move(expected_.front());
  expected_.pop_front();
  const bool error = reply.kind == RedisReply::Kind::kError;
  if (expected.role == Role::kScript || expected.role == Role::kForget) return;
  Operation& op = At(expected.ticket);
  if (expected.role == Role::kPutBlob) {
    if (error) {
      op.completion.status = ErrorOf(reply);
    } else {
      if (known_.size() >= kKnownBlobs) known_.clear();
      known_.insert(expected.sha256);
    }
    return;
  }
  if (expected.role == Role::kRead) return AbsorbRead(op, reply);
  if (expected.role == Role::kEpoch) {
    if (error) op.completion.status = ErrorOf(reply);
    op.completion.data.push_back(reply.text.empty() ? "0" : reply.text);
    op.done = true;
    return;
  }
  if (error && reply.text.starts_with("NOSCRIPT")) {
    stalled_ = true;
    op.again = true;
    return;
  }
  if (error) op.completion.status = ErrorOf(reply);
  op.done = true;
  op.commit.reset();
}

void Pipelined::AbsorbRead(Operation& op, RedisReply& reply) {
  op.done = op.kind != Operation::Kind::kEnd;  // else its epoch follows
  if (reply.kind == RedisReply::Kind::kError) {
    op.completion.status = ErrorOf(reply);
    return;
  }
  if (op.kind == Operation::Kind::kBlob) {
    if (reply.kind == RedisReply::Kind::kNil) {
      op.completion.status =
          Error{Code::kNotFound, "there is no blob " + op.sha256 + " in the store"};
    } else {
      op.completion.data.push_back(std::move(reply.text));
    }
    return;
  }
  if (op.kind == Operation::Kind::kTrim) return;
  if (op.kind == Operation::Kind::kEnd && reply.list.empty()) {
    op.completion.data = {"0", "", ""};
    return;
  }
  for (RedisReply& raw : reply.list) {
    Result<LogEntry> entry = LogEntryFrom(raw);
    if (!entry) {
      op.completion.status = entry.error();
      return;
    }
    if (op.kind == Operation::Kind::kEnd) {
      op.completion.data = {std::to_string(entry->last_seq), std::move(entry->digest),
                            std::move(entry->body)};
      return;
    }
    op.from = entry->last_seq + 1;
    op.bytes += entry->body.size();
    op.completion.data.push_back(std::move(entry->body));
  }
  if (op.from > op.to || op.bytes >= kMostLogBytes || op.beyond) return;
  // An entry's id is its last event: the one that holds `to` may have a higher one.
  op.beyond = reply.list.size() < kReadPage;
  op.done = false;
  Issue(op);
}

void Pipelined::FailAll() {
  expected_.clear();
  stalled_ = false;
  for (Operation& op : operations_) {
    if (op.done) continue;
    op.done = true;
    op.again = false;
    op.completion.data.clear();
    op.completion.status = connection_.Lost();
  }
}

// Epochs must survive a power cut whatever the durability class is, since a repeated epoch would
// void the fence: the server is set to fsync each write while it is taken. A server that does not
// allow CONFIG keeps its own setting.
Result<uint64_t> Pipelined::TakeEpoch(const std::string& run, uint64_t known) {
  std::string before;
  const Result<RedisReply> policy = connection_.Call({"CONFIG", "GET", "appendfsync"});
  if (policy && policy->list.size() == 2 && policy->list[1].text != "always") {
    before = policy->list[1].text;
    if (!connection_.Call({"CONFIG", "SET", "appendfsync", "always"})) before.clear();
  }
  const std::string key = RunKey(run, "epoch");
  const std::string floor = std::to_string(known);
  Result<RedisReply> epoch = connection_.Call({"EVAL", kEpochScript, "1", key, floor});
  if (epoch) {
    const Result<RedisReply> added = connection_.Call({"SADD", "kev:runs", run});
    if (!added) return added.error();
  }
  if (!before.empty()) {
    const Result<RedisReply> restored = connection_.Call({"CONFIG", "SET", "appendfsync", before});
    if (!restored) return restored.error();
  }
  if (!epoch) return epoch.error();
  return static_cast<uint64_t>(epoch->integer);
}

Result<std::vector<LogEntry>> Pipelined::WholeLog(const std::string& run) {
  std::vector<LogEntry> log;
  const Status s = ForEachEntry(run, 0, [&](LogEntry entry) {
    log.push_back(std::move(entry));
    return Status();
  });
  if (!s.ok()) return s.error();
  return log;
}

Result<uint64_t> Pipelined::FirstSeq(const std::string& run) {
  const std::string key = RunKey(run, "log");
  Result<RedisReply> reply = connection_.Call({"XRANGE", key, "-", "+", "COUNT", "1"});
  if (!reply) return reply.error();
  if (reply->list.empty()) return uint64_t{0};
  Result<LogEntry> entry = LogEntryFrom(reply->list[0]);
  if (!entry) return entry.error();
  const Result<PackedView> group = CheckPacked(entry->body, kLogLimits);
  if (!group) return group.error();
  return static_cast<uint64_t>((*group)["seq"].AsInt());
}

Result<RedisStore::StoredSnapshot> Pipelined::Snapshot(const std::string& run) {
  const std::string key = RunKey(run, "snap");
  Result<RedisReply> reply = connection_.Call({"HGETALL", key});
  if (!reply) return reply.error();
  StoredSnapshot snapshot;
  for (size_t i = 0; i + 1 < reply->list.size(); i += 2)
    snapshot.fields[reply->list[i].text] = std::move(reply->list[i + 1].text);
  const std::string& seq = snapshot.fields["seq"];
  std::from_chars(seq.data(), seq.data() + seq.size(), snapshot.seq);
  return snapshot;
}

Status Pipelined::ForEachEntry(const std::string& run, uint64_t from_seq,
                               const std::function<Status(LogEntry)>& each) {
  const std::string key = RunKey(run, "log"), page = std::to_string(kPage);
  std::string from = from_seq == 0 ? "-" : std::to_string(from_seq);
  for (;;) {
    Result<RedisReply> reply = connection_.Call({"XRANGE", key, from, "+", "COUNT", page});
    if (!reply) return reply.error();
    for (RedisReply& raw : reply->list) {
      Result<LogEntry> entry = LogEntryFrom(raw);
      if (!entry) return entry.error();
      from = std::to_string(entry->last_seq + 1);
      if (Status s = each(std::move(*entry)); !s.ok()) return s;
    }
    if (reply->list.size() < kPage) return {};
  }
}

Result<std::string> Pipelined::Blob(const std::string& sha256) {
  const std::string key = BlobKey(sha256);
  Result<RedisReply> reply = connection_.Call({"GET", key});
  if (!reply) return reply.error();
  if (reply->kind == RedisReply::Kind::kNil) {
    return Error{Code::kNotFound, "there is no blob " + sha256 + " in the store"};
  }
  if (Sha256Hex(reply->text) != sha256)
    return Error{Code::kCorrupt, "blob " + sha256 + " is damaged in the store"};
  return std::move(reply->text);
}

Status Pipelined::PutBlob(const BlobRef& ref, const std::string& bytes) {
  const std::string key = BlobKey(ref.sha256);
  Result<RedisReply> reply = connection_.Call({"SET", key, bytes});
  if (!reply) return reply.error();
  known_.insert(ref.sha256);
  return {};
}

}  // namespace

Result<std::unique_ptr<RedisStore>> RedisStore::Connect(const std::string& address,
                                                        std::chrono::milliseconds limit) {
  Result<RedisConnection> connection = RedisConnection::Open(address, limit);
  if (!connection) return connection.error();
  auto store = std::make_unique<Pipelined>(std::move(*connection));
  if (Status s = store->LoadScript(); !s.ok()) return s.error();
  return std::unique_ptr<RedisStore>(std::move(store));
}

}  // namespace kev
