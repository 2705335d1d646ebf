#include "tools/live/progress.h"

#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "tools/live/report.h"
#include "tools/live/visible_output.h"

namespace kev {
namespace {

constexpr int64_t kPlainLineEveryMs = 5000;  // where output is no terminal
constexpr int64_t kRateWindowMs = 2000;

}  // namespace

LiveProgress::LiveProgress(OutputMode mode)
    : mode_(mode), terminal_(mode == OutputMode::kText && isatty(STDOUT_FILENO) == 1) {}

void LiveProgress::Emit(const Value& line) { std::cout << ToJson(line) << std::endl; }

void LiveProgress::ClearLine() {
  if (line_open_) std::cout << EraseLine << std::flush;
  line_open_ = false;
}

void LiveProgress::Note(const std::string& text) {
  if (mode_ == OutputMode::kQuiet || mode_ == OutputMode::kSilent) return;
  if (mode_ == OutputMode::kJson) {
    Value v;
    v.Set("event", "note");
    v.Set("text", text);
    Emit(v);
    return;
  }
  ClearLine();
  std::cout << text << std::endl;
}

void LiveProgress::Started(const std::string& run, const std::string& folder, const Plan& plan) {
  if (mode_ == OutputMode::kJson) {
    Value v;
    v.Set("event", "started");
    v.Set("run", run);
    v.Set("folder", folder);
    v.Set("workflow", plan.workflow);
    v.Set("task", plan.task);
    v.Set("target", plan.target);
    Emit(v);
    return;
  }
  Note("run " + run + ": workflow " + plan.workflow + ", task " + plan.task + ", target " +
       plan.target);
}

void LiveProgress::Committed(const EventGroup& group, const RunCore& core) {
  if (mode_ == OutputMode::kSilent) return;
  for (const auto& [step, reason] : core.disabled()) {
    if (std::exchange(disabled_told_[step], true)) continue;
    Note("step " + step + " is disabled: " + reason);
  }
  for (const Event& event : group.events) {
    const auto* report = std::get_if<JobReported>(&event);
    if (report == nullptr) continue;
    ++done_by_step_[core.plan().steps[report->key.step].id];
    if (mode_ != OutputMode::kJson || report->key.subject.kind != SubjectKind::kCandidate) continue;
    const uint32_t n = report->key.subject.number;
    const Candidate* ended = core.candidates().Find(n);
    if (ended == nullptr || !ended->ended || std::exchange(told_[n], true)) continue;
    const Candidate& c = *ended;
    Value v;
    v.Set("event", "candidate");
    v.Set("candidate", c.view.name);
    v.Set("verdict", Name(c.verdict));
    if (!c.message.empty()) v.Set("message", c.message);
    for (const StepOutcome& outcome : c.steps) {
      if (outcome.facts.Has("speedup")) v.Set("speedup", outcome.facts["speedup"]);
    }
    Emit(v);
  }
  if (core.best() && core.best()->candidate.number != best_) {
    best_ = core.best()->candidate.number;
    const Candidate& c = core.candidates()[best_ - 1];
    const Value& facts = core.best()->facts;
    best_speedup_ = facts["speedup"].AsDouble();
    if (mode_ == OutputMode::kJson) {
      Value v;
      v.Set("event", "best");
      v.Set("candidate", c.view.name);
      v.Set("speedup", facts["speedup"]);
      v.Set("speedup_low", facts["speedup_low"]);
      v.Set("speedup_high", facts["speedup_high"]);
      v.Set("parameters", c.view.parameters);
      Emit(v);
    } else if (mode_ == OutputMode::kText) {
      char head[96];
      std::snprintf(head, sizeof head, "%6.1f s  best %s  %.2fx [%.2f, %.2f]  ",
                    static_cast<double>(core.run_time_ms()) / 1e3, c.view.name.c_str(),
                    best_speedup_, facts["speedup_low"].AsDouble(),
                    facts["speedup_high"].AsDouble());
      Note(head + (c.view.variant.empty()
                       ? c.view.origin
                       : c.view.variant + " " + FormatParameters(c.view.parameters)));
    }
  }
}

std::string LiveProgress::StatusLine(const RunCore& core, const QueueDepth& queue, int64_t now) {
  if (now - window_started_ms_ >= kRateWindowMs) {
    for (const auto& [step, done] : done_by_step_) {
      rate_by_step_[step] = 1e3 * static_cast<double>(done - done_at_window_[step]) /
                            static_cast<double>(now - window_started_ms_);
    }
    done_at_window_ = done_by_step_;
    window_started_ms_ = now;
  }
  char text[160];
  const Budget& budget = core.plan().budget;
  std::snprintf(text, sizeof text, "%6.1f s  %s  %zu", static_cast<double>(now) / 1e3,
                Name(core.phase()), core.candidates().size());
  std::string line = text;
  if (budget.candidates != 0) line += "/" + std::to_string(budget.candidates);
  line += " candidates, " + std::to_string(core.evaluated()) + " evaluated";
  if (budget.wall_ms != 0) {
    const int64_t left = std::max<int64_t>(0, static_cast<int64_t>(budget.wall_ms) - now);
    line += ", " + std::to_string(left / 1000) + " s left";
  }
  for (const Step& step : core.plan().steps) {
    if (step.kind == StageKind::kSelect || !done_by_step_.contains(step.id)) continue;
    std::snprintf(text, sizeof text, " | %s %.1f/s", step.id.c_str(), rate_by_step_[step.id]);
    line += text;
  }
  line += " | queue " + std::to_string(queue.ready) + "+" + std::to_string(queue.out);
  if (best_ != 0) {
    std::snprintf(text, sizeof text, " | best %.2fx (c%u)", best_speedup_, best_);
    line += text;
  }
  return line;
}

void LiveProgress::Tick(const RunCore& core, const QueueDepth& queue, int64_t now) {
  if (mode_ == OutputMode::kQuiet || mode_ == OutputMode::kSilent) return;
  if (terminal_) {
    std::cout << EraseLine << StatusLine(core, queue, now) << std::flush;
    line_open_ = true;
    return;
  }
  if (last_line_ms_ >= 0 && now - last_line_ms_ < kPlainLineEveryMs) return;
  last_line_ms_ = now;
  if (mode_ == OutputMode::kText) {
    std::cout << StatusLine(core, queue, now) << std::endl;
    return;
  }
  Value v;
  v.Set("event", "progress");
  v.Set("run_time_ms", now);
  v.Set("candidates", static_cast<int64_t>(core.candidates().size()));
  v.Set("evaluated", core.evaluated());
  v.Set("ready", static_cast<int64_t>(queue.ready));
  v.Set("out", static_cast<int64_t>(queue.out));
  Emit(v);
}

}  // namespace kev
