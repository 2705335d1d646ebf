// Budgets as people write them on a command line, as the data of a budget signal: "candidates" ->
// "500", "wall" -> "10m". Threads: functions on values. Errors: kInvalid, naming key and form.
#ifndef KEV_TOOLS_LIVE_BUDGET_TEXT_H_
#define KEV_TOOLS_LIVE_BUDGET_TEXT_H_

#include <map>
#include <string>
#include <vector>

#include "engine/core/result.h"
#include "engine/core/value.h"

namespace kev {

Result<Value> BudgetFrom(const std::map<std::string, std::string>& limits);
// "candidates=500", "wall=10m".
Result<Value> BudgetFromWords(const std::vector<std::string>& words);

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_BUDGET_TEXT_H_
