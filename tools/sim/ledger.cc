#include "tools/sim/ledger.h"

#include <algorithm>
#include <cstdio>

#include "engine/core/record_fields.h"
#include "engine/core/result_fit.h"
#include "engine/host/projection.h"

namespace kev::sim {
namespace {

std::string TextOf(const RecordFields& fields) {
  std::string text;
  for (const auto& [field, value] : fields)
    text += (text.empty() ? "" : ", ") + field + " " + value;
  return text;
}

// What a result says of the job that it is of; empty when it says nothing (it never began).
std::string_view MarkIn(const JobResult& result) {
  const std::string& text = result.failure ? result.failure->message : result.message;
  const size_t at = text.rfind("job:");
  return at == std::string::npos ? std::string_view() : std::string_view(text).substr(at);
}

std::vector<Subject> Everything(const RunCore& core) {
  std::vector<Subject> all;
  const auto add = [&](SubjectKind kind, size_t count) {
    for (uint32_t n = 1; n <= count; ++n) all.push_back({kind, n});
  };
  add(SubjectKind::kCandidate, core.candidates().size());
  add(SubjectKind::kRequest, core.requests().size());
  add(SubjectKind::kPrepared, core.prepared().size());
  return all;
}

bool IsThere(const RunCore& core, Subject subject) {
  switch (subject.kind) {
    case SubjectKind::kCandidate:
      return core.candidates().Find(subject.number) != nullptr;
    case SubjectKind::kRequest:
      return core.requests().Find(subject.number) != nullptr;
    default:
      return true;
  }
}

}  // namespace

uint64_t FingerprintOf(std::string_view payload) { return DigestOf(payload, 17).lo; }

std::string MarkOf(uint64_t fingerprint) {
  char text[32];
  std::snprintf(text, sizeof text, "job:%016llx", static_cast<unsigned long long>(fingerprint));
  return text;
}

std::string Ledger::Named(const std::string& run, const JobKey& key, uint32_t attempt) const {
  const RunCore* core = Core(run);
  if (core != nullptr && key.step < core->plan().steps.size())
    return run + "/" + core->Label(key, attempt);
  return run + "/" + Name(key.subject) + "/" + std::to_string(key.step) + "#" +
         std::to_string(attempt);
}

void Ledger::Appended(const Commit& commit, uint64_t engine, const Projections& stored) {
  Run& run = runs_[commit.run];
  Follow(run, commit.run, commit, engine);
  std::vector<Subject> changed;
  for (const RecordPart& part : run.core->TakeChanged()) {
    if (changed.empty() || changed.back() != part.subject) changed.push_back(part.subject);
  }
  for (const Projection& p : commit.projections) run.forgotten.erase(p.key);
  run.forgotten.insert(commit.forget.begin(), commit.forget.end());
  if (run.entries % records_each_ == 0) CompareRecords(*run.core, changed, stored);
}

void Ledger::Follow(Run& run, const std::string& name, const Commit& commit, uint64_t engine) {
  if (!run.core) run.core = std::make_unique<RunCore>(name);
  ++run.entries;
  const Result<EventGroup> group = EventGroupFrom(PackedView(commit.body));
  if (!group) {
    return story_->Violate("the log of " + name + " cannot be read at seq " +
                           std::to_string(commit.last_seq) + ": " + group.error().message);
  }
  if (group->first_seq != run.core->last_seq() + 1 || group->last_seq() != commit.last_seq) {
    return story_->Violate("the log of " + name + " has a gap before seq " +
                           std::to_string(group->first_seq));
  }
  if (group->run_time_ms < run.core->run_time_ms()) {
    story_->Violate("run time of " + name + " goes back at seq " + std::to_string(commit.last_seq) +
                    ", from " + std::to_string(run.core->run_time_ms()) + " to " +
                    std::to_string(group->run_time_ms) + " ms");
  }
  const auto lose = [&](const JobKey& key, JobState& job) {
    job.open = false;
    run.attempts[{key, job.current}].over_seq = commit.last_seq;
    if (engine != 0 && on_lost) on_lost(engine, name, {key, job.current});
  };
  for (const Event& event : group->events) {
    if (const auto* report = std::get_if<JobReported>(&event)) {
      Report(run, name, *report, commit.last_seq, /*again=*/engine == 0);
    } else if (const auto* lost = std::get_if<AttemptLost>(&event)) {
      JobState& job = run.jobs[lost->key];
      if (job.open && job.current == lost->attempt) lose(lost->key, job);
    } else if (const auto* all = std::get_if<OpenAttemptsLost>(&event)) {
      for (auto& [key, job] : run.jobs) {
        if (job.open &&
            !std::binary_search(all->kept.begin(), all->kept.end(), std::pair(key, job.current)))
          lose(key, job);
      }
    } else if (const auto* late = std::get_if<AttemptTimedOut>(&event)) {
      JobState& job = run.jobs[late->key];
      if (job.open && job.current == late->attempt) job.open = false;
    } else if (const auto* signal = std::get_if<Signal>(&event)) {
      if (signal->data.Has("order"))
        run.orders.emplace(signal->data["order"].AsInt(), commit.last_seq);
    } else if (std::holds_alternative<CandidatesGiven>(event)) {
      ++run.given;
    }
  }
  const bool ended = run.core->phase() == Phase::kEnded;
  const std::vector<Command> commands = run.core->Apply(*group);
  if (!ended && run.core->phase() == Phase::kEnded && story_->told())
    story_->Tell(name + " ends: " + run.core->ended()->status);
  if (RunCore::DigestCommands(commands).Hex() != commit.digest) {
    story_->Violate("folding seq " + std::to_string(commit.last_seq) + " of " + name +
                    " gives other commands than its engine had");
  }
  Commands(run, name, commit.last_seq, commands);
  if (run.core->usage().tokens_in != run.tokens) {
    story_->Violate("the results of " + name + " used " + std::to_string(run.tokens) +
                    " tokens, counted were " + std::to_string(run.core->usage().tokens_in));
  }
}

void Ledger::Report(Run& run, const std::string& name, const JobReported& event, uint64_t seq,
                    bool again) {
  const auto known = run.attempts.find({event.key, event.attempt});
  if (known == run.attempts.end() || known->second.ghost) {
    return story_->Violate("a result of " + Named(name, event.key, event.attempt) +
                           ", which was never started, is in the log at seq " +
                           std::to_string(seq));
  }
  Attempt& attempt = known->second;
  if (attempt.reported_seq == 0) {
    run.tokens += event.result.usage.tokens_in;
    attempt.reported_seq = seq;
    if (!again) ++story_->tally.jobs;
  }
  const std::string_view mark = MarkIn(event.result);
  if (!mark.empty() && mark != MarkOf(attempt.fingerprint)) {
    story_->Violate("the log has the result of another job for " +
                    Named(name, event.key, event.attempt));
  }
  if (!again && !attempt.holders.contains(event.worker)) {
    story_->Violate("the log has a result of " + Named(name, event.key, event.attempt) + " by " +
                    event.worker + ", which never had it");
  }
  ForEachBlob(event.result, [&](const BlobRef& ref) {
    if (!again && has_blob && !has_blob(ref.sha256))
      story_->Violate("a blob of " + Named(name, event.key, event.attempt) +
                      " is in the log and not in the store");
    return true;
  });
  JobState& job = run.jobs[event.key];
  if (!job.open || job.current != event.attempt) return;
  job.open = false;  // a failure is followed by a new attempt, or the end of the job
  attempt.over_seq = seq;
  if (event.result.failure) return;
  if (job.accepted) story_->Violate("two results of " + Named(name, event.key, 0) + " were taken");
  job.accepted = attempt.accepted = true;
  if (event.result.verdict == Verdict::kCancelled) {
    story_->Violate("that " + Named(name, event.key, event.attempt) +
                    " was cancelled was taken for its result");
  }
}

void Ledger::Commands(Run& run, const std::string& name, uint64_t seq,
                      const std::vector<Command>& commands) {
  const auto over = [&](const JobKey& key, uint32_t number) {
    const auto it = run.attempts.find({key, number});
    if (it != run.attempts.end() && it->second.over_seq == 0) it->second.over_seq = seq;
  };
  for (const Command& command : commands) {
    if (const auto* start = std::get_if<StartAttempt>(&command)) {
      JobState& job = run.jobs[start->key];
      if (start->attempt != job.current + 1) {
        story_->Violate(Named(name, start->key, start->attempt) + " follows attempt " +
                        std::to_string(job.current));
      }
      if (job.accepted) {
        story_->Violate(Named(name, start->key, start->attempt) +
                        " begins after a result of the job was taken");
      }
      over(start->key, job.current);
      job.current = start->attempt;
      job.open = true;
      Attempt fresh;
      fresh.started_seq = seq;
      fresh.solitary = start->solitary;
      fresh.fingerprint = FingerprintOf(start->payload);
      Attempt& attempt = run.attempts[{start->key, start->attempt}];
      // Of a tail that was lost and is written again, the memory who has it is kept.
      if (attempt.fingerprint == fresh.fingerprint && attempt.unknown_to == 0) {
        fresh.given_by = attempt.given_by;
        fresh.holders = attempt.holders;
      }
      attempt = fresh;
    } else if (const auto* cancel = std::get_if<CancelAttempt>(&command)) {
      over(cancel->key, cancel->attempt);
      JobState& job = run.jobs[cancel->key];
      if (job.current == cancel->attempt) job.open = false;
    }
  }
}

void Ledger::Rewound(const std::string& name,
                     const std::vector<std::shared_ptr<const Commit>>& left) {
  Run before = std::exchange(runs_[name], Run());
  Run& run = runs_[name];
  for (const auto& commit : left) {
    Follow(run, name, *commit, /*engine=*/0);
    for (const Projection& p : commit->projections) run.forgotten.erase(p.key);
    run.forgotten.insert(commit->forget.begin(), commit->forget.end());
  }
  if (run.core) run.core->TakeChanged();
  for (auto& [id, attempt] : before.attempts) {
    const auto now = run.attempts.find(id);
    if (now != run.attempts.end()) {
      now->second.given_by = attempt.given_by;
      if (now->second.reported_seq == 0)
        now->second.ghost_report_seq = std::max(attempt.reported_seq, attempt.ghost_report_seq);
      now->second.holders = std::move(attempt.holders);
      continue;
    }
    if (!std::exchange(attempt.ghost, true)) attempt.unknown_to = 0;
    run.attempts[id] = attempt;
  }
  run.steps = before.core && !before.core->plan().steps.empty() ? before.core->plan().steps
                                                                : std::move(before.steps);
}

void Ledger::ForgetGhosts(const std::string& name, uint64_t engine) {
  for (auto& [id, attempt] : runs_[name].attempts) {
    const bool lost = attempt.ghost || attempt.ghost_report_seq != 0;
    if (lost && attempt.unknown_to == 0) attempt.unknown_to = engine;
  }
}

Ledger::Attempt* Ledger::Find(const std::string& run, const JobKey& key, uint32_t attempt,
                              uint64_t engine) {
  const auto it = runs_.find(run);
  if (it == runs_.end()) return nullptr;
  const auto at = it->second.attempts.find({key, attempt});
  if (at == it->second.attempts.end()) return nullptr;
  Attempt& found = at->second;
  return found.ghost && !KnownTo(found, engine) ? nullptr : &found;
}

const Step* Ledger::StepOf(const std::string& run, uint16_t step) const {
  const auto it = runs_.find(run);
  if (it == runs_.end()) return nullptr;
  const RunCore* core = it->second.core.get();
  const std::vector<Step>& steps =
      core != nullptr && !core->plan().steps.empty() ? core->plan().steps : it->second.steps;
  return step < steps.size() ? &steps[step] : nullptr;
}

const RunCore* Ledger::Core(const std::string& run) const {
  const auto it = runs_.find(run);
  return it == runs_.end() ? nullptr : it->second.core.get();
}

uint64_t Ledger::LastSeq(const std::string& run) const {
  const RunCore* core = Core(run);
  return core == nullptr ? 0 : core->last_seq();
}

uint64_t Ledger::OrderAt(const std::string& run, int64_t order) const {
  const auto it = runs_.find(run);
  if (it == runs_.end()) return 0;
  const auto at = it->second.orders.find(order);
  return at == it->second.orders.end() ? 0 : at->second;
}

uint64_t Ledger::given(const std::string& run) const {
  const auto it = runs_.find(run);
  return it == runs_.end() ? 0 : it->second.given;
}

void Ledger::CompareRecords(const RunCore& core, const std::vector<Subject>& subjects,
                            const Projections& stored) {
  const auto compare = [&](Projection folded) {
    const auto it = stored.find(folded.key);
    std::sort(folded.fields.begin(), folded.fields.end());
    if (it != stored.end() &&
        std::equal(folded.fields.begin(), folded.fields.end(), it->second.begin(), it->second.end(),
                   [](const auto& a, const auto& b) {
                     return a.first == b.first && a.second == b.second;
                   }))
      return;
    const std::string has =
        it == stored.end() ? "nothing" : TextOf({it->second.begin(), it->second.end()});
    story_->Violate("the store's record " + folded.key + " of " + core.run() + " is " + has +
                    ", the log gives " + TextOf(folded.fields));
  };
  const auto& forgotten = runs_.at(core.run()).forgotten;
  for (const Subject subject : subjects) {
    if (IsThere(core, subject) && !forgotten.contains(ProjectionKey(subject)))
      compare(SubjectProjection(core, subject));
  }
  compare(RunProjection(core));
}

void Ledger::Close(const std::string& name, const std::vector<std::shared_ptr<const Commit>>& log,
                   const Projections& stored) {
  const RunCore* kept = Core(name);
  if (kept == nullptr) return;
  CompareRecords(*kept, Everything(*kept), stored);
  for (const auto& [key, fields] : stored) {
    if (key == "run") continue;
    const size_t colon = key.find(':');
    const uint64_t number = std::stoull(key.substr(colon + 1));
    const uint64_t most = key.starts_with("cand:")  ? kept->candidates().size()
                          : key.starts_with("req:") ? kept->requests().size()
                                                    : kept->prepared().size();
    if (number > most) story_->Violate("the store has a record " + key + " that the log knows not");
  }
  RunCore::Options options;
  options.keep_ended = false;
  RunCore lean(name, options);
  for (const auto& commit : log) {
    const Result<EventGroup> group = EventGroupFrom(PackedView(commit->body));
    if (!group) return;  // said before
    if (RunCore::DigestCommands(lean.Apply(*group)).Hex() != commit->digest) {
      return story_->Violate("a fold of " + name +
                             " that lets go of what has ended differs at seq " +
                             std::to_string(commit->last_seq));
    }
  }
  Compare(lean);
}

void Ledger::Compare(const RunCore& live) {
  const RunCore* core = Core(live.run());
  if (core == nullptr || core->last_seq() != live.last_seq()) return;
  const std::string ours = ToJson(core->RunRecord()), its = ToJson(live.RunRecord());
  if (ours != its) {
    return story_->Violate("a core of " + live.run() + " at seq " +
                           std::to_string(live.last_seq()) + " says " + its + ", the log gives " +
                           ours);
  }
  for (const Subject subject : Everything(*core)) {
    if (!IsThere(live, subject)) continue;
    const RecordFields folded = AllFields(*core, subject);
    const RecordFields lives = AllFields(live, subject);
    if (folded == lives) continue;
    return story_->Violate("a core of " + live.run() + " has of " + Name(subject) + " " +
                           TextOf(lives) + ", the log gives " + TextOf(folded));
  }
  const auto open = core->OpenAttempts(), other = live.OpenAttempts();
  const bool same =
      std::equal(open.begin(), open.end(), other.begin(), other.end(),
                 [](const StartAttempt& a, const StartAttempt& b) {
                   return a.key == b.key && a.attempt == b.attempt && a.solitary == b.solitary;
                 });
  if (!same) story_->Violate("a core of " + live.run() + " has other open attempts than the log");
}

}  // namespace kev::sim
