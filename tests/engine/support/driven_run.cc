#include "tests/engine/support/driven_run.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "tests/engine/support/canonical_reader.h"

namespace kev::testing {

DrivenRun::DrivenRun(Plan plan) : core_("test") { Apply({RunSubmitted{std::move(plan), Value()}}); }

void DrivenRun::Apply(std::vector<Event> events) {
  EventGroup group;
  group.first_seq = core_.last_seq() + 1;
  group.run_time_ms = now_ms_;
  group.events = std::move(events);
  const std::vector<Command> commands = core_.Apply(group);
  group.digest = RunCore::DigestCommands(commands);
  log_.push_back(std::move(group));
  for (const Command& command : commands) {
    if (const auto* start = std::get_if<StartAttempt>(&command)) {
      waiting_.push_back({*start, ReadJob(start->payload)});
    } else if (const auto* cancel = std::get_if<CancelAttempt>(&command)) {
      cancelled_.push_back(*cancel);
    }
  }
  std::erase_if(waiting_, [&](const Waiting& w) {
    return core_.OpenAttempt(w.start.key) != w.start.attempt;
  });
}

const DrivenRun::Waiting& DrivenRun::First(const std::string& step) const {
  for (const Waiting& w : waiting_) {
    if (w.job.step == step) return w;
  }
  throw std::runtime_error("no job of step " + step + " waits");
}

const DrivenRun::Waiting& DrivenRun::At(const std::string& label) const {
  for (const Waiting& w : waiting_) {
    if (w.job.label == label) return w;
  }
  throw std::runtime_error("no job " + label + " waits");
}

size_t DrivenRun::Count(const std::string& step) const {
  return static_cast<size_t>(std::count_if(waiting_.begin(), waiting_.end(),
                                           [&](const Waiting& w) { return w.job.step == step; }));
}

std::vector<std::string> DrivenRun::Labels() const {
  std::vector<std::string> labels;
  for (const Waiting& w : waiting_) labels.push_back(w.job.label);
  return labels;
}

void DrivenRun::Answer(const Waiting& waiting, JobResult result) {
  Apply({JobReported{waiting.start.key, waiting.start.attempt, std::move(result), "worker"}});
}

void DrivenRun::Lose(const std::string& step, AttemptLost::Reason reason, bool taken, bool alone) {
  const StartAttempt start = First(step).start;
  Apply({AttemptLost{start.key, start.attempt, reason, taken, alone, "gone"}});
}

void DrivenRun::Play(const Worker& worker, const std::function<bool()>& until) {
  for (int turns = 0; !waiting_.empty() && !core_.ended(); ++turns) {
    if (until && until()) return;
    if (turns > 100000) throw std::runtime_error("the run does not end");
    Answer(waiting_.front(), worker(waiting_.front().job));
  }
}

void DrivenRun::Play(const Speedups& speedup) {
  Play([&](const Job& job) { return GoodAnswer(job, speedup); }, nullptr);
}

void DrivenRun::PlayBefore(const std::string& step) {
  for (;;) {
    const auto next = std::find_if(waiting_.begin(), waiting_.end(),
                                   [&](const Waiting& w) { return w.job.step != step; });
    if (next == waiting_.end()) return;
    Answer(*next, GoodAnswer(next->job));
  }
}

const std::string& DrivenRun::ended() const {
  static const std::string kNot;
  return core_.ended() ? core_.ended()->stopped_by : kNot;
}

std::string Picture(const RunCore& core) {
  std::string text = ToJson(core.RunRecord()) + "\n";
  const auto add = [&](SubjectKind kind, size_t count) {
    for (size_t i = 1; i <= count; ++i) {
      text += ToJson(core.CandidateRecord({kind, static_cast<uint32_t>(i)})) + "\n";
    }
  };
  add(SubjectKind::kPrepared, core.prepared().size());
  add(SubjectKind::kRequest, core.requests().size());
  add(SubjectKind::kCandidate, core.candidates().size());
  const Usage& u = core.usage();
  text += std::to_string(u.tokens_in) + " " + std::to_string(u.tokens_out) + " " +
          FormatDouble(u.usd) + " " + FormatDouble(u.wall_ms) + "\n";
  for (const StartAttempt& open : core.OpenAttempts()) {
    text += core.Label(open.key, open.attempt) + (open.solitary ? " alone" : "") + "\n";
  }
  return text;
}

}  // namespace kev::testing
