// One candidate: birth, what its results lead to, its end, `best`; and forgetting those that have
// ended.
#include <algorithm>

#include "engine/core/run_core.h"

namespace kev {
namespace {

// How many confirmed candidates are remembered, in case the best one does not stand in the closing
// measurement.
constexpr size_t kConfirmedKept = 16;

// Measurements of one code that are not final: what single launches differ by is known well enough
// then. And of how many candidates it is known how often theirs was measured.
constexpr uint32_t kMostSamples = 5;
constexpr size_t kScreenedKept = 1024;

int HexDigit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 0;
}

// The first half of a SHA-256: enough to tell a million sources apart.
Digest128 KeyOf(const std::string& sha256) {
  Digest128 key;
  if (sha256.size() < 32) return DigestOf(sha256);
  for (size_t i = 0; i < 16; ++i) {
    key.hi = key.hi << 4 | static_cast<uint64_t>(HexDigit(sha256[i]));
    key.lo = key.lo << 4 | static_cast<uint64_t>(HexDigit(sha256[16 + i]));
  }
  return key;
}

// Compile says which code it is as launch["code"], which build id, debug information and names do
// not change; where it cannot say, it is the file.
const std::string& CodeOf(const Artefact& artefact) {
  const std::string& code = artefact.launch["code"].AsString();
  return code.empty() ? artefact.blob.sha256 : code;
}

// REQUIRES: not empty. Candidates of several artefacts are one when all of them are.
Digest128 CodeKey(const std::vector<Artefact>& artefacts) {
  if (artefacts.size() == 1) return KeyOf(CodeOf(artefacts[0]));
  std::string all;
  for (const Artefact& artefact : artefacts) all += CodeOf(artefact) + "\n";
  return DigestOf(all);
}

}  // namespace

Candidate& RunCore::NewCandidate(const Proposal& proposal, uint16_t origin, uint32_t search) {
  Candidate& c = candidates_.emplace_back();
  c.view.id = {SubjectKind::kCandidate, static_cast<uint32_t>(candidates_.size())};
  c.view.name = Name(c.view.id);
  c.view.origin = origin < plan_.steps.size() ? plan_.steps[origin].id : "given";
  c.view.parents = proposal.parents;
  c.view.variant = proposal.variant;
  c.view.parameters = proposal.parameters;
  c.view.source = proposal.source;
  c.view.source_name = proposal.source_name;
  c.origin = origin;
  c.search = search;
  c.note = proposal.note;
  c.born_seq = current_seq_;
  c.born_ms = now_ms_;
  c.steps.resize(plan_.steps.size());
  SearchState& state = searches_.at(search);
  for (SearchState* s = &state; s != nullptr; s = OuterOf(*s)) ++s->born;
  ++state.active;
  if (origin < plan_.steps.size()) {
    ++state.proposed[origin];
    ++state.alive[origin];
  }
  active_numbers_.insert(c.view.id.number);
  if (plan_.candidate_timeout_ms != 0) {
    c.due_ms = SearchTime() + static_cast<int64_t>(plan_.candidate_timeout_ms);
    deadlines_.emplace(c.due_ms, c.view.id.number);
  }
  Changed(c.view.id);
  return c;
}

void RunCore::Born(const Proposal& proposal, ProposeRequest& request) {
  Candidate& c = NewCandidate(proposal, request.step, request.search);
  StepOutcome& origin = c.steps[request.step];
  origin.state = StepOutcome::State::kPassed;
  origin.attempt = origin.reported = request.outcome.attempt;
  origin.seq = current_seq_;
  request.born.push_back(c.view.id);
  Begin(c);
}

void RunCore::On(const CandidatesGiven& e) {
  if (!plan_.given || (phase_ != Phase::kSearching && phase_ != Phase::kPreparing)) return;
  bool all = true;  // of them fit into the budget
  for (const Proposal& proposal : e.proposals) {
    all = CandidatesLeft(searches_.at(0)) > 0;
    if (!all) break;
    Candidate& c = NewCandidate(proposal, static_cast<uint16_t>(plan_.steps.size()), 0);
    if (phase_ == Phase::kSearching) Begin(c);  // else when the preparations are over
    if (phase_ == Phase::kEnded) return;
  }
  all_given_ = all_given_ || (e.last && all);
}

void RunCore::Begin(Candidate& c) {
  if (!c.view.source.empty()) {
    const uint32_t twin = by_source_.First(KeyOf(c.view.source.sha256), c.view.id.number);
    if (twin != c.view.id.number) {
      c.twin = twin;
      // Its artefacts are those that compile gave before, and are found without compiling.
      if (plan_.one_binary_once && TakesSample(c, twin)) return Fire(c);
      End(c, Verdict::kDuplicate, "same source as c" + std::to_string(twin), c.view.origin);
      return;
    }
  }
  Fire(c);
}

// Whether another measurement of this code is of use: there are few, none at final fidelity, and
// its candidate still stands.
bool RunCore::TakesSample(const Candidate& c, uint32_t twin) const {
  const auto screened = screened_.find(twin);
  return screened != screened_.end() && screened->second.launches < kMostSamples &&
         path_[c.origin][screened->second.step];
}

// A duplicate is measured where its twin was, and nothing else is done with it.
void RunCore::TakeSample(Candidate& c) {
  SampledCode& screened = screened_.at(c.twin);
  ++screened.launches;
  for (size_t s = 0; s < c.steps.size(); ++s) {
    if (s == screened.step || c.steps[s].state != StepOutcome::State::kWaiting) continue;
    if (!path_[c.origin][s]) continue;
    c.steps[s].state = StepOutcome::State::kSkipped;
    c.steps[s].seq = current_seq_;
    Changed(JobKey{c.view.id, static_cast<uint16_t>(s), 0});
  }
  Start({c.view.id, screened.step, 0}, c.steps[screened.step]);
}

void RunCore::Sampled(Candidate& c, uint16_t step) {
  End(c, Verdict::kDuplicate,
      "same machine code as c" + std::to_string(c.twin) + ", whose samples it adds to",
      plan_.steps[step].id);
}

// A measurement that is not final, of a candidate that is the first of its code.
void RunCore::NoteScreened(const Candidate& c, uint16_t step) {
  if (!plan_.one_binary_once || RegionOf(c, step) != kNone) return;
  // Where branches compile, nobody knows whose code is whose.
  for (size_t s = 0; s < plan_.steps.size(); ++s) {
    if (plan_.steps[s].kind == StageKind::kCompile &&
        RegionOf(c, static_cast<uint16_t>(s)) != kNone)
      return;
  }
  if (plan_.steps[step].final_fidelity) {
    screened_.erase(c.view.id.number);
    return;
  }
  screened_[c.view.id.number] = {step, 1};
  if (screened_.size() > kScreenedKept) screened_.erase(screened_.begin());
}

void RunCore::CandidateReported(const JobReported& event) {
  Candidate& c = candidates_[event.key.subject.number - 1];
  const uint16_t step = event.key.step;
  const Step& spec = plan_.steps[step];
  if (event.result.verdict != Verdict::kOk) {
    if (const uint16_t region = RegionOf(c, step); region == kNone) {
      End(c, event.result.verdict, event.result.message, spec.id);
    } else {
      BreakBranch(c, region, event.key.index, event.result.verdict);
      Fire(c);
    }
    return;
  }
  if (spec.kind == StageKind::kCompile) {
    Compiled(c, event.key, event.result.artefacts);
    if (c.ended) return;
  }
  if (spec.kind == StageKind::kProfile) {
    if (c.twin != 0) return Sampled(c, step);
    NoteScreened(c, step);
    if (!c.evaluated) {
      ++evaluated_;
      for (SearchState* s = &searches_.at(c.search); s != nullptr; s = OuterOf(*s)) ++s->evaluated;
    }
    c.evaluated = true;
    if (spec.final_fidelity) ConsiderBest(c, step, event.result.facts);
  }
  Fire(c);
}

// What compile gave belongs to the candidate, or to the branch that it was compiled in. Behind the
// join a candidate has what all its branches have.
void RunCore::Compiled(Candidate& c, const JobKey& key, const std::vector<Artefact>& artefacts) {
  std::vector<Artefact> own = artefacts;
  for (Artefact& artefact : own) {
    artefact.role = "candidate";
    artefact.name = c.view.name;
  }
  const uint16_t region = RegionOf(c, key.step);
  if (region != kNone) {
    c.branch_artefacts[{region, key.index}] = std::move(own);
    GatherArtefacts(c, region);
    return;
  }
  c.artefacts = std::move(own);
  Changed(c.view.id, RecordPart::Part::kArtefacts);
  if (!plan_.one_binary_once || c.artefacts.empty()) return;
  const uint32_t twin = by_binary_.First(CodeKey(c.artefacts), c.view.id.number);
  c.twin = twin == c.view.id.number ? 0 : twin;
  if (c.twin == 0) return;
  if (TakesSample(c, twin)) return TakeSample(c);
  End(c, Verdict::kDuplicate, "same machine code as c" + std::to_string(twin),
      plan_.steps[key.step].id);
}

// Where branches compile, the candidate has what those of them gave that still stand.
void RunCore::GatherArtefacts(Candidate& c, uint16_t region) {
  bool compiles = false;
  for (size_t s = 0; s < plan_.steps.size(); ++s)
    compiles = compiles || (region_[s] == region && plan_.steps[s].kind == StageKind::kCompile);
  if (!compiles) return;
  std::vector<Artefact> all;
  for (auto it = c.branch_artefacts.lower_bound({region, 0});
       it != c.branch_artefacts.end() && it->first.first == region; ++it) {
    if (!c.broken.contains(it->first)) all.insert(all.end(), it->second.begin(), it->second.end());
  }
  if (all.empty()) return;
  c.artefacts = std::move(all);
  Changed(c.view.id, RecordPart::Part::kArtefacts);
}

// `best` moves to a candidate that was confirmed at final fidelity and is faster than the best so
// far.
void RunCore::ConsiderBest(Candidate& c, uint16_t step, const Value& facts) {
  Best confirmed{c.view.id, step, facts, current_seq_};
  const double speedup = facts["speedup"].AsDouble();
  if (speedup <= 0) return;
  // A verify step that its `when` skipped counts as passed for the graph, but not for a claim.
  const auto unchecked = [&](size_t s, const StepOutcome& o) {
    return plan_.steps[s].kind == StageKind::kVerify && o.state == StepOutcome::State::kSkipped;
  };
  for (size_t s = 0; s < plan_.steps.size(); ++s) {
    if (unchecked(s, c.steps[s])) return;
  }
  for (const auto& [where, outcome] : c.branches) {
    if (unchecked(where.first, outcome)) return;
  }
  const auto at = std::find_if(confirmed_.begin(), confirmed_.end(), [&](const Best& b) {
    return b.facts["speedup"].AsDouble() < speedup;
  });
  confirmed_.insert(at, confirmed);
  if (confirmed_.size() > kConfirmedKept) {
    if (!options_.keep_ended) to_let_go_.push_back(confirmed_.back().candidate.number);
    confirmed_.pop_back();
  }
  for (SearchState* s = &searches_.at(c.search); s != nullptr; s = OuterOf(*s)) {
    std::optional<Best>& best = s->spec == 0 ? best_ : s->best;
    if (best && speedup <= best->facts["speedup"].AsDouble()) continue;
    best = confirmed;
    s->since_best = 0;
    s->select_idle = false;
  }
}

// A candidate that a later step found to be bad is not confirmed any more. The next best of those
// that are remembered takes its place.
void RunCore::TakeBack(Subject candidate) {
  if (std::erase_if(confirmed_, [&](const Best& b) { return b.candidate == candidate; }) > 0 &&
      !options_.keep_ended)
    to_let_go_.push_back(candidate.number);
  const auto belongs = [&](const Best& b, uint32_t id) {
    for (uint32_t in = candidates_[b.candidate.number - 1].search; in != id;) {
      const auto search = searches_.find(in);
      if (search == searches_.end() || in == 0) return false;
      in = candidates_[search->second.parent.subject.number - 1].search;
    }
    return true;
  };
  for (auto& [id, search] : searches_) {
    std::optional<Best>& best = id == 0 ? best_ : search.best;
    if (!best || best->candidate != candidate) continue;
    best.reset();
    for (const Best& b : confirmed_) {
      if (!best && (id == 0 || belongs(b, id))) best = b;
    }
  }
}

void RunCore::End(Candidate& c, Verdict verdict, const std::string& message,
                  const std::string& ended_by) {
  if (c.ended) return;
  c.ended = true;
  c.verdict = verdict;
  c.message = message;
  c.ended_by = ended_by;
  c.ended_seq = current_seq_;
  for (size_t s = 0; s < c.steps.size(); ++s)
    Withdraw({c.view.id, static_cast<uint16_t>(s), 0}, c.steps[s]);
  for (auto& [where, outcome] : c.branches)
    Withdraw({c.view.id, where.first, where.second}, outcome);
  active_numbers_.erase(c.view.id.number);
  deadlines_.erase({c.due_ms, c.view.id.number});
  const bool bad = verdict != Verdict::kOk && verdict != Verdict::kPoison &&
                   verdict != Verdict::kDuplicate && verdict != Verdict::kCancelled;
  if (bad && !ended_by.empty()) TakeBack(c.view.id);
  if (bad) screened_.erase(c.twin != 0 ? c.twin : c.view.id.number);
  ++ended_count_;
  ++verdicts_[static_cast<size_t>(verdict)];
  const auto state = searches_.find(c.search);
  if (state != searches_.end()) {
    SearchState& search = state->second;
    --search.active;
    if (c.origin < plan_.steps.size()) --search.alive[c.origin];
    const std::optional<Best>& best = c.search == 0 ? best_ : search.best;
    const bool is_best = best && best->candidate == c.view.id;
    if (!is_best && verdict != Verdict::kDuplicate && verdict != Verdict::kCancelled)
      ++search.since_best;
    search.select_idle = false;
  }
  Changed(c.view.id, RecordPart::Part::kState);
  if (!options_.keep_ended) to_let_go_.push_back(c.view.id.number);
}

// What has ended and can move no decision any more is forgotten before the next group; its record
// is in the store, and the log has all of it. What is decided later is the same with or without.
void RunCore::LetGoEnded() {
  for (const uint32_t number : requests_to_let_go_) {
    ProposeRequest* request = requests_.Find(number);
    if (options_.keep_ended || request == nullptr) continue;
    if (gone_requests_.size() < requests_.size()) gone_requests_.resize(requests_.size());
    const StepOutcome& o = request->outcome;
    gone_requests_[number - 1] =
        PastNumber({request->step, {{request->step, 0, o.attempt, o.reported}}});
    requests_.LetGo(number);
  }
  requests_to_let_go_.clear();
  for (const uint32_t number : to_let_go_) {
    Candidate* c = candidates_.Find(number);
    if (c != nullptr && c->ended && !IsNeeded(*c)) LetGo(*c);
  }
  to_let_go_.clear();
}

bool RunCore::IsNeeded(const Candidate& c) const {
  const auto is_it = [&](const auto& entry) { return entry.candidate == c.view.id; };
  if ((best_ && is_it(*best_)) || std::any_of(confirmed_.begin(), confirmed_.end(), is_it))
    return true;
  // Its dead letters are looked for only when it has a job that was given up.
  const auto poison = [](const StepOutcome& o) { return o.verdict == Verdict::kPoison; };
  return (std::any_of(c.steps.begin(), c.steps.end(), poison) ||
          std::any_of(c.branches.begin(), c.branches.end(),
                      [&](const auto& branch) { return poison(branch.second); })) &&
         std::any_of(dead_.begin(), dead_.end(),
                     [&](const DeadLetter& d) { return d.key.subject == c.view.id; });
}

void RunCore::LetGo(Candidate& c) {
  const uint32_t number = c.view.id.number;
  if (gone_candidates_.size() < candidates_.size()) gone_candidates_.resize(candidates_.size());
  Past past{c.origin, {}};
  const auto note = [&](uint16_t step, uint16_t index, const StepOutcome& o) {
    if (index != 0 && o.attempt == 1 && o.reported == 1) return;
    if (o.attempt != 0 && IsWork({c.view.id, step, index}))
      past.attempts.push_back({step, index, o.attempt, o.reported});
  };
  for (size_t s = 0; s < c.steps.size(); ++s) note(static_cast<uint16_t>(s), 0, c.steps[s]);
  for (const auto& [where, outcome] : c.branches) note(where.first, where.second, outcome);
  gone_candidates_[number - 1] = PastNumber(std::move(past));
  candidates_.LetGo(number);
}

}  // namespace kev
