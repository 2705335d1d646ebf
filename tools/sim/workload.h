// Workloads: plans drawn from a seed. Loops with shares, reservations and a closing claim; graphs
// over given candidates; foreach and joins over lists, facts and artefacts; nested searches;
// conditions; and on their steps retries, time-outs, caps, rates, priorities, resources, labels
// and quiet hosts.
//
// Threads: functions on values. Errors: none; a drawn plan is one that configs/ would accept.
#ifndef KEV_TOOLS_SIM_WORKLOAD_H_
#define KEV_TOOLS_SIM_WORKLOAD_H_

#include <string>
#include <vector>

#include "engine/core/event.h"
#include "engine/core/plan.h"
#include "engine/core/random.h"

namespace kev::sim {

struct RunScript {
  std::string name;
  Plan plan;
  std::vector<CandidatesGiven> given;  // one after the other, the last one marked so
};

// 1 to 3 runs.
std::vector<RunScript> DrawWorkload(CounterRandom& random);
// Every stage that a drawn plan can ask for.
const std::vector<std::string>& AllStages();

}  // namespace kev::sim

#endif  // KEV_TOOLS_SIM_WORKLOAD_H_
