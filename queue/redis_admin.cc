#include "queue/redis_admin.h"

#include <algorithm>
#include <charconv>

#include "queue/random_name.h"
#include "queue/redis_log.h"

namespace kev {
namespace {

constexpr std::string_view kIdentityKey = "kev:store";
constexpr size_t kBatch = 512;  // keys of one UNLINK, log entries on their way

bool IsProjection(std::string_view key) {
  return key == "run" || key.starts_with("cand:") || key.starts_with("req:") ||
         key.starts_with("prep:");
}

}  // namespace

Result<std::unique_ptr<RedisAdmin>> RedisAdmin::Connect(const std::string& address,
                                                        std::chrono::milliseconds limit) {
  Result<RedisConnection> connection = RedisConnection::Open(address, limit);
  if (!connection) return connection.error();
  return std::unique_ptr<RedisAdmin>(new RedisAdmin(std::move(*connection)));
}

Result<std::string> RedisAdmin::Identity() {
  Result<RedisReply> name = connection_.Call({"GET", kIdentityKey});
  if (!name) return name.error();
  return std::move(name->text);
}

Result<std::string> RedisAdmin::MakeIdentity() {
  const std::string fresh = RandomName();
  const Result<RedisReply> made = connection_.Call({"SET", kIdentityKey, fresh, "NX"});
  if (!made) return made.error();
  if (Status s = Sync(); !s.ok()) return s.error();
  return Identity();
}

// A write under `always` is synced before its answer, and with it all that was written before. A
// server that does not allow CONFIG keeps its own setting.
Status RedisAdmin::Sync() {
  const std::string before = Setting("appendfsync");
  const bool change = !before.empty() && before != "always" &&
                      connection_.Call({"CONFIG", "SET", "appendfsync", "always"}).ok();
  const Result<RedisReply> wrote = connection_.Call({"SET", "kev:synced", "1"});
  if (change) {
    const Result<RedisReply> restored = connection_.Call({"CONFIG", "SET", "appendfsync", before});
    if (!restored) return restored.error();
  }
  return wrote ? Status() : Status(wrote.error());
}

Result<uint64_t> RedisAdmin::Keys() {
  Result<RedisReply> size = connection_.Call({"DBSIZE"});
  if (!size) return size.error();
  return static_cast<uint64_t>(size->integer);
}

Result<std::vector<std::string>> RedisAdmin::Runs() {
  Result<RedisReply> reply = connection_.Call({"SMEMBERS", "kev:runs"});
  if (!reply) return reply.error();
  std::vector<std::string> runs;
  for (RedisReply& run : reply->list) runs.push_back(std::move(run.text));
  std::sort(runs.begin(), runs.end());
  return runs;
}

Result<uint64_t> RedisAdmin::Epoch(const std::string& run) {
  const std::string key = RunKey(run, "epoch");
  Result<RedisReply> reply = connection_.Call({"GET", key});
  if (!reply) return reply.error();
  if (reply->kind == RedisReply::Kind::kNil) return uint64_t{0};
  uint64_t epoch = 0;
  const char* end = reply->text.data() + reply->text.size();
  const auto [at, error] = std::from_chars(reply->text.data(), end, epoch);
  if (error != std::errc() || at != end) {
    return Error{Code::kCorrupt, "the store's key " + key + " holds '" + reply->text +
                                     "' where a number must stand: other data is there"};
  }
  return epoch;
}

std::string RedisAdmin::Setting(const std::string& name) {
  const Result<RedisReply> reply = connection_.Call({"CONFIG", "GET", name});
  return reply && reply->list.size() == 2 ? reply->list[1].text : "";
}

Result<std::vector<std::string>> RedisAdmin::Scan(const std::string& pattern) {
  std::vector<std::string> keys;
  std::string cursor = "0";
  do {
    Result<RedisReply> page = connection_.Call({"SCAN", cursor, "MATCH", pattern, "COUNT", "1000"});
    if (!page) return page.error();
    if (page->list.size() != 2) return Error{Code::kCorrupt, "Redis answers SCAN in another form"};
    cursor = page->list[0].text;
    for (RedisReply& key : page->list[1].list) keys.push_back(std::move(key.text));
  } while (cursor != "0");
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

Result<std::map<std::string, std::vector<std::string>>> RedisAdmin::RecordKeys() {
  std::map<std::string, std::vector<std::string>> by_run;
  for (const char* kind : {"cand", "req"}) {
    const std::string middle = std::string("}:") + kind + ":";
    Result<std::vector<std::string>> keys = Scan("kev:{*" + middle + "*");
    if (!keys) return keys.error();
    for (const std::string& key : *keys) {
      const size_t end = key.find(middle);
      by_run[key.substr(5, end - 5)].push_back(key.substr(end + 2));
    }
  }
  return by_run;
}

Result<std::map<std::string, RedisAdmin::Fields>> RedisAdmin::Projections(const std::string& run) {
  const std::string prefix = RunKey(run, "");
  Result<std::vector<std::string>> keys = Scan(prefix + "*");
  if (!keys) return keys.error();
  std::map<std::string, Fields> projections;
  for (const std::string& key : *keys) {
    const std::string rest = key.substr(prefix.size());
    if (!IsProjection(rest)) continue;
    Result<Fields> fields = ReadProjection(run, rest);
    if (!fields) return fields.error();
    projections[rest] = std::move(*fields);
  }
  return projections;
}

Result<RedisAdmin::Fields> RedisAdmin::ReadProjection(const std::string& run,
                                                      const std::string& key) {
  Result<RedisReply> hash = connection_.Call({"HGETALL", RunKey(run, key)});
  if (!hash) return hash.error();
  Fields fields;
  for (size_t i = 0; i + 1 < hash->list.size(); i += 2)
    fields[hash->list[i].text] = std::move(hash->list[i + 1].text);
  return fields;
}

Status RedisAdmin::PutProjection(const std::string& run, const Projection& projection) {
  if (Status s = DropProjection(run, projection.key); !s.ok()) return s;
  const std::string key = RunKey(run, projection.key);
  std::vector<std::string_view> words{"HSET", key};
  for (const auto& [field, value] : projection.fields) words.insert(words.end(), {field, value});
  const Result<RedisReply> set = connection_.Call(words);
  return set ? Status() : Status(set.error());
}

Status RedisAdmin::DropProjection(const std::string& run, const std::string& key) {
  return Unlink({RunKey(run, key)});
}

Status RedisAdmin::PutLog(const std::string& run, const std::vector<LogEntry>& log) {
  const std::string key = RunKey(run, "log");
  for (const LogEntry& entry : log) {
    const std::string id = std::to_string(entry.last_seq) + "-0";
    const std::string sum = LogSum(entry.last_seq, entry.body, entry.digest, entry.what);
    const Result<RedisReply> added =
        connection_.Call({"XADD", key, id, "body", entry.body, "digest", entry.digest, "what",
                          entry.what, "sum", sum});
    if (!added) return added.error();
  }
  return {};
}

Status RedisAdmin::DropRun(const std::string& run) {
  // Run ids hold nothing that means something in a pattern, and SCAN takes braces as they are.
  const Result<std::vector<std::string>> keys = Scan(RunKey(run, "*"));
  if (!keys) return keys.error();
  if (Status s = Unlink(*keys); !s.ok()) return s;
  const Result<RedisReply> gone = connection_.Call({"SREM", "kev:runs", run});
  return gone ? Status() : Status(gone.error());
}

Status RedisAdmin::DropBlobs() {
  const Result<std::vector<std::string>> keys = Scan("kev:blob:*");
  return keys ? Unlink(*keys) : Status(keys.error());
}

Status RedisAdmin::Unlink(const std::vector<std::string>& keys) {
  for (size_t at = 0; at < keys.size(); at += kBatch) {
    std::vector<std::string_view> words{"UNLINK"};
    for (size_t i = at; i < keys.size() && i < at + kBatch; ++i) words.emplace_back(keys[i]);
    const Result<RedisReply> gone = connection_.Call(words);
    if (!gone) return gone.error();
  }
  return {};
}

}  // namespace kev
