// What explain and dlq share: a question about a run, answered by the engine that has it, else from
// where it is kept.
#ifndef KEV_TOOLS_KEVOLVE_ASK_RUN_H_
#define KEV_TOOLS_KEVOLVE_ASK_RUN_H_

#include <functional>
#include <memory>
#include <string>

#include "tools/kevolve/commands.h"
#include "tools/live/stored_run.h"

namespace kev {

// How a run that no engine answers for is read, and what it says.
struct StoredAnswer {
  std::function<Result<std::unique_ptr<StoredRun>>(const std::string& name)> open;
  std::function<Result<Value>(const RunCore& core)> answer;
};

// An engine's answer with `gone` is not enough: it keeps of what has ended what it still needs, and
// the store has all of it. Error: the engine's, unless the run has ended and so was let go.
Result<Value> AskRun(const ControlOptions& options, const std::string& method, Value arguments,
                     const StoredAnswer& stored);

}  // namespace kev

#endif  // KEV_TOOLS_KEVOLVE_ASK_RUN_H_
