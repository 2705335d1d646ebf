// EventFeed: gives those who follow a run its event groups as they are committed: answered at once
// when there are some, else when there are, or with none after ten seconds.
//
// Threads: the host's. Errors: a question that the store cannot answer is answered with its error.
#ifndef KEV_TOOLS_LIVE_EVENT_FEED_H_
#define KEV_TOOLS_LIVE_EVENT_FEED_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "queue/archive.h"
#include "tools/live/engine_service.h"

namespace kev {

class EventFeed {
 public:
  explicit EventFeed(EngineService* service) : service_(service) {}
  // Event groups of the run from event `from` on. Answered after at most `wait_ms`.
  void Ask(SessionId session, uint64_t call, const RunFolder& run, uint64_t from, int64_t wait_ms);
  void Committed(const ServedRun& run);
  void Turn(int64_t now_ms);
  bool Busy() const { return !waiting_.empty() || reading_ > 0; }

 private:
  struct Question {
    SessionId session = 0;
    uint64_t call = 0;
    RunFolder run;
    uint64_t from = 0;
    int64_t until_ms = 0;
    bool ready = false;
  };
  void Answer(const Question& question);
  void AnswerFromArchive(const Question& question);
  Value State(const std::string& run) const;
  void Send(const Question& question, Value::List groups);

  EngineService* service_;
  std::deque<Question> waiting_;
  size_t reading_ = 0;
  std::unique_ptr<ArchiveReader> archive_;  // the one that was read last
  std::string archive_path_;
};

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_EVENT_FEED_H_
