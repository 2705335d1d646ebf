#include "configs/workflow_graph.h"

#include <algorithm>
#include <utility>

#include "configs/section_reader.h"
#include "configs/suggestion.h"

namespace kev {
namespace {

std::vector<std::string> Ids(const Plan& plan) {
  std::vector<std::string> ids;
  for (const Step& step : plan.steps) ids.push_back(step.id);
  return ids;
}

class Linker {
 public:
  Linker(WorkflowDraft* draft, Report& report)
      : draft_(*draft), plan_(draft->plan), report_(report) {
    for (size_t i = 0; i < plan_.steps.size(); ++i)
      index_.emplace(plan_.steps[i].id, static_cast<uint16_t>(i));
  }

  void Run() {
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      const size_t errors = report_.ErrorCount();
      ReadNeeds(i);
      if (report_.ErrorCount() > errors) draft_.steps[i].broken = true;
    }
    FindCycles();
    FindSelect();
    CheckFlow();
    ReadProposes();
  }

 private:
  bool Is(size_t step, StageKind kind) const {
    return draft_.steps[step].contract != nullptr && plan_.steps[step].kind == kind;
  }

  void ReadNeeds(size_t step) {
    const YamlNode* needs = draft_.steps[step].needs;
    if (needs == nullptr) return;
    if (Is(step, StageKind::kSelect)) {
      report_.Error(needs->at, "select has no `needs`: it learns of every ended candidate");
      return;
    }
    if (Is(step, StageKind::kPropose)) {
      report_.Error(needs->at,
                    "a propose step has no `needs`: it works when select asks it (`proposes`)");
      return;
    }
    if (needs->IsList()) {
      if (needs->items.empty()) report_.Error(needs->at, "an empty `needs` can never be met");
      for (const YamlNode& item : needs->items) ReadNeed(step, item);
    } else {
      ReadNeed(step, *needs);
    }
  }

  void ReadNeed(size_t step, const YamlNode& node) {
    if (!node.IsScalar()) {
      report_.Error(node.at, "must be the id of a step or a list of ids, not " + Describe(node));
      return;
    }
    if (node.text.rfind("any(", 0) == 0 || node.text.rfind("all(", 0) == 0) {
      report_.Error(node.at, "any(...) and all(...) are not supported by this version of kevolve");
      return;
    }
    const auto found = index_.find(node.text);
    if (found == index_.end()) {
      report_.Error(node.at,
                    "unknown step '" + node.text + "'" + DidYouMean(node.text, Ids(plan_)));
      return;
    }
    if (Is(found->second, StageKind::kSelect)) {
      report_.Error(node.at,
                    "no step can need select: a candidate has ended when select learns of it");
      return;
    }
    std::vector<uint16_t>& needs = plan_.steps[step].needs;
    if (std::find(needs.begin(), needs.end(), found->second) != needs.end()) {
      report_.Error(node.at, "'" + node.text + "' stands here twice");
      return;
    }
    needs.push_back(found->second);
  }

  // Orders the steps by their needs; what cannot be ordered hangs on a cycle, which is named by its
  // path.
  void FindCycles() {
    const size_t count = plan_.steps.size();
    std::vector<size_t> waiting(count);
    std::vector<std::vector<size_t>> next(count);
    for (size_t i = 0; i < count; ++i) {
      waiting[i] = plan_.steps[i].needs.size();
      for (const uint16_t need : plan_.steps[i].needs) next[need].push_back(i);
    }
    for (size_t i = 0; i < count; ++i) {
      if (waiting[i] == 0) order_.push_back(i);
    }
    for (size_t at = 0; at < order_.size(); ++at) {
      for (const size_t follower : next[order_[at]]) {
        if (--waiting[follower] == 0) order_.push_back(follower);
      }
    }
    std::vector<size_t> walk_of(count, 0);  // 0: not walked
    for (size_t start = 0, walk = 1; start < count; ++start, ++walk) {
      if (waiting[start] == 0 || walk_of[start] != 0) continue;
      std::vector<size_t> path;
      size_t at = start;
      while (walk_of[at] == 0) {
        walk_of[at] = walk;
        path.push_back(at);
        const auto& needs = plan_.steps[at].needs;
        at = *std::find_if(needs.begin(), needs.end(),
                           [&](uint16_t need) { return waiting[need] > 0; });
      }
      if (walk_of[at] == walk) ReportCycle(path, at);
    }
  }

  void ReportCycle(const std::vector<size_t>& path, size_t first) {
    std::string text = plan_.steps[first].id;
    for (size_t i = path.size(); i-- > 0;) {
      text += " -> " + plan_.steps[path[i]].id;
      if (path[i] == first) break;
    }
    report_.Error(draft_.steps[first].needs->at, "these steps wait for each other: " + text);
  }

  void FindSelect() {
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      if (!Is(i, StageKind::kSelect)) continue;
      if (plan_.select) {
        report_.Error(draft_.steps[i].at, "a workflow has one select step; the first is '" +
                                              plan_.steps[*plan_.select].id + "'");
      } else {
        plan_.select = static_cast<uint16_t>(i);
      }
    }
  }

  // What a candidate meets on its way, followed along the needs.
  struct Passed {
    bool reached = false;
    bool compiled = false;
    bool verified = false;
  };

  void CheckFlow() {
    std::vector<Passed> passed(plan_.steps.size());
    bool proposes = false, unknown = false, measures = false, confirms = false;
    for (const size_t i : order_) {
      const Step& step = plan_.steps[i];
      const StepDraft& draft = draft_.steps[i];
      if (draft.broken || Is(i, StageKind::kSelect)) {
        // Nothing more is said of what a broken step leads to.
        unknown = unknown || draft.broken;
        proposes = proposes || Is(i, StageKind::kPropose);
        passed[i] = {true, true, true};
        continue;
      }
      Passed& now = passed[i];
      for (const uint16_t need : step.needs) {
        now.reached = now.reached || passed[need].reached;
        now.compiled = now.compiled || passed[need].compiled || Is(need, StageKind::kCompile);
        now.verified = now.verified || passed[need].verified || Is(need, StageKind::kVerify);
      }
      if (Is(i, StageKind::kPropose)) {
        now.reached = proposes = true;
        continue;
      }
      // Said once: what follows from it is not said of the steps behind.
      if (!now.reached) {
        report_.Error(draft.at, "step '" + step.id +
                                    "' is never reached from a propose step; say in `needs` which "
                                    "steps come before it");
        now = {true, true, true};
      } else if ((Is(i, StageKind::kVerify) || Is(i, StageKind::kProfile)) && !now.compiled) {
        report_.Error(draft.at,
                      "step '" + step.id + "' has nothing to run: no compile step comes before it");
        now.compiled = true;
      }
      if (step.final_fidelity && !now.verified) {
        report_.Warning(draft.at, "step '" + step.id +
                                      "' can make a candidate the best that was never verified");
      }
      measures = measures || step.stage == "profile";
      confirms = confirms || step.final_fidelity;
    }
    if (measures && !confirms && !unknown) {
      report_.Warning(
          draft_.top,
          "no profile step has `rigor: final`, so there will never be a confirmed best");
    }
    if (unknown || order_.size() < plan_.steps.size() || plan_.steps.empty()) return;
    if (!proposes) {
      report_.Error(
          draft_.top,
          "no step proposes candidates; a workflow over given files is not supported by this "
          "version of kevolve");
    } else if (!plan_.select) {
      report_.Error(draft_.top,
                    "no select step: nothing would ask the propose steps for candidates");
    }
  }

  void ReadProposes() {
    for (size_t i = 0; i < draft_.steps.size(); ++i) {
      const YamlNode* node = draft_.steps[i].proposes;
      if (node != nullptr && draft_.steps[i].contract != nullptr && !Is(i, StageKind::kSelect)) {
        report_.Error(node->at, "only a select step `proposes`");
      }
    }
    if (!plan_.select) return;
    const StepDraft& select = draft_.steps[*plan_.select];
    if (select.proposes == nullptr) {
      report_.Error(select.at,
                    "select needs `proposes`: which steps make candidates, like { tune: fill }");
      return;
    }
    ReadEach(*select.proposes, "`proposes`", report_,
             [&](const YamlNode& key, const YamlNode& value) { ReadShare(key, value); });
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      const bool named = select.proposes->Find(plan_.steps[i].id) != nullptr;
      if (Is(i, StageKind::kPropose) && !named) {
        report_.Error(draft_.steps[i].at, "step '" + plan_.steps[i].id +
                                              "' never works: `proposes` of '" +
                                              plan_.steps[*plan_.select].id + "' does not name it");
      }
    }
  }

  void ReadShare(const YamlNode& key, const YamlNode& value) {
    const auto found = index_.find(key.text);
    Share share;
    if (found == index_.end()) {
      std::vector<std::string> known;
      for (size_t i = 0; i < plan_.steps.size(); ++i) {
        if (Is(i, StageKind::kPropose)) known.push_back(plan_.steps[i].id);
      }
      report_.Error(key.at, "unknown step '" + key.text + "'" + DidYouMean(key.text, known));
      return;
    }
    share.step = found->second;
    if (draft_.steps[found->second].contract != nullptr &&
        !Is(found->second, StageKind::kPropose)) {
      report_.Error(key.at, "'" + key.text + "' is a " +
                                std::string(Name(plan_.steps[found->second].kind)) +
                                " step, it proposes nothing");
    }
    if (value.IsMap() && value.entries.size() == 1) {
      const YamlNode& kind = value.entries[0].first;
      ReadSection(value, "a share",
                  {{"in_flight", Count32(&share.amount, 1, 1'000'000)},
                   {"first", Count32(&share.amount, 1)}},
                  report_, {"when"});
      share.kind = kind.text == "first" ? Share::Kind::kFirst : Share::Kind::kInFlight;
    } else if (value.text != "fill") {
      report_.Error(value.at,
                    "must be fill, { in_flight: N } or { first: N }, not " + Describe(value));
    }
    plan_.shares.push_back(share);
  }

  WorkflowDraft& draft_;
  Plan& plan_;
  Report& report_;
  std::map<std::string, uint16_t> index_;
  std::vector<size_t> order_;  // steps after their needs; without those on or behind a cycle
};

}  // namespace

void LinkSteps(WorkflowDraft* draft, Report& report) {
  Linker(draft, report).Run();
  CompileConditions(draft, report);
}

}  // namespace kev
