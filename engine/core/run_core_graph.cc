// Which steps fire for a candidate: needs, conditions, branches of foreach and their joins.
//
// A foreach step and the steps behind it run once per branch; they form its region. A step with
// `join` brings the branches of the region in front of it together and is in none itself.
#include <algorithm>

#include "engine/core/run_core.h"

namespace kev {
namespace {

using State = StepOutcome::State;

bool Over(const StepOutcome* o) {
  return o != nullptr && (o->state == State::kPassed || o->state == State::kSkipped);
}

}  // namespace

void RunCore::LayOutGraph() {
  const size_t n = plan_.steps.size();
  const Result<std::vector<uint16_t>> regions = RegionsOf(plan_);
  region_ = regions ? *regions : std::vector<uint16_t>(n, uint16_t{kNone});
  // By origin; the last row is for candidates that were given.
  path_.assign(n + 1, std::vector<bool>(n, false));
  for (size_t origin = 0; origin <= n; ++origin) {
    std::vector<bool>& path = path_[origin];
    if (origin < n) {
      path[origin] = true;
    } else {
      for (size_t s = 0; s < n; ++s) {
        const Step& step = plan_.steps[s];
        path[s] = step.needs.empty() && step.search == 0 && step.kind != StageKind::kPropose &&
                  step.kind != StageKind::kSelect;
      }
    }
    for (bool grown = true; grown;) {
      grown = false;
      for (size_t s = 0; s < n; ++s) {
        if (path[s]) continue;
        const auto& needs = plan_.steps[s].needs;
        if (std::any_of(needs.begin(), needs.end(), [&](uint16_t need) { return path[need]; }))
          path[s] = grown = true;
      }
    }
  }
}

const StepOutcome* RunCore::Find(const Candidate& c, uint16_t step, uint16_t branch) const {
  if (branch == 0) return &c.steps[step];
  const auto it = c.branches.find({step, branch});
  return it == c.branches.end() ? nullptr : &it->second;
}

StepOutcome& RunCore::At(Candidate& c, uint16_t step, uint16_t branch) {
  return branch == 0 ? c.steps[step] : c.branches[{step, branch}];
}

// A foreach that is not on the candidate's path has no branches for it: the steps behind it run
// once.
uint16_t RunCore::RegionOf(const Candidate& c, uint16_t step) const {
  const uint16_t region = region_[step];
  return region == kNone || path_[c.origin][region] ? region : uint16_t{kNone};
}

uint16_t RunCore::RegionOf(const JobKey& key) const {
  if (key.subject.kind != SubjectKind::kCandidate) return kNone;
  const Candidate* c = candidates_.Find(key.subject.number);
  return c == nullptr ? region_[key.step] : RegionOf(*c, key.step);
}

// Branches that a step runs in: 1 outside of every region, 0 while its foreach has not fanned out.
uint16_t RunCore::WidthOf(const Candidate& c, uint16_t step) const {
  const uint16_t region = RegionOf(c, step);
  if (region == kNone) return 1;
  const auto it = c.widths.find(region);
  return it == c.widths.end() ? 0 : it->second;
}

// Starts or skips every step whose needs are met, until nothing more follows; then sees whether the
// candidate has come to its end.
void RunCore::Fire(Candidate& c) {
  const std::vector<bool>& path = path_[c.origin];
  for (bool moved = true; moved && !c.ended;) {
    moved = false;
    for (size_t s = 0; s < plan_.steps.size() && !c.ended; ++s) {
      if (path[s] && s != c.origin) moved |= FireStep(c, static_cast<uint16_t>(s));
    }
  }
  if (!c.ended && phase_ != Phase::kEnded) Conclude(c);
}

bool RunCore::FireStep(Candidate& c, uint16_t step) {
  const uint16_t region = RegionOf(c, step);
  bool moved = false;
  if (region == kNone) {
    if (c.steps[step].state != State::kWaiting || !NeedsMet(c, step, 0)) return false;
    Advance(c, step, 0);
    return true;
  }
  if (region == step && !c.widths.contains(step)) {
    if (!NeedsMet(c, step, 0)) return false;
    const std::optional<size_t> width = FanOut(c, step);
    if (!width) {
      End(c, Verdict::kUnusable, "its foreach has no list of at most 32767 items to go over",
          plan_.steps[step].id);
      return true;
    }
    c.widths[step] = static_cast<uint16_t>(*width);
    if (*width == 0) {
      c.steps[step].state = State::kSkipped;
      c.steps[step].seq = current_seq_;
      Changed(JobKey{c.view.id, step, 0});
    }
    moved = true;
  }
  for (uint16_t i = 0; i < WidthOf(c, step) && !c.ended; ++i) {
    if (c.broken.contains({region, i})) continue;
    const StepOutcome* outcome = Find(c, step, i);
    if (outcome != nullptr && outcome->state != State::kWaiting) continue;
    if (step != region && !NeedsMet(c, step, i)) continue;
    Advance(c, step, i);
    moved = true;
  }
  return moved;
}

void RunCore::Advance(Candidate& c, uint16_t step, uint16_t branch) {
  StepOutcome& outcome = At(c, step, branch);
  const Step& spec = plan_.steps[step];
  if (!Passes(c, step, branch)) {
    outcome.state = State::kSkipped;
    outcome.seq = current_seq_;
    Changed(JobKey{c.view.id, step, branch});
  } else if (spec.kind == StageKind::kWorkflow) {
    BeginNested(c, step, branch);
  } else {
    Start({c.view.id, step, branch}, outcome);
  }
}

// How many branches a foreach has for this candidate; nullopt when there is nothing to go over.
// Branches over artefacts get theirs here: what is compiled later does not change what they go
// over.
std::optional<size_t> RunCore::FanOut(Candidate& c, uint16_t step) const {
  const Foreach& f = plan_.steps[step].foreach;
  std::optional<size_t> width;
  if (f.over == Foreach::Over::kArtefacts) {
    width = c.artefacts.size();
  } else {
    const Value& list = f.over == Foreach::Over::kList ? f.list : c.steps[f.step].facts[f.fact];
    if (list.IsList()) width = list.AsList().size();
  }
  if (width && *width >= kFirstClaim) width.reset();
  for (size_t i = 0; f.over == Foreach::Over::kArtefacts && width && i < *width; ++i)
    c.branch_artefacts[{step, static_cast<uint16_t>(i)}] = {c.artefacts[i]};
  return width;
}

Value RunCore::ItemOf(const Candidate& c, uint16_t step, uint16_t branch) const {
  const uint16_t region = RegionOf(c, step);
  if (region == kNone) return {};
  const Foreach& f = plan_.steps[region].foreach;
  if (f.over == Foreach::Over::kArtefacts) return Value(static_cast<int64_t>(branch));
  const Value& list = f.over == Foreach::Over::kList ? f.list : c.steps[f.step].facts[f.fact];
  return branch < list.AsList().size() ? list.AsList()[branch] : Value();
}

// What a job of this step works on.
const std::vector<Artefact>& RunCore::ArtefactsOf(const Candidate& c, uint16_t step,
                                                  uint16_t branch) const {
  const auto it = c.branch_artefacts.find({RegionOf(c, step), branch});
  return it == c.branch_artefacts.end() ? c.artefacts : it->second;
}

bool RunCore::NeedsMet(const Candidate& c, uint16_t step, uint16_t branch) const {
  const std::vector<bool>& path = path_[c.origin];
  for (const uint16_t need : plan_.steps[step].needs) {
    if (!path[need]) continue;
    const uint16_t region = RegionOf(c, need);
    if (region == kNone) {
      if (!Over(&c.steps[need])) return false;
    } else if (region == region_[step] && region != step) {
      if (!Over(Find(c, need, branch))) return false;
    } else {  // it joins the branches of that region
      const auto width = c.widths.find(region);
      if (width == c.widths.end()) return false;
      uint16_t passed = 0;
      for (uint16_t i = 0; i < width->second; ++i) {
        if (!c.broken.contains({region, i}) && Over(Find(c, need, i))) ++passed;
      }
      const bool met = plan_.steps[step].join == Join::kAny ? passed > 0 || width->second == 0
                                                            : passed == width->second;
      if (!met) return false;
    }
  }
  return true;
}

bool RunCore::Joins(uint16_t step, uint16_t region) const {
  if (plan_.steps[step].join == Join::kNone) return false;
  const auto& needs = plan_.steps[step].needs;
  return std::any_of(needs.begin(), needs.end(),
                     [&](uint16_t need) { return region_[need] == region; });
}

bool RunCore::CanStillBeMet(const Candidate& c, uint16_t step, uint16_t region) const {
  if (c.steps[step].state != State::kWaiting) return true;  // it has fired
  const uint16_t width = c.widths.at(region);
  uint16_t broken = 0;
  for (uint16_t i = 0; i < width; ++i) {
    if (c.broken.contains({region, i})) ++broken;
  }
  return plan_.steps[step].join == Join::kAny ? broken < width : broken == 0;
}

// A verdict ends its branch, not the candidate.
void RunCore::BreakBranch(Candidate& c, uint16_t region, uint16_t branch, Verdict verdict) {
  c.broken.emplace(std::pair(region, branch), verdict);
  for (size_t s = 0; s < plan_.steps.size(); ++s) {
    if (region_[s] != region) continue;
    const auto step = static_cast<uint16_t>(s);
    if (Find(c, step, branch) == nullptr) continue;
    Withdraw({c.view.id, step, branch}, At(c, step, branch));
  }
  GatherArtefacts(c, region);
}

void RunCore::EndByBranch(Candidate& c, uint16_t region) {
  const auto first = c.broken.lower_bound({region, 0});
  const uint16_t branch = first->first.second;
  for (size_t s = 0; s < plan_.steps.size(); ++s) {
    const StepOutcome* o =
        region_[s] == region ? Find(c, static_cast<uint16_t>(s), branch) : nullptr;
    if (o == nullptr || o->state != State::kEnded || o->verdict != first->second) continue;
    const std::string message = "branch " + std::to_string(branch) + ": " + o->message;
    return End(c, first->second, message, plan_.steps[s].id);
  }
  End(c, first->second, "branch " + std::to_string(branch), plan_.steps[region].id);
}

// The candidate ends when no join can still be met, or when nothing of it is under way any more.
void RunCore::Conclude(Candidate& c) {
  for (const auto& [region, width] : c.widths) {
    const auto first = c.broken.lower_bound({region, 0});
    if (first == c.broken.end() || first->first.first != region) continue;
    bool joined = false;
    bool possible = false;
    for (size_t s = 0; s < plan_.steps.size(); ++s) {
      const auto step = static_cast<uint16_t>(s);
      if (!path_[c.origin][s] || !Joins(step, region)) continue;
      joined = true;
      possible = possible || CanStillBeMet(c, step, region);
    }
    if (!joined) {
      uint16_t broken = 0;
      for (uint16_t i = 0; i < width; ++i) {
        if (c.broken.contains({region, i})) ++broken;
      }
      possible = broken < width;
    }
    if (!possible) return EndByBranch(c, region);
  }
  const auto open = [](const StepOutcome& o) { return o.state == State::kOpen; };
  if (std::any_of(c.steps.begin(), c.steps.end(), open)) return;
  for (const auto& [where, outcome] : c.branches) {
    if (open(outcome)) return;
  }
  End(c, Verdict::kOk, "", "");
}

bool RunCore::Passes(const Candidate& c, uint16_t step, uint16_t branch) const {
  const Program& when = plan_.steps[step].when;
  if (when.empty()) return true;
  const auto state = searches_.find(c.search);
  const std::optional<Best>& best = c.search == 0 ? best_ : state->second.best;
  const uint16_t region = RegionOf(c, step);
  bool no_best = false;
  const NameLookup lookup = [&](std::string_view name, Value* out) {
    const size_t dot = name.find('.');
    if (dot == std::string_view::npos) {
      if (name != "item") return Lookup::kUnknown;
      *out = ItemOf(c, step, branch);
      return out->IsNull() ? Lookup::kMissing : Lookup::kFound;
    }
    const std::string_view scope = name.substr(0, dot);
    const std::string_view field = name.substr(dot + 1);
    if (scope == "best") {
      if (!best || !best->facts.Has(field)) {
        no_best = true;
        return Lookup::kMissing;
      }
      *out = best->facts[field];
      return Lookup::kFound;
    }
    if (scope == "run") {
      if (field == "candidates")
        *out = static_cast<int64_t>(candidates_.size());
      else if (field == "evaluated")
        *out = static_cast<int64_t>(evaluated_);
      else if (field == "refused")
        *out = static_cast<int64_t>(ended_count_ - std::min(ended_count_, evaluated_));
      else
        return Lookup::kUnknown;
      return Lookup::kFound;
    }
    if (scope == "task" && field == "name") {
      *out = plan_.task;
      return Lookup::kFound;
    }
    const auto index = plan_.Find(scope);
    if (!index) return Lookup::kMissing;
    // In the same region a step sees what its own branch found.
    const StepOutcome* o =
        Find(c, *index, region != kNone && region_[*index] == region ? branch : 0);
    if (o == nullptr || !o->facts.Has(field)) return Lookup::kMissing;
    *out = o->facts[field];
    return Lookup::kFound;
  };
  const Result<Value> value = Evaluate(when, lookup);
  if (no_best) return true;  // a condition on a missing `best` is true (DESIGN.md)
  return value.ok() && value->AsBool();
}

}  // namespace kev
