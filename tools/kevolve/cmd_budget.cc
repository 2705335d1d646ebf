// kevolve budget: changes the limits of a live run.
#include "tools/kevolve/signal_run.h"
#include "tools/live/budget_text.h"

namespace kev {

int BudgetCommand(const ControlOptions& options) {
  Result<Value> limits = BudgetFromWords(options.words);
  if (!limits) return Complain(limits.error());
  return SignalRun(options, "budget", std::move(*limits),
                   "run " + options.run + " has a new budget");
}

}  // namespace kev
