// What to ask select and the propose steps for, when to stop, and the fresh measurement of the
// winner at the end.
#include <algorithm>

#include "engine/core/run_core.h"

namespace kev {

void RunCore::RequestReported(uint32_t number, const JobReported& event) {
  ProposeRequest& request = requests_[number - 1];
  if (request.select) {
    select_open_ = false;
    if (event.result.verdict != Verdict::kOk) {
      Finish("failed", "failed", Label(event.key, event.attempt) + ": " + event.result.message);
      return;
    }
    TakeWishes(event);
    return;
  }
  EndRequest(request);
  const uint16_t step = event.key.step;
  if (event.result.exhausted) exhausted_[step] = true;
  bool fresh = false;
  uint32_t taken = 0;
  for (const Proposal& proposal : event.result.proposals) {
    if (++taken > request.request.count) break;  // more than was wished for is not taken
    if (event.result.verdict != Verdict::kOk) break;
    Born(proposal, number);
    if (phase_ == Phase::kEnded) return;
    fresh = fresh || candidates_.back().verdict != Verdict::kDuplicate;
  }
  // A step that brings nothing new, again and again, would be asked for ever.
  if (fresh) {
    given_up_[step] = 0;
  } else if (++given_up_[step] >= 10 && !exhausted_[step]) {
    Disable(plan_.steps[step].id,
            "ten answers in a row brought nothing new" +
                (event.result.message.empty() ? "" : ": " + event.result.message));
  }
}

// Turns select's wishes into propose jobs, cut to the places that are free.
void RunCore::TakeWishes(const JobReported& event) {
  if (phase_ != Phase::kSearching) return;
  std::vector<uint32_t> places(plan_.steps.size(), 0);
  const Value& offered = requests_[event.key.subject.number - 1].request.hints;
  for (const auto& [step, count] : offered.AsMap()) {
    const auto index = plan_.Find(step);
    if (index && !disabled_.contains(step) && !exhausted_[*index])
      places[*index] = static_cast<uint32_t>(count.AsInt());
  }
  bool wished = false;
  for (const Request& wish : event.result.requests) {
    const auto index = plan_.Find(wish.step);
    if (!index) continue;
    uint32_t count = std::min(wish.count, places[*index]);
    places[*index] -= count;
    while (count > 0) {
      ProposeRequest request;
      request.request = wish;
      request.request.count = std::min(count, std::max(1u, plan_.steps[*index].batch));
      request.step = *index;
      count -= request.request.count;
      outstanding_[*index] += request.request.count;
      requests_.push_back(std::move(request));
      const JobKey key{{SubjectKind::kRequest, static_cast<uint32_t>(requests_.size())}, *index, 0};
      Start(key, requests_.back().outcome);
      wished = true;
    }
  }
  select_idle_ = !wished;
}

void RunCore::EndRequest(ProposeRequest& request) {
  outstanding_[request.step] -=
      std::min<uint64_t>(outstanding_[request.step], request.request.count);
  select_idle_ = false;
}

void RunCore::Disable(const std::string& step, const std::string& reason) {
  const auto index = plan_.Find(step);
  if (!index || disabled_.contains(step)) return;
  disabled_[step] = reason;
  select_idle_ = false;
  if (plan_.select == index) {  // nothing else can say what to try next
    Finish("failed", "failed", "the select step " + step + " is disabled: " + reason);
    return;
  }
  for (size_t i = 0; i < requests_.size(); ++i) {
    ProposeRequest& request = requests_[i];
    if (request.step != *index || request.outcome.state != StepOutcome::State::kOpen) continue;
    Withdraw({{SubjectKind::kRequest, static_cast<uint32_t>(i + 1)}, *index, 0}, request.outcome);
    EndRequest(request);
  }
}

// Free places of each propose step: `first` shares, then `in_flight` ones, then the rest evenly to
// `fill`; what a disabled or exhausted step leaves goes to the others.
std::vector<uint32_t> RunCore::PlacesByStep(uint64_t places) const {
  std::vector<uint32_t> by_step(plan_.steps.size(), 0);
  std::vector<uint16_t> fill;
  std::vector<uint16_t> others;
  const auto give = [&](uint16_t step, uint64_t most) {
    const uint64_t count = std::min(places, most);
    by_step[step] += static_cast<uint32_t>(count);
    places -= count;
  };
  const auto usable = [&](uint16_t step) {
    return !exhausted_[step] && !disabled_.contains(plan_.steps[step].id);
  };
  for (const Share& share : plan_.shares) {
    if (!usable(share.step) || share.kind != Share::Kind::kFirst) continue;
    const uint64_t so_far = proposed_[share.step] + outstanding_[share.step];
    give(share.step, share.amount > so_far ? share.amount - so_far : 0);
  }
  for (const Share& share : plan_.shares) {
    if (!usable(share.step) || share.kind != Share::Kind::kInFlight) continue;
    const uint64_t now = alive_[share.step] + outstanding_[share.step];
    give(share.step, share.amount > now ? share.amount - now : 0);
    others.push_back(share.step);
  }
  for (const Share& share : plan_.shares) {
    if (usable(share.step) && share.kind == Share::Kind::kFill) fill.push_back(share.step);
  }
  if (fill.empty()) fill = others;  // nobody fills: the others may have more than their share
  for (size_t i = 0; i < fill.size() && places > 0; ++i)
    give(fill[i], (places + fill.size() - i - 1) / (fill.size() - i));
  return by_step;
}

// Whether a stop rule or a budget ends the search now; stops it if so.
bool RunCore::MustStop() {
  const Budget& budget = plan_.budget;
  if (budget.wall_ms != 0 && now_ms_ >= static_cast<int64_t>(budget.wall_ms))
    return StopSearch("wall", true), true;
  if (budget.evaluations != 0 && evaluated_ >= budget.evaluations)
    return StopSearch("evaluations", true), true;
  if (budget.device_s > 0 && usage_.device_ms >= budget.device_s * 1000)
    return StopSearch("device", true), true;
  if (budget.tokens != 0 &&
      static_cast<uint64_t>(usage_.tokens_in + usage_.tokens_out) >= budget.tokens) {
    return StopSearch("tokens", true), true;
  }
  if (budget.usd > 0 && usage_.usd >= budget.usd) return StopSearch("usd", true), true;
  if (plan_.stop.plateau != 0 && since_best_ >= plan_.stop.plateau)
    return StopSearch("plateau", true), true;
  if (plan_.stop.speedup > 0 && best_ &&
      best_->facts["speedup_low"].AsDouble() >= plan_.stop.speedup) {
    return StopSearch("speedup", true), true;
  }
  return false;
}

void RunCore::DeriveSearch() {
  if (phase_ == Phase::kSearching && !MustStop()) {
    uint64_t outstanding = 0;
    for (const uint64_t n : outstanding_) outstanding += n;
    const bool idle = active_ == 0 && outstanding == 0 && !select_open_;
    const uint64_t used = candidates_.size() + outstanding;
    const uint64_t left = plan_.budget.candidates == 0     ? UINT64_MAX
                          : plan_.budget.candidates > used ? plan_.budget.candidates - used
                                                           : 0;
    const uint64_t busy = active_ + outstanding;
    const uint64_t places = std::min<uint64_t>(left, in_flight_ > busy ? in_flight_ - busy : 0);
    const std::vector<uint32_t> by_step = PlacesByStep(places);
    const bool any = std::any_of(by_step.begin(), by_step.end(), [](uint32_t n) { return n > 0; });
    if (any && !select_open_ && !select_idle_ && !paused_ && plan_.select) {
      ProposeRequest request;
      request.select = true;
      request.step = *plan_.select;
      for (size_t s = 0; s < by_step.size(); ++s) {
        if (by_step[s] > 0) request.request.hints.Set(plan_.steps[s].id, by_step[s]);
      }
      requests_.push_back(std::move(request));
      select_open_ = true;
      const JobKey key{
          {SubjectKind::kRequest, static_cast<uint32_t>(requests_.size())}, *plan_.select, 0};
      Start(key, requests_.back().outcome);
    } else if (idle && left == 0) {
      StopSearch("candidates", false);
    } else if (idle && !paused_ && in_flight_ > 0 && (!any || select_idle_)) {
      bool exhausted = false;
      for (const Share& share : plan_.shares) exhausted = exhausted || exhausted_[share.step];
      if (!exhausted && disabled_.size() == plan_.shares.size()) {
        std::string why;
        for (const auto& [step, reason] : disabled_)
          why += (why.empty() ? "" : "; ") + step + ": " + reason;
        Finish("failed", "failed", "no propose step is left: " + why);
        return;
      }
      StopSearch("space_exhausted", false);
    }
  }
  if (phase_ == Phase::kDraining && active_ == 0 && open_.empty()) DeriveClaim();
}

void RunCore::StopSearch(const std::string& stopped_by, bool cancel_active) {
  phase_ = Phase::kDraining;
  stopped_by_ = stopped_by;
  for (size_t i = 0; i < requests_.size(); ++i) {
    Withdraw({{SubjectKind::kRequest, static_cast<uint32_t>(i + 1)}, requests_[i].step, 0},
             requests_[i].outcome);
  }
  select_open_ = false;
  if (!cancel_active) return;
  for (Candidate& c : candidates_) {
    if (!c.ended) End(c, Verdict::kCancelled, "the search stopped: " + stopped_by, "");
  }
}

// The winner is measured once more with fresh samples: what is claimed was not used for choosing.
void RunCore::DeriveClaim() {
  phase_ = Phase::kClaiming;
  if (!best_) {
    Finish("done", stopped_by_, "");
    return;
  }
  const JobKey key{best_->candidate, best_->step, static_cast<uint16_t>(claims_.size() + 1)};
  Start(key, claims_[key]);
}

void RunCore::ClaimReported(const JobKey& key, const JobReported& event) {
  if (event.result.verdict == Verdict::kOk) {
    claim_ = event.result.facts;
    Finish("done", stopped_by_, "");
    return;
  }
  // The winner did not stand: the next best confirmed candidate is tried.
  Candidate& c = candidates_[key.subject.number - 1];
  c.verdict = event.result.verdict;
  c.message = "in the closing measurement: " + event.result.message;
  c.ended_by = plan_.steps[key.step].id;
  Changed(c.view.id);
  std::erase_if(confirmed_, [&](const Best& b) { return b.candidate == key.subject; });
  best_.reset();
  for (const Best& b : confirmed_) {
    if (!best_ || b.facts["speedup"].AsDouble() > best_->facts["speedup"].AsDouble()) best_ = b;
  }
  DeriveClaim();
}

}  // namespace kev
