// The prompt for a whole kernel: the task, what is to be beaten, what went wrong last, and the form
// of the answer.
//
// Held-out workloads are the judge's: they are not in the prompt, and a message that names one is
// left out of it. Threads: functions on values. Errors: a template that cannot be rendered.
#ifndef KEV_STAGES_PROPOSE_PROMPT_H_
#define KEV_STAGES_PROPOSE_PROMPT_H_

#include <string>
#include <vector>

#include "configs/load.h"
#include "engine/core/result.h"
#include "engine/core/run_core.h"

namespace kev {

struct PromptParent {
  std::string name;  // "c12"
  std::string source;
  Value parameters;     // null when written whole
  Value facts;          // of the latest profile step
  std::string profile;  // its record of why the kernel is slow, JSON; "": there is none
};

struct PromptFailure {
  std::string name;
  Verdict verdict = Verdict::kOk;
  std::string message;
  std::string excerpt;  // of the compiler's output
};

struct PromptInput {
  const Task* task = nullptr;
  const Target* target = nullptr;
  std::string suffix = ".c";
  std::vector<PromptParent> parents;
  std::vector<PromptFailure> failures;
};

struct Prompt {
  std::string system;
  std::string user;
};
Result<Prompt> RenderPrompt(const PromptInput& input);

// Whether `text` tells of a held-out workload of `task`, by its name or by an axis value that no
// visible one has.
bool TellsHeldOut(const Task& task, const std::string& text);

}  // namespace kev

#endif  // KEV_STAGES_PROPOSE_PROMPT_H_
