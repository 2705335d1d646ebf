// propose/llm: asks a model for a whole kernel over an OpenAI-compatible chat-completions API.
//
// The answer is stored with its prompt before the result leaves, under a key of job, model and
// settings; a retry looks there first. Threads: any number of jobs at a time. Errors: a provider
// that is missing or refuses us is kProviderMissing, one that is busy or down is kRateLimited or
// kInfrastructure; an answer without a kernel is the verdict unusable.
#ifndef KEV_STAGES_PROPOSE_LLM_H_
#define KEV_STAGES_PROPOSE_LLM_H_

#include "stages/sdk/stage.h"

namespace kev {

JobResult HandleLlm(const Job& job, StageContext& context);

}  // namespace kev

#endif  // KEV_STAGES_PROPOSE_LLM_H_
