// How the steps of a workflow hang together: needs, cycles, reachability, conditions, and what
// select proposes. Threads: functions on values. Errors: go to the Report.
#ifndef KEV_CONFIGS_WORKFLOW_GRAPH_H_
#define KEV_CONFIGS_WORKFLOW_GRAPH_H_

#include "configs/workflow_reader.h"

namespace kev {

// Sets needs, when, select and shares of `draft->plan`, and reports what can never work.
void LinkSteps(WorkflowDraft* draft, Report& report);

// workflow_conditions.cc: compiles the `when` of each step. REQUIRES: needs are set.
void CompileConditions(WorkflowDraft* draft, Report& report);

}  // namespace kev

#endif  // KEV_CONFIGS_WORKFLOW_GRAPH_H_
