// One candidate: birth, what its results lead to, its end, `best`; and forgetting those that have
// ended.
#include <algorithm>

#include "engine/core/run_core.h"

namespace kev {
namespace {

// How many confirmed candidates are remembered, in case the best one does not stand in the closing
// measurement.
constexpr size_t kConfirmedKept = 16;

int HexDigit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 0;
}

// The first half of a SHA-256: enough to tell a million sources apart.
Digest128 KeyOf(const BlobRef& ref) {
  Digest128 key;
  if (ref.sha256.size() < 32) return DigestOf(ref.sha256);
  for (size_t i = 0; i < 16; ++i) {
    key.hi = key.hi << 4 | static_cast<uint64_t>(HexDigit(ref.sha256[i]));
    key.lo = key.lo << 4 | static_cast<uint64_t>(HexDigit(ref.sha256[16 + i]));
  }
  return key;
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
  ++state.born;
  ++state.active;
  if (origin < plan_.steps.size()) {
    ++state.proposed[origin];
    ++state.alive[origin];
  }
  active_numbers_.insert(c.view.id.number);
  if (plan_.candidate_timeout_ms != 0)
    deadlines_.emplace(now_ms_ + static_cast<int64_t>(plan_.candidate_timeout_ms),
                       c.view.id.number);
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
  const uint64_t most = plan_.budget.candidates;
  for (const Proposal& proposal : e.proposals) {
    if (most != 0 && candidates_.size() >= most) break;
    Candidate& c = NewCandidate(proposal, static_cast<uint16_t>(plan_.steps.size()), 0);
    if (phase_ == Phase::kSearching) Begin(c);  // else when the preparations are over
    if (phase_ == Phase::kEnded) return;
  }
  all_given_ = all_given_ || e.last || (most != 0 && candidates_.size() >= most);
}

void RunCore::Begin(Candidate& c) {
  if (!c.view.source.empty()) {
    const auto [twin, fresh] = by_source_.emplace(KeyOf(c.view.source), c.view.id.number);
    if (!fresh) {
      End(c, Verdict::kDuplicate, "same source as c" + std::to_string(twin->second), c.view.origin);
      return;
    }
  }
  Fire(c);
}

void RunCore::CandidateReported(const JobReported& event) {
  Candidate& c = candidates_[event.key.subject.number - 1];
  const uint16_t step = event.key.step;
  const Step& spec = plan_.steps[step];
  if (event.result.verdict != Verdict::kOk) {
    if (region_[step] == kNone) {
      End(c, event.result.verdict, event.result.message, spec.id);
    } else {
      BreakBranch(c, region_[step], event.key.index, event.result.verdict);
      Fire(c);
    }
    return;
  }
  if (spec.kind == StageKind::kCompile) {
    c.artefacts = event.result.artefacts;
    for (Artefact& artefact : c.artefacts) {
      artefact.role = "candidate";
      artefact.name = c.view.name;
    }
    if (plan_.one_binary_once && !c.artefacts.empty()) {
      const auto [twin, fresh] = by_binary_.emplace(KeyOf(c.artefacts[0].blob), c.view.id.number);
      if (!fresh && twin->second != c.view.id.number) {
        End(c, Verdict::kDuplicate, "same machine code as c" + std::to_string(twin->second),
            spec.id);
        return;
      }
    }
  }
  if (spec.kind == StageKind::kProfile) {
    if (!c.evaluated) {
      ++evaluated_;
      ++searches_.at(c.search).evaluated;
    }
    c.evaluated = true;
    if (spec.final_fidelity) ConsiderBest(c, step, event.result.facts);
  }
  Fire(c);
}

// `best` moves to a candidate that was confirmed at final fidelity and is faster than the best so
// far.
void RunCore::ConsiderBest(Candidate& c, uint16_t step, const Value& facts) {
  Best confirmed{c.view.id, step, facts, current_seq_};
  const double speedup = facts["speedup"].AsDouble();
  if (speedup <= 0) return;
  // A verify step that its `when` skipped counts as passed for the graph, but not for a claim.
  for (size_t s = 0; s < plan_.steps.size(); ++s) {
    if (plan_.steps[s].kind == StageKind::kVerify &&
        c.steps[s].state == StepOutcome::State::kSkipped)
      return;
  }
  const auto at = std::find_if(confirmed_.begin(), confirmed_.end(), [&](const Best& b) {
    return b.facts["speedup"].AsDouble() < speedup;
  });
  confirmed_.insert(at, confirmed);
  if (confirmed_.size() > kConfirmedKept) {
    if (!options_.keep_ended) to_let_go_.push_back(confirmed_.back().candidate.number);
    confirmed_.pop_back();
  }
  SearchState& search = searches_.at(c.search);
  if (c.search != 0 && (!search.best || speedup > search.best->facts["speedup"].AsDouble())) {
    search.best = confirmed;
    search.since_best = 0;
    search.select_idle = false;
  }
  if (best_ && speedup <= best_->facts["speedup"].AsDouble()) return;
  best_ = std::move(confirmed);
  searches_.at(0).since_best = 0;
  searches_.at(0).select_idle = false;
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
  if (plan_.candidate_timeout_ms != 0)
    deadlines_.erase(
        {c.born_ms + static_cast<int64_t>(plan_.candidate_timeout_ms), c.view.id.number});
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
  Changed(c.view.id);
  if (!options_.keep_ended) to_let_go_.push_back(c.view.id.number);
}

// What has ended and can move no decision any more is forgotten before the next group; its record
// is in the store, and the log has all of it. What is decided later is the same with or without.
void RunCore::LetGoEnded() {
  for (const uint32_t number : requests_to_let_go_) {
    ProposeRequest* request = requests_.Find(number);
    if (options_.keep_ended || request == nullptr) continue;
    if (gone_requests_.size() < requests_.size()) gone_requests_.resize(requests_.size());
    gone_requests_[number - 1] = {request->step, request->outcome.attempt,
                                  request->outcome.reported};
    requests_.LetGo(number);
  }
  requests_to_let_go_.clear();
  for (const uint32_t number : to_let_go_) {
    Candidate* c = candidates_.Find(number);
    if (c == nullptr || !c->ended) continue;
    const auto is_it = [&](const auto& entry) { return entry.candidate == c->view.id; };
    if ((best_ && is_it(*best_)) || std::any_of(confirmed_.begin(), confirmed_.end(), is_it) ||
        std::any_of(dead_.begin(), dead_.end(),
                    [&](const DeadLetter& d) { return d.key.subject == c->view.id; }))
      continue;
    LetGo(*c);
  }
  to_let_go_.clear();
}

void RunCore::LetGo(Candidate& c) {
  const uint32_t number = c.view.id.number;
  if (gone_candidates_.size() < candidates_.size()) gone_candidates_.resize(candidates_.size());
  GoneCandidate& gone = gone_candidates_[number - 1];
  if (!c.view.source.empty()) gone.source = KeyOf(c.view.source);
  gone.verdict = c.verdict;
  gone.origin = c.origin;
  std::vector<GoneAttempt> attempts;
  const auto note = [&](uint16_t step, uint16_t index, const StepOutcome& o) {
    if (o.attempt == 0 || step == c.origin) return;
    if (o.attempt != 1 || o.reported != 1) gone.usual = false;
    attempts.push_back({step, index, o.attempt, o.reported});
  };
  for (size_t s = 0; s < c.steps.size(); ++s) note(static_cast<uint16_t>(s), 0, c.steps[s]);
  for (const auto& [where, outcome] : c.branches) note(where.first, where.second, outcome);
  if (!gone.usual) unusual_[number] = std::move(attempts);
  candidates_.LetGo(number);
}

}  // namespace kev
