#include "queue/redis_log.h"

#include <charconv>

#include "engine/core/digest.h"

namespace kev {

std::string RunKey(const std::string& run, std::string_view rest) {
  std::string key = "kev:{";
  key += run;
  key += "}:";
  key += rest;
  return key;
}

std::string LogSum(uint64_t last_seq, std::string_view body, std::string_view digest,
                   std::string_view what) {
  Digest128 sum = DigestOf(body, last_seq);
  for (const std::string_view rest : {digest, what}) sum = DigestOf(rest, sum.lo ^ sum.hi);
  return sum.Hex();
}

Result<LogEntry> LogEntryFrom(RedisReply& reply) {
  const Error corrupt{Code::kCorrupt,
                      "an entry of the event log in Redis does not have the fields it must have"};
  if (reply.list.size() != 2) return corrupt;
  LogEntry entry;
  const std::string& id = reply.list[0].text;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), entry.last_seq);
  if (error != std::errc() || end == id.data() + id.size() || *end != '-') return corrupt;
  std::vector<RedisReply>& fields = reply.list[1].list;
  std::string sum;
  for (size_t i = 0; i + 1 < fields.size(); i += 2) {
    if (fields[i].text == "body")
      entry.body = std::move(fields[i + 1].text);
    else if (fields[i].text == "digest")
      entry.digest = std::move(fields[i + 1].text);
    else if (fields[i].text == "what")
      entry.what = std::move(fields[i + 1].text);
    else if (fields[i].text == "sum")
      sum = std::move(fields[i + 1].text);
  }
  if (entry.body.empty()) return corrupt;
  if (!sum.empty() && sum != LogSum(entry.last_seq, entry.body, entry.digest, entry.what)) {
    return Error{
        Code::kCorrupt,
        "entry " + std::to_string(entry.last_seq) +
            " of the event log in Redis is damaged: it does not have the checksum that was "
            "written with it. Give the store a backup of its files"};
  }
  return entry;
}

}  // namespace kev
