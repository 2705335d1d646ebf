// GraphReference: what must become of one candidate in a graph with needs, conditions, foreach and
// joins, written down naively from the rules (DESIGN.md) and apart from the run core. It is told
// each answer and says which jobs are open and how the candidate ended.
//
// Threads: plain values. Errors: none; Allowed says whether a plan follows the rules at all.
#ifndef KEV_TESTS_ENGINE_SUPPORT_GRAPH_REFERENCE_H_
#define KEV_TESTS_ENGINE_SUPPORT_GRAPH_REFERENCE_H_

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "engine/core/plan.h"

namespace kev::testing {

class GraphReference {
 public:
  using Place = std::pair<size_t, size_t>;  // step, branch
  GraphReference(const Plan& plan, size_t origin);

  static bool Allowed(const Plan& plan);
  void Answer(Place place, const JobResult& result);

  const std::set<Place>& open() const { return open_; }
  const std::set<Place>& skipped() const { return skipped_; }
  std::optional<Verdict> verdict() const { return verdict_; }

 private:
  bool OnPath(size_t step) const;
  std::optional<size_t> Scope(size_t step) const;
  std::optional<size_t> Width(size_t scope) const;
  bool Over(Place place) const { return passed_.contains(place) || skipped_.contains(place); }
  bool Ready(size_t step, size_t branch) const;
  bool Wanted(size_t step, size_t branch) const;
  const Value* List(size_t scope) const;
  bool Settle();
  void SeeWhetherItEnded();
  void End(Verdict verdict);

  const Plan& plan_;
  size_t origin_;
  std::map<size_t, size_t> widths_;  // of foreach steps that have fanned out
  std::set<Place> open_, passed_, skipped_, refused_;
  std::map<Place, Verdict> broken_;  // foreach step, branch
  std::map<Place, Value> facts_;
  size_t artefacts_ = 0;
  std::optional<Verdict> verdict_;
};

}  // namespace kev::testing

#endif  // KEV_TESTS_ENGINE_SUPPORT_GRAPH_REFERENCE_H_
