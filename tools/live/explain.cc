#include "tools/live/explain.h"

#include <algorithm>

#include "configs/suggestion.h"
#include "tools/live/home.h"

namespace kev {
namespace {

constexpr int64_t kSilentMs = 1000;  // longer than a commit takes

const char* Name(StepOutcome::State state) {
  static constexpr const char* kNames[] = {"waiting", "open", "passed", "skipped", "ended"};
  return kNames[static_cast<size_t>(state)];
}

std::string WhyJob(const RunCore& core, const Live& live, const JobKey& key) {
  std::string why = live.host != nullptr ? live.host->Explain(*live.run, key) : core.Explain(key);
  if (why.empty()) {
    why = live.host != nullptr ? "it is on its way"
                               : "it was open when the run was interrupted; resume goes on with it";
  }
  return why;
}

Value OneStep(const RunCore& core, const Live& live, uint16_t step) {
  const Step& s = core.plan().steps[step];
  Value v;
  v.Set("step", s.id);
  v.Set("stage", s.stage);
  const auto disabled = core.disabled().find(s.id);
  if (disabled != core.disabled().end()) v.Set("disabled", disabled->second);
  if (live.host == nullptr || step >= live.run->classes().size()) return v;
  const uint32_t job_class = live.run->classes()[step];
  const Placer::ClassCounts counts = live.host->placer().CountsOfClass(job_class);
  v.Set("later", static_cast<uint64_t>(counts.later));
  v.Set("ready", static_cast<uint64_t>(counts.ready));
  v.Set("sent", static_cast<uint64_t>(counts.sent));
  v.Set("taken", static_cast<uint64_t>(counts.taken));
  v.Set("ending", static_cast<uint64_t>(counts.ending));
  v.Set("finished", counts.finished);
  const std::string first = live.host->placer().ExplainClass(job_class, live.now_ms);
  if (!first.empty()) v.Set("first_waits", first);
  return v;
}

std::string StepLine(const Value& v) {
  std::string line = v["step"].AsString() + " (" + v["stage"].AsString() + "): ";
  if (v.Has("disabled")) return line + "disabled: " + v["disabled"].AsString();
  if (!v.Has("ready")) return line + "the run is not live";
  const auto count = [&](const char* key) { return std::to_string(v[key].AsInt()); };
  line += count("ready") + " wait, " + count("later") + " back off, " + count("sent") +
          " sent ahead, " + count("taken") + " being done, " + count("finished") + " done";
  if (v.Has("first_waits")) line += "; the first that waits: " + v["first_waits"].AsString();
  return line;
}

Value WholeRun(const RunCore& core, const Live& live) {
  Value v;
  Value::List lines;
  std::string why = core.ExplainRun();
  if (why.empty()) {
    why = live.host == nullptr ? "it was interrupted; resume goes on" : "it goes on";
    if (live.host != nullptr && live.host->StoreSilentMs() > kSilentMs)
      why = "it waits for the store, which has not answered for " +
            std::to_string(live.host->StoreSilentMs() / 1000) + " s";
    else if (live.host != nullptr && live.host->store_lost())
      why = "nothing is given out while the store is gone: " + live.host->store_lost()->message;
    else if (live.host != nullptr && live.run->in_grace())
      why = "the engine was restarted; workers have time to come back with what they hold";
  }
  v.Set("why", why);
  lines.emplace_back("run " + core.run() + ", " + kev::Name(core.phase()) + ": " + why);
  Value::List steps;
  for (uint16_t step = 0; step < core.plan().steps.size(); ++step) {
    steps.push_back(OneStep(core, live, step));
    if (live.host != nullptr || steps.back().Has("disabled"))
      lines.emplace_back("  " + StepLine(steps.back()));
  }
  if (!core.dead_letters().empty()) {
    lines.emplace_back("  " + std::to_string(core.dead_letters().size()) +
                       " job(s) were given up: `kevolve dlq list " + core.run() + "`");
  }
  v.Set("steps", std::move(steps));
  v.Set("lines", std::move(lines));
  return v;
}

Value OfSubject(const RunCore& core, const Live& live, Subject subject, const Candidate& c) {
  Value v;
  Value::List lines;
  const std::string number = kev::Name(subject);
  lines.emplace_back(number + (c.view.name == number ? "" : " " + c.view.name) + ": " +
                     (c.ended ? std::string("ended, ") + kev::Name(c.verdict) : "active") +
                     (c.message.empty() ? "" : " (" + c.message + ")"));
  Value::Map jobs;
  for (uint16_t step = 0; step < c.steps.size(); ++step) {
    const JobKey key{subject, step, 0};
    const Step& s = core.plan().steps[step];
    if (s.kind == StageKind::kPropose || s.kind == StageKind::kSelect) continue;
    Value job;
    const bool never = c.ended && c.steps[step].state == StepOutcome::State::kWaiting;
    job.Set("state", never ? "not reached" : Name(c.steps[step].state));
    job.Set("why", WhyJob(core, live, key));
    lines.emplace_back("  " + s.id + ": " + job["state"].AsString() + "; " + job["why"].AsString());
    jobs[s.id] = std::move(job);
  }
  v.Set("jobs", std::move(jobs));
  v.Set("lines", std::move(lines));
  return v;
}

}  // namespace

Result<Value> Explain(const RunCore& core, const Live& live, const std::string& what) {
  Value v;
  const auto finish = [&](Value answer) {
    answer.Set("run", core.run());
    answer.Set("phase", kev::Name(core.phase()));
    if (!what.empty()) answer.Set("what", what);
    return answer;
  };
  if (what.empty()) return finish(WholeRun(core, live));
  if (const auto step = core.plan().Find(what)) {
    v = OneStep(core, live, *step);
    v.Set("lines", Value::List{StepLine(v)});
    return finish(std::move(v));
  }
  if (const auto key = core.JobNamed(what)) {
    v.Set("why", WhyJob(core, live, *key));
    v.Set("lines", Value::List{what + ": " + v["why"].AsString()});
    return finish(std::move(v));
  }
  if (const auto subject = SubjectFrom(what)) {
    if (subject->kind == SubjectKind::kCandidate) {
      if (const Candidate* c = core.candidates().Find(subject->number))
        return finish(OfSubject(core, live, *subject, *c));
      if (subject->number != 0 && subject->number <= core.candidates().size()) {
        v.Set("gone", true);  // its record and the log have it
        v.Set("lines", Value::List{what + " has ended"});
        return finish(std::move(v));
      }
    } else if (subject->kind == SubjectKind::kPrepared && subject->number != 0 &&
               subject->number <= core.prepared().size()) {
      return finish(OfSubject(core, live, *subject, core.prepared()[subject->number - 1].record));
    } else if (const ProposeRequest* request = core.requests().Find(subject->number);
               subject->kind == SubjectKind::kRequest && request != nullptr) {
      const JobKey key{*subject, request->step, 0};
      v.Set("why", WhyJob(core, live, key));
      v.Set("lines", Value::List{what + "/" + core.plan().steps[request->step].id + ": " +
                                 v["why"].AsString()});
      return finish(std::move(v));
    }
  }
  std::vector<std::string> steps;
  for (const Step& step : core.plan().steps) steps.push_back(step.id);
  return Error{Code::kNotFound, "run " + core.run() + " has no '" + what + "'" +
                                    DidYouMean(what, steps) + "; name a candidate (c12 of " +
                                    std::to_string(core.candidates().size()) +
                                    "), a job (c12/STEP) or a step"};
}

Value DeadLetters(const RunCore& core) {
  Value::List letters;
  for (const DeadLetter& letter : core.dead_letters()) {
    Value v;
    const std::string label = core.Label(letter.key, letter.attempt);
    v.Set("job", label.substr(0, label.find('#')));
    v.Set("attempt", letter.attempt);
    v.Set("why", letter.why);
    v.Set("seq", letter.seq);
    Value::List evidence;
    for (const std::string& line : letter.evidence) evidence.emplace_back(line);
    v.Set("evidence", std::move(evidence));
    letters.push_back(std::move(v));
  }
  return letters;
}

Error NoSuchLetter(const std::string& run, const std::string& job) {
  return {Code::kNotFound, "run " + run + " has no dead letter '" + job + "'; `" + CommandName() +
                               " dlq list " + run + "` shows them"};
}

Status CheckDeadLetter(const RunCore& core, const std::string& job) {
  const auto key = core.JobNamed(job);
  const bool there = key && std::any_of(core.dead_letters().begin(), core.dead_letters().end(),
                                        [&](const DeadLetter& d) { return d.key == *key; });
  return there ? Status() : Status(NoSuchLetter(core.run(), job));
}

}  // namespace kev
