#include "tests/chaos/checker.h"

#include <algorithm>
#include <map>
#include <unordered_map>

namespace kev::chaos {
namespace {

constexpr uint64_t kTextsOfAKind = 10;

class Comparison {
 public:
  Comparison(const std::vector<WorkerRecord>& records, const RunLog& log, const Expected& expected)
      : records_(records), log_(log), expected_(expected) {}

  Findings Make() {
    ReadLines();
    for (const auto& [job, lines] : jobs_) Judge(job, lines);
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
  static std::string At(const LogLine& line) {
    return line.attempt.Text() + " (event " + std::to_string(line.seq) + ")";
  }

  void ReadLines() {
    for (const LogLine& line : log_.lines) {
      if (line.kind == LogLine::Kind::kOpenLost)
        open_losses_.push_back(&line);
      else
        jobs_[line.attempt.job].push_back(&line);
      if (line.kind == LogLine::Kind::kResult && !results_.emplace(line.attempt, &line).second)
        Say(&found_.duplicated, At(line) + " has two results in the log");
    }
  }

  // Whether all that was open was lost before this event, without this attempt being kept. That the
  // attempt was open then, its job's going on under a higher number must show.
  bool MayBeLostOpen(const LogLine& line) const {
    return std::any_of(open_losses_.begin(), open_losses_.end(), [&](const LogLine* loss) {
      return loss->seq < line.seq && !loss->kept.contains(line.attempt);
    });
  }

  // Which of a job's results is the one that counts.
  void Judge(const std::string& job, const std::vector<const LogLine*>& lines) {
    uint32_t lost = 0;  // every attempt up to this one, for certain
    const LogLine* accepted = nullptr;
    for (const LogLine* line : lines) {
      const uint32_t attempt = line->attempt.attempt;
      if (line->kind != LogLine::Kind::kResult) {
        lost = std::max(lost, attempt);
        continue;
      }
      if (attempt <= lost ||
          (accepted != nullptr && attempt < accepted->attempt.attempt && MayBeLostOpen(*line))) {
        late_.insert(line->attempt);
        continue;
      }
      if (line->failed) {
        lost = attempt;
        continue;
      }
      if (accepted != nullptr && attempt > accepted->attempt.attempt && MayBeLostOpen(*accepted)) {
        late_.insert(accepted->attempt);
        accepted = nullptr;
      }
      if (accepted != nullptr && attempt < accepted->attempt.attempt)
        Say(&found_.disorder, At(*line) + " follows " + At(*accepted));
      else if (accepted != nullptr)
        Say(&found_.duplicated, job + " was accepted twice: " + At(*accepted) + ", " + At(*line));
      else
        accepted = line;
    }
    if (accepted == nullptr) return;
    accepted_.insert(job);
    ++found_.accepted;
    found_.retried += accepted->attempt.attempt > 1 ? 1 : 0;
    proposals_ += accepted->proposals;
  }

  void CompareAcknowledged() {
    found_.late = late_.size();
    for (const WorkerRecord& record : records_) {
      found_.stale += record.stale.size();
      for (const AttemptName& attempt : record.acked) {
        ++found_.acked;
        if (!results_.contains(attempt)) {
          Say(&found_.lost,
              attempt.Text() + " was acknowledged to " + record.file + " and is not in the log");
        } else if (late_.contains(attempt)) {
          Say(&found_.lost, attempt.Text() + " was acknowledged to " + record.file +
                                ", and its job was done again under a higher number");
        }
      }
      for (const AttemptName& attempt : record.stale) {
        if (results_.contains(attempt) && !late_.contains(attempt)) {
          Say(&found_.disorder,
              attempt.Text() + " was called stale to " + record.file + " and counts in the log");
        }
      }
    }
  }

  void CompareDone() {
    struct Where {
      const AttemptName* attempt;
      size_t times;
    };
    std::unordered_map<std::string, Where> by_nonce;
    for (const WorkerRecord& record : records_) {
      for (const WorkerRecord::Done& done : record.done)
        ++by_nonce.try_emplace(done.nonce, Where{&done.attempt, 0}).first->second.times;
    }
    std::unordered_map<std::string, const LogLine*> seen;
    for (const auto& [attempt, line] : results_) {
      if (line->cancelled) continue;
      const auto noted = by_nonce.find(line->nonce);
      if (line->nonce.empty() || noted == by_nonce.end()) {
        Say(&found_.invented,
            At(*line) + " is in the log with nonce '" + line->nonce + "', which no worker noted");
      } else if (noted->second.times > 1) {
        Say(&found_.duplicated, At(*line) + " was noted twice with nonce " + line->nonce);
      } else if (*noted->second.attempt != attempt) {
        Say(&found_.disorder,
            At(*line) + " is in the log with the nonce of " + noted->second.attempt->Text());
      }
      const auto [other, fresh] = seen.emplace(line->nonce, line);
      if (!fresh && !line->nonce.empty()) {
        Say(&found_.duplicated,
            At(*line) + " and " + At(*other->second) + " have the same nonce in the log");
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
  std::vector<const LogLine*> open_losses_;
  std::map<std::string, std::vector<const LogLine*>> jobs_;
  std::map<AttemptName, const LogLine*> results_;
  std::set<AttemptName> late_;
  std::set<std::string> accepted_;
};

}  // namespace

Findings Check(const std::vector<WorkerRecord>& records, const RunLog& log,
               const Expected& expected) {
  return Comparison(records, log, expected).Make();
}

}  // namespace kev::chaos
