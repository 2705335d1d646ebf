#include <utility>

#include "configs/expression_field.h"
#include "configs/expression_lexer.h"
#include "configs/suggestion.h"
#include "configs/workflow_graph.h"

namespace kev {
namespace {

constexpr const char* kWhatConditionsRead =
    "a condition reads <step>.<fact>, best.<fact>, run.<count> or task.name";

std::vector<Fact> BestFacts() { return FindContract("profile")->facts; }
std::vector<Fact> RunFacts() {
  return {{"candidates", FieldType::kInt, "", "proposed so far"},
          {"evaluated", FieldType::kInt, "", "measured so far"},
          {"refused", FieldType::kInt, "", "ended with a verdict other than ok"}};
}

std::vector<bool> Upstream(const Plan& plan, uint16_t step) {
  std::vector<bool> seen(plan.steps.size(), false);
  std::vector<uint16_t> open = plan.steps[step].needs;
  while (!open.empty()) {
    const uint16_t next = open.back();
    open.pop_back();
    if (seen[next]) continue;
    seen[next] = true;
    open.insert(open.end(), plan.steps[next].needs.begin(), plan.steps[next].needs.end());
  }
  return seen;
}

// The names that the condition of one step may use.
class Scope {
 public:
  Scope(const WorkflowDraft& draft, uint16_t step)
      : draft_(draft), upstream_(Upstream(draft.plan, step)) {}

  // Type of `name`, or why it has none.
  std::optional<FieldType> Find(std::string_view name, std::string* why) const {
    const size_t dot = name.find('.');
    const std::string first(name.substr(0, dot));
    const std::string fact = dot == name.npos ? "" : std::string(name.substr(dot + 1));
    const std::optional<uint16_t> step = draft_.plan.Find(first);
    if (step && !upstream_[*step]) {
      *why = "step '" + first + "' does not come before this one, so its facts are not known here";
      return std::nullopt;
    }
    std::vector<Fact> facts;
    if (step) {
      const StageContract* contract = draft_.steps[*step].contract;
      if (contract != nullptr) facts = contract->facts;
    } else if (first == "best") {
      facts = BestFacts();
    } else if (first == "run") {
      facts = RunFacts();
    } else if (first == "task") {
      facts = {{"name", FieldType::kString, "", "the task's name"}};
    } else {
      *why = "unknown name '" + std::string(name) + "'" + Suggest(first, fact) + ": " +
             kWhatConditionsRead;
      return std::nullopt;
    }
    std::vector<std::string> known;
    for (const Fact& f : facts) {
      if (f.name == fact) return f.type;
      known.push_back(f.name);
    }
    if (known.empty()) {
      *why = "the stage of '" + first + "' declares no facts";
    } else if (fact.empty()) {
      *why = "'" + first + "' alone has no value; name a fact, like " + first + "." + known[0];
    } else {
      *why = "'" + first + "' has no fact '" + fact + "'" + DidYouMean(fact, known);
    }
    return std::nullopt;
  }

 private:
  std::string Suggest(const std::string& first, const std::string& fact) const {
    std::vector<std::string> known = {"best", "run", "task"};
    for (size_t i = 0; i < upstream_.size(); ++i) {
      if (upstream_[i]) known.push_back(draft_.plan.steps[i].id);
    }
    const std::string nearest = Nearest(first, known);
    if (nearest.empty()) return "";
    return " (did you mean '" + nearest + (fact.empty() ? "" : "." + fact) + "'?)";
  }

  const WorkflowDraft& draft_;
  std::vector<bool> upstream_;
};

}  // namespace

void CompileConditions(WorkflowDraft* draft, Report& report) {
  for (size_t i = 0; i < draft->steps.size(); ++i) {
    const YamlNode* when = draft->steps[i].when;
    Step& step = draft->plan.steps[i];
    if (when == nullptr) continue;
    if (step.kind == StageKind::kPropose || step.kind == StageKind::kSelect) {
      if (draft->steps[i].contract != nullptr) {
        report.Error(when->at, "a " + std::string(Name(step.kind)) +
                                   " step has no `when`: it does not wait for candidates");
      }
      continue;
    }
    // Only the names that occur are looked up, so that a long workflow costs no more than its text.
    const Scope scope(*draft, static_cast<uint16_t>(i));
    Symbols symbols;
    std::string why;
    for (const Token& token : Tokenize(when->text)) {
      if (token.kind != Token::Kind::kName) continue;
      if (const auto type = scope.Find(token.text, &why)) symbols[token.text] = *type;
    }
    const ExplainName explain = [&](std::string_view name) {
      std::string reason;
      scope.Find(name, &reason);
      return reason;
    };
    ReadExpression(*when, symbols, Wanted::kBool, report, &step.when, explain);
  }
}

}  // namespace kev
