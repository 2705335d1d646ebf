#include "configs/contracts/contracts.h"

namespace kev {

std::vector<StageContract> SelectContracts() {
  StageContract select;
  select.name = "select";
  select.kind = StageKind::kSelect;
  select.about =
      "Decides what to try next from every ended candidate, good and bad. Takes the free places of "
      "each propose step "
      "and the history of the run; gives requests {step, count, parents, hints}. Has no `needs`.";
  select.settings = {
      {.name = "policy",
       .type = FieldType::kString,
       .otherwise = "greedy",
       .choices = {"greedy", "elites"},
       .about =
           "greedy: parents are the best so far; elites: drawn from the best `elites` by rank"},
      {.name = "elites",
       .type = FieldType::kInt,
       .otherwise = 8,
       .least = 1,
       .most = 1000,
       .about = "policy elites: how many candidates are kept as parents"},
  };
  select.stateful = true;
  select.program = "select";
  return {select};
}

}  // namespace kev
