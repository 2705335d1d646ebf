#include "tests/chaos/checker.h"

#include <map>

namespace kev::chaos {
namespace {

constexpr uint64_t kTextsOfAKind = 10;

class Comparison {
 public:
  Comparison(const std::vector<WorkerRecord>& records, const RunLog& log, const Expected& expected)
      : records_(records), log_(log), expected_(expected) {}

  Findings Make() {
    ReadLines();
    CompareAcknowledged();
    CompareDone();
    CompareBudget();
    if (log_.cut_tail) Say(&found_.disorder, "the archive has no whole footer");
    return std::move(found_);
  }

 private:
  void Say(uint64_t* count, const std::string& text) {
    if ((*count)++ < kTextsOfAKind) found_.texts.push_back(text);
  }

  void ReadLines() {
    for (const LogLine& line : log_.lines) {
      const std::string at = " (event " + std::to_string(line.seq) + ")";
      uint32_t& last = last_attempt_[line.attempt.job];
      const bool result = line.kind == LogLine::Kind::kResult;
      if (result && !results_.emplace(line.attempt, &line).second)
        Say(&found_.duplicated, line.attempt.Text() + " has two results in the log" + at);
      else if (line.attempt.attempt <= last)
        Say(&found_.disorder,
            line.attempt.Text() + " follows attempt " + std::to_string(last) + at);
      if (line.attempt.attempt > 1 && line.attempt.attempt > last) ++found_.retried;
      last = std::max(last, line.attempt.attempt);
      if (!result || line.failed) continue;
      if (!accepted_.emplace(line.attempt.job, &line).second)
        Say(&found_.duplicated, line.attempt.job + " was accepted twice" + at);
      ++found_.accepted;
      proposals_ += line.proposals;
    }
  }

  void CompareAcknowledged() {
    for (const WorkerRecord& record : records_) {
      found_.stale += record.stale.size();
      for (const AttemptName& attempt : record.acked) {
        ++found_.acked;
        if (!results_.contains(attempt)) {
          Say(&found_.lost,
              attempt.Text() + " was acknowledged to " + record.file + " and is not in the log");
        }
      }
    }
  }

  void CompareDone() {
    struct Where {
      AttemptName attempt;
      const WorkerRecord* record;
    };
    std::multimap<std::string, Where> by_nonce;
    for (const WorkerRecord& record : records_) {
      for (const WorkerRecord::Done& done : record.done)
        by_nonce.emplace(done.nonce, Where{done.attempt, &record});
    }
    std::map<std::string, const LogLine*> seen;
    for (const auto& [attempt, line] : results_) {
      if (line->cancelled) continue;
      const auto [first, end] = by_nonce.equal_range(line->nonce);
      if (line->nonce.empty() || first == end) {
        Say(&found_.invented, attempt.Text() + " is in the log with nonce '" + line->nonce +
                                  "', which no worker noted");
      } else if (std::next(first) != end) {
        Say(&found_.duplicated, attempt.Text() + " was noted twice with nonce " + line->nonce);
      } else if (first->second.attempt != attempt) {
        Say(&found_.disorder,
            attempt.Text() + " is in the log with the nonce of " + first->second.attempt.Text());
      }
      const auto [other, fresh] = seen.emplace(line->nonce, line);
      if (!fresh && !line->nonce.empty()) {
        Say(&found_.duplicated, attempt.Text() + " and " + other->second->attempt.Text() +
                                    " have the same nonce in the log");
      }
    }
  }

  void CompareBudget() {
    if (proposals_ != expected_.candidates) {
      uint64_t* kind = proposals_ < expected_.candidates ? &found_.lost : &found_.duplicated;
      Say(kind, std::to_string(proposals_) + " candidates were proposed; the budget is " +
                    std::to_string(expected_.candidates));
    }
    for (uint64_t c = 1; c <= expected_.candidates; ++c) {
      for (const uint32_t step : expected_.steps) {
        const std::string job = "c" + std::to_string(c) + "/" + std::to_string(step) + "/0";
        if (!accepted_.contains(job)) Say(&found_.lost, job + " was never accepted");
      }
    }
  }

  const std::vector<WorkerRecord>& records_;
  const RunLog& log_;
  const Expected& expected_;
  Findings found_;
  uint64_t proposals_ = 0;
  std::map<AttemptName, const LogLine*> results_;
  std::map<std::string, const LogLine*> accepted_;
  std::map<std::string, uint32_t> last_attempt_;
};

}  // namespace

Findings Check(const std::vector<WorkerRecord>& records, const RunLog& log,
               const Expected& expected) {
  return Comparison(records, log, expected).Make();
}

}  // namespace kev::chaos
