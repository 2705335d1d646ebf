// Reads a workflow file into a draft: every key by itself. How steps hang together is
// workflow_graph's work.
//
// The draft points into the YAML tree, which must outlive it.
// Threads: functions on values. Errors: go to the Report.
#ifndef KEV_CONFIGS_WORKFLOW_READER_H_
#define KEV_CONFIGS_WORKFLOW_READER_H_

#include <map>
#include <string>
#include <vector>

#include "configs/contract.h"
#include "configs/diagnostics.h"
#include "configs/yaml_tree.h"
#include "engine/core/plan.h"

namespace kev {

struct StepDraft {
  Position at;                              // of its id
  const StageContract* contract = nullptr;  // nullptr: unknown, already reported
  const YamlNode* needs = nullptr;
  const YamlNode* when = nullptr;
  const YamlNode* proposes = nullptr;
  bool broken = false;  // has errors already: nothing is said of what follows from them
};

struct WorkflowDraft {
  Plan plan;                     // steps in the order of the file; needs, when, shares not yet set
  std::vector<StepDraft> steps;  // beside plan.steps
  std::string task;
  Position task_at;
  std::string target = "cpu";
  Position target_at;
  Position top;
  bool limits_broken = false;  // an error outside the steps, perhaps in budget or stop
};

WorkflowDraft ReadWorkflow(const YamlNode& root, Report& report);
// Reads `text` as the value of `budget: { key: text }`; for command lines.
void OverrideBudget(const std::string& key, const std::string& text, Budget* budget,
                    Report& report);

}  // namespace kev

#endif  // KEV_CONFIGS_WORKFLOW_READER_H_
