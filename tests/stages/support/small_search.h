// A search without engine or workers: a run core whose jobs a test answers one by one, in order.
//
// The workflow is tune, write -> build -> screen, with pick as select. Threads: one. Errors: none.
#ifndef KEV_TESTS_STAGES_SUPPORT_SMALL_SEARCH_H_
#define KEV_TESTS_STAGES_SUPPORT_SMALL_SEARCH_H_

#include <deque>
#include <string>
#include <utility>
#include <variant>

#include "engine/core/run_core.h"

namespace kev {

class SmallSearch {
 public:
  enum Step : uint16_t { kTune, kWrite, kBuild, kScreen, kPick };

  explicit SmallSearch(uint32_t in_flight = 8, uint64_t seed = 7)
      : core_("run-1", RunCore::Options{.payloads = false, .keep_ended = true}) {
    auto step = [&](const char* id, const char* stage, StageKind kind,
                    std::vector<uint16_t> needs = {}) {
      kev::Step one;
      one.id = id;
      one.stage = stage;
      one.kind = kind;
      one.needs = std::move(needs);
      plan_.steps.push_back(std::move(one));
    };
    step("tune", "propose/tune", StageKind::kPropose);
    step("write", "propose/llm", StageKind::kPropose);
    step("build", "compile", StageKind::kCompile, {kTune, kWrite});
    step("screen", "profile", StageKind::kProfile, {kBuild});
    step("pick", "select", StageKind::kSelect);
    plan_.steps[kTune].batch = 64;
    plan_.steps[kTune].settings.Set("strategy", "auto");
    plan_.select = kPick;
    plan_.seed = seed;
    plan_.in_flight = in_flight;
    plan_.target = "cpu";
    plan_.shares = {{kTune, Share::Kind::kFill, 0}};
  }
  Plan& plan() { return plan_; }  // change it before Begin
  void Begin() { Apply(RunSubmitted{plan_, Value()}); }

  const RunCore& core() const { return core_; }
  bool HasWork() const { return !open_.empty(); }
  // The oldest open job, taken out.
  Job Next() {
    StartAttempt start = open_.front();
    open_.pop_front();
    return JobOf(start.key, start.attempt);
  }
  void Answer(const Job& job, JobResult result) {
    Apply(JobReported{job.key, job.attempt, std::move(result), "test"});
  }

  Job JobOf(const JobKey& key, uint32_t attempt) const {
    const kev::Step& step = core_.plan().steps[key.step];
    Job job;
    job.run = core_.run();
    job.key = key;
    job.attempt = attempt;
    job.label = core_.Label(key, attempt);
    job.step = step.id;
    job.stage = step.stage;
    job.settings = step.settings;
    job.target = plan_.target;
    job.seed = plan_.seed;
    job.history_seq = core_.last_seq();
    if (key.subject.kind == SubjectKind::kRequest) {
      const ProposeRequest& request = core_.requests()[key.subject.number - 1];
      if (request.select)
        job.places = request.request.hints;
      else
        job.request = request.request;
    } else {
      job.candidate = core_.candidates()[key.subject.number - 1].view;
    }
    return job;
  }

 private:
  void Apply(Event event) {
    EventGroup group;
    group.first_seq = core_.last_seq() + 1;
    group.events.push_back(std::move(event));
    for (Command& command : core_.Apply(group))
      if (auto* start = std::get_if<StartAttempt>(&command)) open_.push_back(std::move(*start));
  }

  Plan plan_;
  RunCore core_;
  std::deque<StartAttempt> open_;
};

// What select answers when everything goes to the step.
inline JobResult Wish(const std::string& step, uint32_t count) {
  JobResult result;
  Request request;
  request.step = step;
  request.count = count;
  result.requests.push_back(std::move(request));
  return result;
}

inline JobResult Measured(double speedup) {
  JobResult result;
  result.facts.Set("speedup", speedup);
  return result;
}

inline JobResult RefusedWith(Verdict verdict, std::string message) {
  JobResult result;
  result.verdict = verdict;
  result.message = std::move(message);
  return result;
}

}  // namespace kev

#endif  // KEV_TESTS_STAGES_SUPPORT_SMALL_SEARCH_H_
