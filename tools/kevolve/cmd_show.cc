// kevolve show: a run, or one candidate with everything that was kept of it.
#include <algorithm>
#include <filesystem>
#include <iostream>

#include "tools/kevolve/commands.h"
#include "tools/live/exit_code.h"
#include "tools/live/home.h"
#include "tools/live/report.h"
#include "tools/live/stored_run.h"

namespace kev {
namespace {

// Blobs that are text for people; the others are named by their digest only.
bool IsText(const std::string& name) {
  return name == "stdout" || name == "stderr" || name == "prompt" || name == "answer" ||
         name == "report";
}

bool Exists(const RunCore& core, Subject subject) {
  const size_t count = subject.kind == SubjectKind::kCandidate ? core.candidates().size()
                       : subject.kind == SubjectKind::kRequest ? core.requests().size()
                                                               : core.prepared().size();
  return subject.number <= count;
}

void PrintBlobs(StoredRun& run, const Value& outcome, const std::string& step) {
  for (const auto& [name, sha] : outcome["blobs"].AsMap()) {
    if (!IsText(name)) continue;
    auto text = run.Blob(sha.AsString());
    std::cout << "--- " << step << " " << name << "\n"
              << (text ? *text : text.error().message) << "\n";
  }
}

int ShowSubject(StoredRun& run, const LookOptions& options) {
  const RunCore& core = *run.core;
  const auto subject = SubjectFrom(options.subject);
  if (!subject || !Exists(core, *subject)) {
    return Complain({Code::kNotFound,
                     "run " + run.id + " has no '" + options.subject + "': candidates are c1 to c" +
                         std::to_string(core.candidates().size()) +
                         ", baselines and reference p1 to p" +
                         std::to_string(core.prepared().size()) + ", requests r1 to r" +
                         std::to_string(core.requests().size())});
  }
  const Value record = core.CandidateRecord(*subject);
  if (options.json) {
    std::cout << ToJson(record) << "\n";
    return kExitDone;
  }
  std::cout << CandidateReport(core, *subject);
  for (size_t r = 0; subject->kind == SubjectKind::kCandidate && r < core.requests().size(); ++r) {
    const auto& born = core.requests()[r].born;
    if (std::find(born.begin(), born.end(), *subject) == born.end()) continue;
    std::cout << "  came from   r" << r + 1 << " (kevolve show " << run.id << " r" << r + 1
              << " shows what was asked and answered)\n";
  }
  for (const auto& [step, outcome] : record["steps"].AsMap()) PrintBlobs(run, outcome, step);
  PrintBlobs(run, record["outcome"], record["step"].AsString());
  if (options.source && record.Has("source")) {
    auto source = run.Blob(record["source"].AsString());
    std::cout << "--- source\n" << (source ? *source : source.error().message) << "\n";
  }
  return kExitDone;
}

}  // namespace

int ShowCommand(const LookOptions& options) {
  auto opened = StoredRun::Open(options.run);
  if (!opened) return Complain(opened.error());
  Warn(**opened);
  StoredRun& run = **opened;
  if (!options.subject.empty()) return ShowSubject(run, options);
  const RunCore& core = *run.core;
  const std::string best =
      core.best() ? RunFolder{run.id, RunsFolder() + "/" + run.id}.Best() + "/" + core.plan().task +
                        std::filesystem::path(
                            core.candidates()[core.best()->candidate.number - 1].view.source_name)
                            .extension()
                            .string()
                  : "";
  const std::string saved = std::filesystem::exists(best) ? best : "";
  if (options.json) {
    Value v = DoneLine(core, saved);
    v.Set("event", "run");
    v.Set("phase", Name(core.phase()));
    Value::List candidates;
    for (const Candidate& c : core.candidates())
      candidates.push_back(core.CandidateRecord(c.view.id));
    v.Set("records", std::move(candidates));
    std::cout << ToJson(v) << "\n";
    return kExitDone;
  }
  std::cout << ClosingReport(core, saved, CommandName());
  if (run.state == StoredRun::State::kInterrupted)
    std::cout << "  interrupted: `kevolve resume " << run.id << "` goes on\n";
  else if (!core.ended() && core.paused())
    std::cout << "  paused: `kevolve resume " << run.id << "` goes on\n";
  std::cout << "\n";
  for (const PreparedState& p : core.prepared()) {
    std::cout << "  " << Name(p.record.view.id) << "  " << p.record.view.name
              << (p.ready ? ": ready" : ": not ready") << "\n";
  }
  for (const Candidate& c : core.candidates()) {
    std::cout << "  " << c.view.name << "  " << (c.ended ? Name(c.verdict) : "active");
    for (auto o = c.steps.rbegin(); o != c.steps.rend(); ++o) {
      if (!o->facts.Has("speedup")) continue;
      char text[32];
      std::snprintf(text, sizeof text, "  %.2fx", o->facts["speedup"].AsDouble());
      std::cout << text << " (" << o->facts["fidelity"].AsString() << ")";
      break;
    }
    std::cout << "  " << c.view.origin << (c.view.variant.empty() ? "" : " " + c.view.variant);
    if (!c.view.parameters.AsMap().empty()) std::cout << " " << FormatParameters(c.view.parameters);
    if (!c.message.empty()) std::cout << "  -- " << c.message;
    std::cout << "\n";
  }
  return kExitDone;
}

}  // namespace kev
