#include "tests/chaos/history.h"

#include <charconv>
#include <fstream>
#include <sstream>

#include "engine/core/event.h"
#include "queue/archive.h"
#include "queue/codec.h"

namespace kev::chaos {
namespace {

constexpr std::string_view kNonce = "nonce ";

std::string JobName(const JobKey& key) {
  return Name(key.subject) + "/" + std::to_string(key.step) + "/" + std::to_string(key.index);
}

bool ParseAttempt(const std::string& text, AttemptName* out) {
  const size_t hash = text.find('#');
  if (hash == std::string::npos || hash == 0) return false;
  out->job = text.substr(0, hash);
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data() + hash + 1, end, out->attempt);
  return error == std::errc() && at == end;
}

void AddLine(const Event& event, uint64_t seq, RunLog* log) {
  LogLine line;
  line.seq = seq;
  if (const auto* report = std::get_if<JobReported>(&event)) {
    const JobResult& result = report->result;
    line.attempt = {JobName(report->key), report->attempt};
    line.failed = result.failure.has_value();
    line.cancelled = result.verdict == Verdict::kCancelled && result.message.find(kNonce) != 0;
    if (result.message.starts_with(kNonce)) line.nonce = result.message.substr(kNonce.size());
    line.proposals = static_cast<uint32_t>(result.proposals.size());
  } else if (const auto* lost = std::get_if<AttemptLost>(&event)) {
    line.kind = LogLine::Kind::kLost;
    line.attempt = {JobName(lost->key), lost->attempt};
  } else if (const auto* late = std::get_if<AttemptTimedOut>(&event)) {
    line.kind = LogLine::Kind::kTimedOut;
    line.attempt = {JobName(late->key), late->attempt};
  } else if (const auto* open = std::get_if<OpenAttemptsLost>(&event)) {
    line.kind = LogLine::Kind::kOpenLost;
    for (const auto& [key, attempt] : open->kept) line.kept.insert({JobName(key), attempt});
  } else {
    return;
  }
  log->lines.push_back(std::move(line));
}

}  // namespace

Result<WorkerRecord> ReadRecord(const std::string& path, const std::string& run) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{Code::kNotFound, "cannot read the record " + path};
  WorkerRecord record;
  record.file = path;
  size_t number = 0;
  for (std::string text; std::getline(in, text);) {
    ++number;
    std::istringstream words(text);
    std::string what, of, name, nonce;
    words >> what >> of >> name >> nonce;
    AttemptName attempt;
    const bool good = !in.eof() && ParseAttempt(name, &attempt) &&
                      (what == "done" ? nonce.size() == 16
                                      : (what == "acked" || what == "stale") && nonce.empty());
    if (!good) {
      return Error{Code::kCorrupt,
                   path + ":" + std::to_string(number) + ": not a line of a record: " + text};
    }
    if (of != run) continue;
    if (what == "done")
      record.done.push_back({std::move(attempt), std::move(nonce)});
    else
      (what == "acked" ? record.acked : record.stale).push_back(std::move(attempt));
  }
  return record;
}

Result<RunLog> ReadLog(const std::string& archive) {
  auto reader = ArchiveReader::Open(archive);
  if (!reader) return reader.error();
  RunLog log;
  log.cut_tail = (*reader)->CutTail();
  for (const LogEntry& entry : (*reader)->Log()) {
    const Result<EventGroup> group = DecodeGroup(entry.body, entry.digest);
    if (!group) return group.error();
    ++log.entries;
    uint64_t seq = group->first_seq;
    for (const Event& event : group->events) {
      ++log.events;
      if (seq != log.events) {
        return Error{Code::kCorrupt, archive + ": event " + std::to_string(seq) +
                                         " follows event " + std::to_string(log.events - 1)};
      }
      AddLine(event, seq++, &log);
    }
  }
  return log;
}

}  // namespace kev::chaos
