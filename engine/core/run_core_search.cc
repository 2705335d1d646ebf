// What to ask select and the propose steps for, and when a search stops: the run's own and those
// nested under a candidate.
#include <algorithm>

#include "engine/core/run_core.h"

namespace kev {

SearchState RunCore::NewSearch(uint16_t spec) const {
  SearchState search;
  search.spec = spec;
  const size_t n = plan_.steps.size();
  search.exhausted.assign(n, false);
  search.outstanding.assign(n, 0);
  search.proposed.assign(n, 0);
  search.alive.assign(n, 0);
  search.given_up.assign(n, 0);
  return search;
}

const Budget& RunCore::BudgetOf(const SearchState& s) const {
  return s.spec == 0 ? plan_.budget : plan_.nested[s.spec - 1].budget;
}
const StopRules& RunCore::StopOf(const SearchState& s) const {
  return s.spec == 0 ? plan_.stop : plan_.nested[s.spec - 1].stop;
}
const std::vector<Share>& RunCore::SharesOf(const SearchState& s) const {
  return s.spec == 0 ? plan_.shares : plan_.nested[s.spec - 1].shares;
}
std::optional<uint16_t> RunCore::SelectOf(const SearchState& s) const {
  return s.spec == 0 ? plan_.select : plan_.nested[s.spec - 1].select;
}

// The search that a nested one runs in; null for the run's own.
SearchState* RunCore::OuterOf(const SearchState& s) {
  if (s.spec == 0) return nullptr;
  return &searches_.at(candidates_[s.parent.subject.number - 1].search);
}

// Candidates that a search may still ask for: by its own budget and by those of the searches
// around it.
uint64_t RunCore::CandidatesLeft(const SearchState& search) const {
  uint64_t left = UINT64_MAX;
  for (const SearchState* s = &search; s != nullptr; s = const_cast<RunCore*>(this)->OuterOf(*s)) {
    const uint64_t most = BudgetOf(*s).candidates;
    const uint64_t used = s->born + s->wished;
    if (most != 0) left = std::min(left, most > used ? most - used : 0);
  }
  return left;
}

void RunCore::RequestReported(uint32_t number, const JobReported& event) {
  ProposeRequest& request = requests_[number - 1];
  open_requests_.erase(number);
  requests_to_let_go_.push_back(number);
  const uint32_t id = request.search;
  SearchState& search = searches_.at(id);
  if (request.select) {
    search.select_open = false;
    if (event.result.verdict != Verdict::kOk) {
      Finish("failed", "failed", Label(event.key, event.attempt) + ": " + event.result.message);
      return;
    }
    TakeWishes(search, id, event);
    return;
  }
  EndRequest(request);
  const uint16_t step = event.key.step;
  if (event.result.exhausted) search.exhausted[step] = true;
  bool fresh = false;
  uint32_t taken = 0;
  for (const Proposal& proposal : event.result.proposals) {
    if (++taken > request.request.count) break;  // more than was wished for is not taken
    if (event.result.verdict != Verdict::kOk) break;
    Born(proposal, request);
    // Its end can end the run, or the search it belongs to.
    if (phase_ == Phase::kEnded || !searches_.contains(id)) return;
    fresh = fresh || candidates_.back().twin == 0;
  }
  // A step that brings nothing new, again and again, would be asked for ever.
  if (fresh) {
    search.given_up[step] = 0;
  } else if (++search.given_up[step] >= 10 && !search.exhausted[step]) {
    Disable(plan_.steps[step].id,
            "ten answers in a row brought nothing new" +
                (event.result.message.empty() ? "" : ": " + event.result.message));
  }
}

// Turns select's wishes into propose jobs, cut to the places that are free.
void RunCore::TakeWishes(SearchState& search, uint32_t id, const JobReported& event) {
  // A job that was tried again after the end may have a search of its own.
  if (phase_ != Phase::kSearching && (phase_ != Phase::kDraining || id == 0)) return;
  std::vector<uint32_t> places(plan_.steps.size(), 0);
  const Value& offered = requests_[event.key.subject.number - 1].request.hints;
  for (const auto& [step, count] : offered.AsMap()) {
    const auto index = plan_.Find(step);
    if (index && !disabled_.contains(step) && !search.exhausted[*index])
      places[*index] = static_cast<uint32_t>(count.AsInt());
  }
  bool wished = false;
  for (const Request& wish : event.result.requests) {
    const auto index = plan_.Find(wish.step);
    if (!index) continue;
    // The places were offered some time ago: another search may have used what was left.
    uint32_t count = static_cast<uint32_t>(
        std::min({uint64_t{std::min(wish.count, places[*index])}, CandidatesLeft(search),
                  Affordable(plan_.steps[*index], PurseLeft())}));
    places[*index] -= count;
    while (count > 0) {
      ProposeRequest& request = requests_.emplace_back();
      request.request = wish;
      request.request.count = std::min(count, std::max(1u, plan_.steps[*index].batch));
      if (id != 0 && wish.parents.empty()) request.request.parents = {search.parent.subject};
      request.step = *index;
      request.search = id;
      count -= request.request.count;
      search.outstanding[*index] += request.request.count;
      for (SearchState* s = &search; s != nullptr; s = OuterOf(*s))
        s->wished += request.request.count;
      const JobKey key{{SubjectKind::kRequest, static_cast<uint32_t>(requests_.size())}, *index, 0};
      Start(key, request.outcome);
      wished = true;
    }
  }
  search.select_idle = !wished;
}

void RunCore::EndRequest(ProposeRequest& request) {
  const auto search = searches_.find(request.search);
  if (search == searches_.end()) return;
  search->second.select_idle = false;
  if (request.select) return;
  search->second.outstanding[request.step] -= request.request.count;
  for (SearchState* s = &search->second; s != nullptr; s = OuterOf(*s))
    s->wished -= request.request.count;
}

// A request that may cost money holds back its upper bound until its answer is there. A lost
// attempt keeps it: the model may have been paid.
void RunCore::Reserve(ProposeRequest& request) {
  const Step& step = plan_.steps[request.step];
  if (request.select || request.reserved || (step.reserve_tokens == 0 && step.reserve_usd == 0))
    return;
  request.reserved = true;
  ++reservations_;
  reserved_tokens_ += step.reserve_tokens * request.request.count;
  reserved_usd_ += step.reserve_usd * request.request.count;
}

void RunCore::Settle(ProposeRequest& request, bool answered) {
  if (!request.reserved) return;
  request.reserved = false;
  const Step& step = plan_.steps[request.step];
  const int64_t tokens = step.reserve_tokens * request.request.count;
  const double usd = step.reserve_usd * request.request.count;
  reserved_tokens_ -= tokens;
  reserved_usd_ -= usd;
  if (--reservations_ == 0) reserved_usd_ = 0;  // no dust of rounding
  if (answered) return;
  forfeited_tokens_ += tokens;
  forfeited_usd_ += usd;
}

void RunCore::Disable(const std::string& step, const std::string& reason) {
  const auto index = plan_.Find(step);
  if (!index || disabled_.contains(step)) return;
  disabled_[step] = reason;
  for (auto& [id, search] : searches_) search.select_idle = false;
  if (plan_.steps[*index].kind == StageKind::kSelect) {  // nothing else can say what to try next
    if (phase_ == Phase::kDraining || phase_ == Phase::kClaiming) return;  // nor need it
    Finish("failed", "failed", "the select step " + step + " is disabled: " + reason);
    return;
  }
  const std::vector<uint32_t> open(open_requests_.begin(), open_requests_.end());
  for (const uint32_t number : open) {
    ProposeRequest& request = requests_[number - 1];
    if (request.step != *index || request.outcome.state != StepOutcome::State::kOpen) continue;
    Withdraw({{SubjectKind::kRequest, number}, *index, 0}, request.outcome);
    EndRequest(request);
  }
}

RunCore::Purse RunCore::PurseLeft() const {
  const Budget& budget = plan_.budget;
  Purse purse{INT64_MAX, 1e300};
  if (budget.tokens != 0)
    purse.tokens = static_cast<int64_t>(budget.tokens) - usage_.tokens_in - usage_.tokens_out -
                   forfeited_tokens_ - reserved_tokens_;
  if (budget.usd > 0) purse.usd = budget.usd - usage_.usd - forfeited_usd_ - reserved_usd_;
  return purse;
}

// How many candidates asked of this step the purse pays for.
uint64_t RunCore::Affordable(const Step& step, const Purse& purse) {
  uint64_t count = UINT32_MAX;
  if (step.reserve_tokens > 0)
    count = std::min(count, static_cast<uint64_t>(std::max<int64_t>(0, purse.tokens)) /
                                static_cast<uint64_t>(step.reserve_tokens));
  // A tenth of a tenth must fit ten times, whatever the binary fractions say.
  if (step.reserve_usd > 0)
    count = std::min(count, static_cast<uint64_t>(
                                std::min(1e9, std::max(0.0, purse.usd) / step.reserve_usd + 1e-6)));
  return count;
}

// Free places of each propose step: `first` shares, then `in_flight` ones, then the rest evenly to
// `fill`; what a disabled or exhausted step leaves goes to the others, and no step gets more than
// its budget of money and tokens can still pay for.
std::vector<uint32_t> RunCore::PlacesByStep(const SearchState& search, uint64_t places) const {
  std::vector<uint32_t> by_step(plan_.steps.size(), 0);
  std::vector<uint16_t> fill;
  std::vector<uint16_t> others;
  Purse purse = PurseLeft();
  const auto give = [&](uint16_t step, uint64_t most) {
    const Step& spec = plan_.steps[step];
    const uint64_t count = std::min({places, most, Affordable(spec, purse)});
    purse.tokens -= spec.reserve_tokens * static_cast<int64_t>(count);
    purse.usd -= spec.reserve_usd * static_cast<double>(count);
    by_step[step] += static_cast<uint32_t>(count);
    places -= count;
  };
  const auto usable = [&](uint16_t step) {
    return !search.exhausted[step] && !disabled_.contains(plan_.steps[step].id);
  };
  for (const Share& share : SharesOf(search)) {
    if (!usable(share.step) || share.kind != Share::Kind::kFirst) continue;
    const uint64_t so_far = search.proposed[share.step] + search.outstanding[share.step];
    give(share.step, share.amount > so_far ? share.amount - so_far : 0);
  }
  for (const Share& share : SharesOf(search)) {
    if (!usable(share.step) || share.kind != Share::Kind::kInFlight) continue;
    const uint64_t now = search.alive[share.step] + search.outstanding[share.step];
    give(share.step, share.amount > now ? share.amount - now : 0);
    others.push_back(share.step);
  }
  for (const Share& share : SharesOf(search)) {
    if (usable(share.step) && share.kind == Share::Kind::kFill) fill.push_back(share.step);
  }
  if (fill.empty()) fill = others;  // nobody fills: the others may have more than their share
  for (size_t i = 0; i < fill.size() && places > 0; ++i)
    give(fill[i], (places + fill.size() - i - 1) / (fill.size() - i));
  return by_step;
}

// Whether a stop rule or a budget ends the run's search now; stops it if so.
bool RunCore::MustStop() {
  const Budget& budget = plan_.budget;
  const SearchState& search = searches_.at(0);
  const auto stop = [&](const char* by) {
    StopSearch(by, true);
    return true;
  };
  if (budget.wall_ms != 0 && !paused_ && SearchTime() >= static_cast<int64_t>(budget.wall_ms))
    return stop("wall");
  if (budget.evaluations != 0 && evaluated_ >= budget.evaluations) return stop("evaluations");
  if (budget.device_s > 0 && usage_.device_ms >= budget.device_s * 1000) return stop("device");
  if (budget.tokens != 0 && static_cast<uint64_t>(usage_.tokens_in + usage_.tokens_out +
                                                  forfeited_tokens_) >= budget.tokens)
    return stop("tokens");
  if (budget.usd > 0 && usage_.usd + forfeited_usd_ >= budget.usd) return stop("usd");
  if (plan_.stop.plateau != 0 && search.since_best >= plan_.stop.plateau) return stop("plateau");
  if (plan_.stop.speedup > 0 && best_ &&
      best_->facts["speedup_low"].AsDouble() >= plan_.stop.speedup)
    return stop("speedup");
  return false;
}

void RunCore::DeriveSearches() {
  // A nested search that ends lets its parent go on, which can free a place in a search that was
  // looked at before it.
  for (bool again = true; again;) {
    again = false;
    if (phase_ == Phase::kSearching && MustStop()) break;
    // By id, not by iterator: a search can end, and a new one begin, as this goes on.
    for (auto it = searches_.begin(); it != searches_.end();) {
      const uint32_t id = it->first;
      if (phase_ == Phase::kSearching || (phase_ == Phase::kDraining && id != 0))
        again |= DeriveSearch(id, it->second);
      it = searches_.upper_bound(id);
    }
  }
  if (phase_ == Phase::kDraining && active_numbers_.empty() && open_count_ == 0) DeriveClaim();
}

// Asks select of this search what to try, or ends it. Whether a nested search ended.
bool RunCore::DeriveSearch(uint32_t id, SearchState& search) {
  uint64_t outstanding = 0;
  for (const uint64_t n : search.outstanding) outstanding += n;
  const bool idle = search.active == 0 && outstanding == 0 && !search.select_open;
  const uint64_t left = CandidatesLeft(search);
  const auto end = [&](const std::string& by) {
    if (id == 0)
      StopSearch(by, false);
    else
      EndNested(id, by);
    return id != 0;
  };
  if (id == 0 && plan_.given) {
    if (idle && all_given_) return end("all_given");
    return idle && left == 0 ? end("candidates") : false;
  }
  const Budget& budget = BudgetOf(search);
  if (id != 0) {
    const StopRules& stop = StopOf(search);
    if (budget.evaluations != 0 && search.evaluated >= budget.evaluations)
      return end("evaluations");
    if (stop.plateau != 0 && search.since_best >= stop.plateau) return end("plateau");
    if (stop.speedup > 0 && search.best &&
        search.best->facts["speedup_low"].AsDouble() >= stop.speedup)
      return end("speedup");
  }
  const uint64_t busy = search.active + outstanding;
  const uint32_t own = id == 0 ? 0 : plan_.nested[search.spec - 1].in_flight;
  const uint64_t in_flight = own == 0 ? in_flight_ : own;
  const uint64_t places = std::min<uint64_t>(left, in_flight > busy ? in_flight - busy : 0);
  if (places == 0 && !idle) return false;
  const std::vector<uint32_t> by_step = PlacesByStep(search, places);
  const bool any = std::any_of(by_step.begin(), by_step.end(), [](uint32_t n) { return n > 0; });
  const std::optional<uint16_t> select = SelectOf(search);
  if (any && !search.select_open && !search.select_idle && !paused_ && select) {
    ProposeRequest& request = requests_.emplace_back();
    request.select = true;
    request.step = *select;
    request.search = id;
    for (size_t s = 0; s < by_step.size(); ++s) {
      if (by_step[s] > 0) request.request.hints.Set(plan_.steps[s].id, by_step[s]);
    }
    search.select_open = true;
    const JobKey key{{SubjectKind::kRequest, static_cast<uint32_t>(requests_.size())}, *select, 0};
    Start(key, request.outcome);
    return false;
  }
  if (idle && left == 0) return end("candidates");
  if (!idle || paused_ || in_flight == 0 || (any && !search.select_idle && select)) return false;
  const std::string why = WhyNothing(search, any);
  if (!why.empty()) return end(why);
  if (id != 0) return end("space_exhausted");
  std::string reasons;
  for (const auto& [step, reason] : disabled_)
    reasons += (reasons.empty() ? "" : "; ") + step + ": " + reason;
  Finish("failed", "failed", "no propose step is left: " + reasons);
  return false;
}

// Why a search that has nothing under way gets nothing new; "" when every propose step is disabled.
std::string RunCore::WhyNothing(const SearchState& search, bool any) const {
  const Purse purse = PurseLeft();
  bool exhausted = false;
  size_t disabled = 0;
  const char* dear = nullptr;
  for (const Share& share : SharesOf(search)) {
    const Step& step = plan_.steps[share.step];
    exhausted = exhausted || search.exhausted[share.step];
    disabled += disabled_.contains(step.id) ? 1 : 0;
    if (any || search.exhausted[share.step] || disabled_.contains(step.id) ||
        Affordable(step, purse) > 0)
      continue;
    Step tokens_alone = step;
    tokens_alone.reserve_usd = 0;
    dear = Affordable(tokens_alone, purse) == 0 ? "tokens" : "usd";
  }
  if (dear != nullptr) return dear;
  return !exhausted && disabled == SharesOf(search).size() ? "" : "space_exhausted";
}

void RunCore::StopSearch(const std::string& stopped_by, bool cancel_active) {
  phase_ = Phase::kDraining;
  stopped_by_ = stopped_by;
  const std::vector<uint32_t> open(open_requests_.begin(), open_requests_.end());
  for (const uint32_t number : open) {
    ProposeRequest& request = requests_[number - 1];
    Withdraw({{SubjectKind::kRequest, number}, request.step, 0}, request.outcome);
    EndRequest(request);
  }
  for (auto& [id, search] : searches_) search.select_open = false;
  if (!cancel_active) return;
  while (!active_numbers_.empty()) {
    End(candidates_[*active_numbers_.begin() - 1], Verdict::kCancelled,
        "the search stopped: " + stopped_by, "");
  }
}

// A step that is a search of its own: it ends when that search does.
void RunCore::BeginNested(Candidate& c, uint16_t step, uint16_t branch) {
  StepOutcome& outcome = At(c, step, branch);
  outcome.attempt = 1;
  outcome.state = StepOutcome::State::kOpen;
  ++open_count_;
  SearchState search = NewSearch(plan_.steps[step].nested);
  search.parent = {c.view.id, step, branch};
  searches_[++last_search_] = std::move(search);
  Changed(JobKey{c.view.id, step, branch});
}

void RunCore::EndNested(uint32_t id, const std::string& stopped_by) {
  const SearchState search = searches_.at(id);
  const JobKey parent = search.parent;
  Value facts;
  facts.Set("stopped_by", stopped_by);
  facts.Set("candidates", search.born);
  facts.Set("evaluated", search.evaluated);
  if (search.best) {
    facts.Set("best", Name(search.best->candidate));
    for (const char* name : {"speedup", "speedup_low", "speedup_high"}) {
      if (search.best->facts.Has(name)) facts.Set(name, search.best->facts[name]);
    }
  }
  CancelNested(parent);
  Candidate& c = candidates_[parent.subject.number - 1];
  StepOutcome& outcome = At(c, parent.step, parent.index);
  Close(outcome, StepOutcome::State::kPassed);
  outcome.reported = 1;
  outcome.facts = std::move(facts);
  outcome.seq = current_seq_;
  Changed(parent);
  Fire(c);
}

void RunCore::CancelNested(const JobKey& parent) {
  const auto it = std::find_if(searches_.begin(), searches_.end(), [&](const auto& entry) {
    return entry.first != 0 && entry.second.parent == parent;
  });
  if (it == searches_.end()) return;
  const uint32_t id = it->first;
  const std::vector<uint32_t> open(open_requests_.begin(), open_requests_.end());
  for (const uint32_t number : open) {
    ProposeRequest& request = requests_[number - 1];
    if (request.search != id) continue;
    Withdraw({{SubjectKind::kRequest, number}, request.step, 0}, request.outcome);
    EndRequest(request);
  }
  const std::vector<uint32_t> active(active_numbers_.begin(), active_numbers_.end());
  for (const uint32_t number : active) {
    Candidate* c = candidates_.Find(number);
    if (c != nullptr && c->search == id)
      End(*c, Verdict::kCancelled, "the search that it belonged to ended", "");
  }
  searches_.erase(id);
}

// The winner is measured once more with fresh samples, since what is claimed must not have been
// used for choosing; with it, in the same launches, those that were confirmed next to it.
void RunCore::DeriveClaim() {
  phase_ = Phase::kClaiming;
  if (!best_) {
    Finish("done", stopped_by_, "");
    return;
  }
  const JobKey key{best_->candidate, best_->step,
                   static_cast<uint16_t>(kFirstClaim + claims_.size())};
  Start(key, claims_[key]);
}

void RunCore::ClaimReported(const JobKey& key, const JobReported& event) {
  if (event.result.verdict == Verdict::kOk) {
    // Head to head, one of them was surely faster: it is the winner, once it is measured afresh
    // itself. Who gave way to another does not come back.
    const std::string& ahead = event.result.facts["overtaken_by"].AsString();
    for (const Candidate* rival : Rivals(key.subject)) {
      if (rival->view.name != ahead || HasClaimed(rival->view.id)) continue;
      best_ = *std::find_if(confirmed_.begin(), confirmed_.end(),
                            [&](const Best& b) { return b.candidate == rival->view.id; });
      DeriveClaim();
      return;
    }
    claim_ = event.result.facts;
    Finish("done", stopped_by_, "");
    return;
  }
  // The winner did not stand: the next best confirmed candidate is tried.
  Candidate& c = candidates_[key.subject.number - 1];
  --verdicts_[static_cast<size_t>(c.verdict)];
  ++verdicts_[static_cast<size_t>(event.result.verdict)];
  c.verdict = event.result.verdict;
  c.message = "in the closing measurement: " + event.result.message;
  c.ended_by = plan_.steps[key.step].id;
  Changed(c.view.id, RecordPart::Part::kState);
  TakeBack(key.subject);
  DeriveClaim();
}

// The best of those that were confirmed beside this one, with which it is compared head to head.
std::vector<const Candidate*> RunCore::Rivals(Subject winner) const {
  std::vector<const Candidate*> rivals;
  for (const Best& b : confirmed_) {
    const Candidate* c = candidates_.Find(b.candidate.number);
    if (b.candidate == winner || c == nullptr || c->artefacts.empty()) continue;
    rivals.push_back(c);
    if (rivals.size() == kRivals) break;
  }
  return rivals;
}

bool RunCore::HasClaimed(Subject candidate) const {
  return std::any_of(claims_.begin(), claims_.end(),
                     [&](const auto& claim) { return claim.first.subject == candidate; });
}

// The search goes on after all.
void RunCore::WithdrawClaims() {
  for (auto& [key, outcome] : claims_) Withdraw(key, outcome);
}

}  // namespace kev
