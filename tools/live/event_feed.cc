#include "tools/live/event_feed.h"

#include <algorithm>
#include <filesystem>

namespace kev {
namespace {

constexpr int64_t kLongestMs = 10000;
constexpr uint64_t kMostEvents = 2048;  // of one answer; a group has at most 256
constexpr size_t kMostBytes = size_t{8} << 20;

}  // namespace

void EventFeed::Ask(SessionId session, uint64_t call, const RunFolder& run, uint64_t from,
                    int64_t wait_ms) {
  Question question{session,
                    call,
                    run,
                    std::max<uint64_t>(from, 1),
                    service_->clock().NowMs() + std::clamp<int64_t>(wait_ms, 0, kLongestMs),
                    false};
  std::error_code error;
  if (std::filesystem::exists(run.Archive(), error)) return AnswerFromArchive(question);
  const ServedRun* served = service_->Find(run.id);
  const bool there = served == nullptr || served->hosted == nullptr ||
                     served->hosted->confirmed_seq() >= question.from;
  if (there) return Answer(question);
  waiting_.push_back(std::move(question));
}

void EventFeed::Committed(const ServedRun& run) {
  for (Question& question : waiting_) {
    if (question.run.id == run.folder.id) question.ready = true;
  }
}

void EventFeed::Turn(int64_t now_ms) {
  if (waiting_.empty()) return;
  std::deque<Question> left;
  for (Question& question : waiting_) {
    if (question.ready)
      Answer(question);
    else if (now_ms >= question.until_ms)
      Send(question, {});
    else
      left.push_back(std::move(question));
  }
  waiting_ = std::move(left);
}

Value EventFeed::State(const std::string& run) const {
  Value v;
  const ServedRun* served = service_->Find(run);
  if (served == nullptr || served->hosted == nullptr) return v;
  const Placer& placer = service_->host()->placer();
  v.Set("run_time_ms", served->hosted->RunTimeMs(service_->clock().NowMs()));
  v.Set("ready", static_cast<uint64_t>(placer.ready()));
  v.Set("out", static_cast<uint64_t>(placer.out()));
  return v;
}

void EventFeed::Send(const Question& question, Value::List groups) {
  Value v = State(question.run.id);
  v.Set("groups", std::move(groups));
  service_->host()->Reply(question.session, {question.call, Status(), std::move(v)});
}

void EventFeed::Answer(const Question& question) {
  ++reading_;
  service_->host()->ReadLog(
      question.run.id, question.from, question.from + kMostEvents,
      [this, question](const Status& status, std::vector<std::string> bodies) {
        --reading_;
        if (!status.ok()) {
          service_->host()->Reply(question.session, {question.call, status.error(), Value()});
          return;
        }
        Value::List groups;
        for (std::string& body : bodies) groups.push_back(Value::Bytes{std::move(body)});
        Send(question, std::move(groups));
      });
}

void EventFeed::AnswerFromArchive(const Question& question) {
  if (archive_path_ != question.run.Archive()) {
    auto reader = ArchiveReader::Open(question.run.Archive());
    if (!reader) {
      service_->host()->Reply(question.session, {question.call, reader.error(), Value()});
      return;
    }
    archive_ = std::move(*reader);
    archive_path_ = question.run.Archive();
  }
  Value::List groups;
  size_t bytes = 0;
  for (const LogEntry& entry : archive_->Log()) {
    if (entry.last_seq < question.from) continue;
    if (bytes > kMostBytes) break;
    bytes += entry.body.size();
    groups.push_back(Value::Bytes{entry.body});
  }
  Send(question, std::move(groups));
}

}  // namespace kev
