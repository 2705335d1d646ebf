#include "tests/engine/support/graph_reference.h"

#include <algorithm>
#include <vector>

namespace kev::testing {
namespace {

// The foreach step in whose branches `step` runs, by the file alone.
std::optional<size_t> FileScope(const Plan& plan, size_t step) {
  if (plan.steps[step].foreach.over != Foreach::Over::kNothing) return step;
  if (plan.steps[step].join != Join::kNone) return std::nullopt;
  for (const uint16_t need : plan.steps[step].needs) {
    if (const auto scope = FileScope(plan, need)) return scope;
  }
  return std::nullopt;
}

}  // namespace

bool GraphReference::Allowed(const Plan& plan) {
  for (const Step& step : plan.steps) {
    std::set<size_t> scopes;
    for (const uint16_t need : step.needs) {
      if (const auto scope = FileScope(plan, need)) scopes.insert(*scope);
    }
    if (scopes.size() > 1) return false;
    const bool fans = step.foreach.over != Foreach::Over::kNothing;
    if (fans && !scopes.empty() && step.join == Join::kNone) return false;
    if (step.foreach.over == Foreach::Over::kFact && FileScope(plan, step.foreach.step))
      return false;
  }
  return true;
}

GraphReference::GraphReference(const Plan& plan, size_t origin) : plan_(plan), origin_(origin) {
  passed_.insert({origin, 0});
  while (Settle()) continue;
  SeeWhetherItEnded();
}

bool GraphReference::OnPath(size_t step) const {
  const auto& needs = plan_.steps[step].needs;
  return step == origin_ ||
         std::any_of(needs.begin(), needs.end(), [&](uint16_t need) { return OnPath(need); });
}

std::optional<size_t> GraphReference::Scope(size_t step) const {
  const auto scope = FileScope(plan_, step);
  return scope && OnPath(*scope) ? scope : std::nullopt;
}

const Value* GraphReference::List(size_t scope) const {
  const Foreach& f = plan_.steps[scope].foreach;
  if (f.over == Foreach::Over::kList) return &f.list;
  const auto facts = facts_.find({f.step, 0});
  return facts == facts_.end() ? nullptr : &facts->second[f.fact];
}

// How many branches there are to be; nullopt when what it goes over is no list.
std::optional<size_t> GraphReference::Width(size_t scope) const {
  if (plan_.steps[scope].foreach.over == Foreach::Over::kArtefacts) return artefacts_;
  const Value* list = List(scope);
  if (list == nullptr || !list->IsList()) return std::nullopt;
  return list->AsList().size();
}

bool GraphReference::Ready(size_t step, size_t branch) const {
  for (const uint16_t need : plan_.steps[step].needs) {
    if (!OnPath(need)) continue;
    const auto theirs = Scope(need);
    if (!theirs) {
      if (!Over({need, 0})) return false;
    } else if (theirs == Scope(step) && *theirs != step) {
      if (!Over({need, branch})) return false;
    } else {
      if (!widths_.contains(*theirs)) return false;
      size_t good = 0;
      for (size_t i = 0; i < widths_.at(*theirs); ++i) {
        if (Over({need, i}) && !broken_.contains({*theirs, i})) ++good;
      }
      const size_t all = widths_.at(*theirs);
      if (plan_.steps[step].join == Join::kAll ? good < all : good == 0 && all > 0) return false;
    }
  }
  return true;
}

// Conditions of the tests: a constant, `item != number`, or `step.x < number`.
bool GraphReference::Wanted(size_t step, size_t branch) const {
  const Program& when = plan_.steps[step].when;
  if (when.empty()) return true;
  if (when.names.empty()) return when.constants[0].AsBool();
  const int64_t number = when.constants[0].AsInt();
  const auto scope = Scope(step);
  if (when.names[0] == "item") {
    if (!scope) return false;
    if (plan_.steps[*scope].foreach.over == Foreach::Over::kArtefacts)
      return static_cast<int64_t>(branch) != number;
    return List(*scope)->AsList()[branch].AsInt() != number;
  }
  const size_t other = *plan_.Find(when.names[0].substr(0, when.names[0].find('.')));
  const auto facts = facts_.find({other, scope && Scope(other) == scope ? branch : 0});
  return facts != facts_.end() && facts->second.Has("x") && facts->second["x"].AsInt() < number;
}

// Lets one more thing happen that must happen; false when there is nothing.
bool GraphReference::Settle() {
  if (verdict_) return false;
  for (size_t step = 0; step < plan_.steps.size(); ++step) {
    if (!OnPath(step) || step == origin_) continue;
    const auto scope = Scope(step);
    if (scope == step && !widths_.contains(step)) {
      if (!Ready(step, 0)) continue;
      const auto width = Width(step);
      if (!width) {
        End(Verdict::kUnusable);
        return false;
      }
      widths_[step] = *width;
      if (*width == 0) skipped_.insert({step, 0});
      return true;
    }
    const size_t width = !scope ? 1 : widths_.contains(*scope) ? widths_.at(*scope) : 0;
    for (size_t i = 0; i < width; ++i) {
      const Place place{step, i};
      if (open_.contains(place) || Over(place) || refused_.contains(place)) continue;
      if ((scope && broken_.contains({*scope, i})) || (scope != step && !Ready(step, i))) continue;
      (Wanted(step, i) ? open_ : skipped_).insert(place);
      return true;
    }
  }
  return false;
}

void GraphReference::Answer(Place place, const JobResult& result) {
  open_.erase(place);
  if (result.verdict == Verdict::kOk) {
    passed_.insert(place);
    facts_[place] = result.facts;
    if (plan_.steps[place.first].kind == StageKind::kCompile) artefacts_ = result.artefacts.size();
  } else if (const auto scope = Scope(place.first)) {
    broken_[{*scope, place.second}] = result.verdict;
    refused_.insert(place);
    // What the branch has open is called back.
    for (const Place& other : std::set<Place>(open_)) {
      if (Scope(other.first) == scope && other.second == place.second) {
        open_.erase(other);
        refused_.insert(other);
      }
    }
  } else {
    End(result.verdict);
  }
  while (Settle()) continue;
  SeeWhetherItEnded();
}

void GraphReference::SeeWhetherItEnded() {
  if (verdict_) return;
  for (const auto& [scope, width] : widths_) {
    std::vector<Verdict> bad;
    for (size_t i = 0; i < width; ++i) {
      if (broken_.contains({scope, i})) bad.push_back(broken_.at({scope, i}));
    }
    if (bad.empty()) continue;
    bool joins = false;
    bool can = false;
    for (size_t s = 0; s < plan_.steps.size(); ++s) {
      const Step& step = plan_.steps[s];
      const bool of_it = std::any_of(step.needs.begin(), step.needs.end(),
                                     [&](uint16_t n) { return FileScope(plan_, n) == scope; });
      if (!OnPath(s) || step.join == Join::kNone || !of_it) continue;
      joins = true;
      const bool begun = open_.contains({s, 0}) || Over({s, 0}) || widths_.contains(s);
      can = can || begun || (step.join == Join::kAny && bad.size() < width);
    }
    if (!joins) can = bad.size() < width;
    if (!can) return End(bad.front());
  }
  if (open_.empty()) End(Verdict::kOk);
}

void GraphReference::End(Verdict verdict) {
  verdict_ = verdict;
  open_.clear();
}

}  // namespace kev::testing
